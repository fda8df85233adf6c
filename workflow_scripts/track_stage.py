"""Log what a stage's jobs measured as one MLflow run, a child of the experiment's run."""

from wsgcn.evaluation.records import gain_of, mean_seconds
from wsgcn.files import read_json, write_json
from wsgcn.reporting.figures import loss_curves, save_figure
from wsgcn.tracking.stages import StageRun, read_curves, track_stage
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import merge_tags

with logged(snakemake.log[0]):
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    tracker = Tracker(read_json(inputs.store))
    stage = StageRun(params.experiment, params.stage, params.settings, params.description, merge_tags(inputs.made))
    curves, files = read_curves(inputs.get("history"), inputs.get("refined")), list(inputs.get("pictures", []))
    if curves is not None:
        save_figure(outputs.curves, loss_curves(curves), dpi=150)
        files.append(outputs.curves)
    evaluations = [read_json(path) for path in inputs.get("evaluations", [])]
    run = track_stage(tracker, stage, evaluations, curves, mean_seconds(inputs.seconds), files, gain_of(inputs.made))
    write_json(outputs.run, {"run_id": run})
