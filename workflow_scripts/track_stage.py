"""Gather what a stage's jobs measured into one MLflow run, a child of the experiment's."""

import numpy as np
import pandas as pd

from wsgcn.evaluation.names import metric_name
from wsgcn.evaluation.stages import mean_seconds
from wsgcn.files import atomic_write, read_arrays, read_json, why_skipped, write_json
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.reporting.figures import loss_curves
from wsgcn.tracking.runs import current_run, finish_run, log, log_files, mark_current, set_parent, start_run
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import merge_tags

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    store = read_json(inputs.store)
    tags = {"experiment": p.experiment, "stage": p.stage}
    about = tags | merge_tags(inputs.made)
    run = start_run(store, f"{p.experiment}/{p.stage}", about, p.settings, p.description)
    if parent := current_run(store, {"experiment": p.experiment, "stage": "experiment"}):
        set_parent(store, parent, [run])  # else, or if the parent is replaced, the summary does

    curves, files = None, list(inputs.get("pictures", []))
    if "history" in dict(inputs):
        curves = pd.read_csv(inputs.history, index_col="step")
    elif "refined" in dict(inputs):  # each image's network has its own curves; their mean is the stage's
        losses = [read_arrays(path)["losses"] for path in inputs.refined if not why_skipped(path)]
        curves = pd.DataFrame(np.mean(losses, axis=0) if losses else [], columns=LOSSES)
        curves.index = pd.RangeIndex(1, len(curves) + 1, name="epoch")
    if curves is not None:
        with atomic_write(snakemake.output.curves) as path:
            loss_curves(curves).savefig(path, format="png", dpi=150)
        files.append(snakemake.output.curves)
        log(store, run, curves=curves)

    if inputs.seconds:
        log(store, run, metrics={"labels/seconds_per_image": mean_seconds(inputs.seconds)})

    table = []
    for evaluation in map(read_json, inputs.get("evaluations", [])):
        metrics = {metric_name(evaluation, w): evaluation[w] for w in ("miou", "coverage", "precision")}
        metrics |= {metric_name(evaluation, f"iou/{n}"): v for n, v in evaluation["iou"].items()}
        metrics[metric_name(evaluation, "seconds_per_image")] = evaluation["seconds_per_image"]
        sweep = pd.Series(evaluation.get("sweep", {}), dtype=float).dropna()
        sweep.index = [round(100 * float(threshold)) for threshold in sweep.index]
        name = metric_name(evaluation, "miou_by_background_percent")
        log(
            store,
            run,
            metrics=metrics,
            curves=sweep.to_frame(name),
            tags={f"protocol.{evaluation['stage']}": evaluation["protocol"]},
        )
        table += [{"stage": evaluation["stage"]} | row for row in evaluation["by_image"]]
    table.sort(key=lambda row: (row["miou"] is None, row["miou"]))
    log_files(store, run, files, table)
    finish_run(store, run)
    mark_current(store, run, tags)
    write_json(snakemake.output.run, {"run_id": run})
