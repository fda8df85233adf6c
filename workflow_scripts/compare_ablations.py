"""Put all experiments side by side: tables, two charts, a text, and into each one's MLflow run what is its own."""

from pathlib import Path

import pandas as pd

from wsgcn.evaluation.comparison import STAGES, metrics_of, row_of
from wsgcn.files import atomic_write, read_arrays, read_json
from wsgcn.reporting.comparison_figures import ablation_chart, class_chart
from wsgcn.reporting.report import format_ablations
from wsgcn.tracking.runs import current_tags, log, log_files, mark_others_superseded
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import format_differing_sources

with logged(snakemake.log[0]):
    p, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    store = read_json(inputs.store)
    parents = {Path(path).parent.name: read_json(path)["run_id"] for path in inputs.parents}
    found = {tuple(pair): read_json(path) for pair, path in zip(p.pairs, inputs.comparisons, strict=True)}
    pictures = {tuple(pair): path for pair, path in zip(p.pairs, inputs.pictures, strict=True)}
    rows, by_class = [], {}
    for name, paths in p.evaluations.items():
        stages = {e["stage"]: e for e in map(read_json, paths)}
        counts = [read_arrays(path)["counts"] for path in p.counts[name]]
        rows.append(row_of(name, stages, counts, found.get((name, p.base), {}), p.descriptions[name]))
        by_class[name] = stages["refined_crf"]["iou"]
        log(
            store,
            parents[name],
            metrics=metrics_of(rows[-1], stages),
            tags={"base": p.base, "base_run": parents[p.base]},
        )
        if (name, p.base) in pictures:
            log_files(store, parents[name], [pictures[name, p.base]], folder="disagreement")
    further = [
        {"experiment": name, "against": reference, "stage": stage} | found[name, reference][stage]
        for name, reference in map(tuple, p.pairs)
        if reference != p.base
        for stage in STAGES
    ]
    scored = [row for row in rows if row["miou"] is not None]

    tables = {outputs.table: pd.DataFrame(rows), outputs.pairs: pd.DataFrame(further)}
    tables[outputs.class_table] = pd.DataFrame.from_dict(by_class, orient="index").reset_index(names="experiment")
    for output, table in tables.items():
        with atomic_write(output) as path:
            table.to_csv(path, index=False, float_format="%.4f")
    for output, figure in ((outputs.chart, ablation_chart(scored)), (outputs.classes, class_chart(by_class))):
        with atomic_write(output) as path:
            figure.savefig(path, format="png", dpi=200)
    log_files(store, parents[p.base], [*tables, outputs.chart, outputs.classes])
    mark_others_superseded(store, list(parents))
    text = format_ablations(rows, further, p.base, p.dataset) + format_differing_sources(
        current_tags(store, "refine", "code")
    )
    with atomic_write(outputs.text) as path:
        path.write_text(text, encoding="utf-8")
