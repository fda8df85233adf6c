"""Compare all experiments: tables, two charts, a text, and metrics in the MLflow run of each."""

from wsgcn.evaluation.ablations import read_ablations
from wsgcn.files import atomic_write, read_json
from wsgcn.reporting.ablations import AblationFiles, write_ablations
from wsgcn.reporting.tables import format_ablations
from wsgcn.tracking.experiments import log_comparisons, read_parents
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import format_differing_sources

with logged(snakemake.log[0]):
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    comparisons, pictures = (
        dict(zip(map(tuple, params.pairs), paths, strict=True)) for paths in (inputs.comparisons, inputs.pictures)
    )
    ablations = read_ablations(params.base, params.evaluations, params.counts, comparisons, params.descriptions)
    files = AblationFiles(outputs.table, outputs.pairs, outputs.class_table, outputs.chart, outputs.classes)
    write_ablations(files, ablations)
    tracker = Tracker(read_json(inputs.store))
    log_comparisons(tracker, read_parents(inputs.parents), ablations, pictures, files.paths())
    sources = format_differing_sources(tracker.current_tags("refine", "code"))
    with atomic_write(outputs.text) as path:
        path.write_text(format_ablations(ablations, params.dataset) + sources, encoding="utf-8")
