"""Gather what a stage's jobs measured into one MLflow run, a child of the experiment's."""

import numpy as np
import pandas as pd

from wsgcn.evaluation import metric_name, seconds_an_image
from wsgcn.figures import loss_curves
from wsgcn.files import read_json, whole_file, write_json
from wsgcn.jobs import logged
from wsgcn.loss_names import LOSSES
from wsgcn.tracking import adopt, current_run, finish_run, log, log_files, start_run

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    store = read_json(inputs.store)
    tags = {"experiment": p.experiment, "stage": p.stage}
    run = start_run(store, f"{p.experiment}/{p.stage}", tags, p.settings, p.description)
    if parent := current_run(store, {"experiment": p.experiment, "stage": "experiment"}):
        adopt(store, parent, [run])  # else, or if the parent is replaced, the summary does

    curves, files = None, list(inputs.get("pictures", []))
    if "history" in dict(inputs):
        curves = pd.read_csv(inputs.history, index_col="step")
    elif "refined" in dict(inputs):  # each image's network has its own curves; their mean is the stage's
        losses = np.mean([np.load(path)["losses"] for path in inputs.refined], axis=0)
        curves = pd.DataFrame(losses, columns=LOSSES, index=np.arange(1, len(losses) + 1)).rename_axis("epoch")
    if curves is not None:
        with whole_file(snakemake.output.curves) as path:
            loss_curves(curves).savefig(path, format="png", dpi=150)
        files.append(snakemake.output.curves)
        log(store, run, curves=curves)

    if inputs.seconds:
        log(store, run, metrics={"labels/seconds_per_image": seconds_an_image(inputs.seconds)})

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
    write_json(snakemake.output.run, {"run_id": run})
