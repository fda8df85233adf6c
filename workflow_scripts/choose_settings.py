"""Choose settings by the labels of their values: a table, a text, and an overlay with the chosen values."""

import pandas as pd

from wsgcn.evaluation.choice import read_decisions, summarise
from wsgcn.files import atomic_write, write_json
from wsgcn.reporting.choice import choice_rows, format_choice
from wsgcn.workflow.choice import overlay_text
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    files = dict(zip(params.tried, zip(inputs.scores, inputs.counts, strict=True), strict=True))
    decisions = read_decisions(params.candidates, files, params.choose_by, params.images)
    summaries = [summarise(decision) for decision in decisions]
    with atomic_write(outputs.table) as path:
        pd.DataFrame(choice_rows(summaries)).to_csv(path, index=False)
    for target, text in (
        (outputs.text, format_choice(summaries, params.dataset, outputs.settings)),
        (outputs.settings, overlay_text(summaries, params.dataset)),
    ):
        with atomic_write(target) as path:
            path.write_text(text, encoding="utf-8")
    write_json(outputs.decisions, summaries)
