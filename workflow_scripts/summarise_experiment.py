"""Complete the experiment's parent run and write the summary that ends the workflow."""

from wsgcn.evaluation.records import flat_trainings, skipped_images, training_minutes
from wsgcn.files import atomic_write, read_json
from wsgcn.reporting.summary import format_summary
from wsgcn.tracking.experiments import complete_experiment, read_runs
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs, output = snakemake.params, snakemake.input, snakemake.output[0]
    evaluations, minutes = [read_json(path) for path in inputs.evaluations], training_minutes(inputs.trainings)
    skipped = skipped_images(evaluations, params.training_labels, params.missing)
    title = f"{params.experiment} on {params.dataset}"
    locations = params.places | {"table": f"{params.ui_address}/{read_json(inputs.views)['table']}"}
    with atomic_write(output) as path:
        warnings = flat_trainings(inputs.trainings)
        text = format_summary(title, evaluations, minutes, locations, skipped, params.missing, warnings)
        path.write_text(text, encoding="utf-8")
    tracker, files = Tracker(read_json(inputs.store)), [output, inputs.report, *inputs.pictures]
    (parent,), runs, shared = map(read_runs, ([inputs.parent], inputs.runs, inputs.shared_runs))
    complete_experiment(tracker, parent, runs, shared, evaluations, minutes, len(skipped), files)
