"""Write the review queue: the table, the page, the text, and the AUROC of its scores where there are masks."""

from wsgcn.evaluation.review import SCORES, ReviewSettings, review_scores
from wsgcn.evaluation.review_files import estimate_sentence, read_measures, truth_rows, write_table
from wsgcn.evaluation.review_queue import queue_rows
from wsgcn.files import atomic_write, read_arrays
from wsgcn.reporting.review_page import ReviewSummary, format_review, write_review_page
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    settings = from_section(ReviewSettings, p.settings)
    labels, skipped = read_measures(p.ids, p.tags, inputs.measures)
    scores = review_scores(labels, settings)
    rows = queue_rows(labels, scores, settings.score, p.classes, p.method)
    truth = truth_rows(labels, scores, read_arrays(inputs.counts[0])["counts"], p.masked)
    of_corrected = p.get("corrected", 0), estimate_sentence(inputs.get("corrected", []))
    summary = ReviewSummary(p.title, settings.score, p.untagged, skipped, truth, p.places, *of_corrected)
    write_table(outputs.queue, rows, ("rank", "image", "score", *scores, "tags", "why"))
    if "auroc" in outputs.keys():  # noqa: SIM118
        write_table(outputs.auroc, truth)
    write_review_page(outputs.page, summary, rows, dict(zip(p.ids, inputs.pictures, strict=True)), p.classes, SCORES)
    with atomic_write(outputs.text) as path:
        path.write_text(format_review(summary, rows), encoding="utf-8")
