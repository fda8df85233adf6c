"""The run of a stage: what its jobs measured, as a child of the experiment's run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from wsgcn.evaluation.names import metric_name, stage_metrics
from wsgcn.evaluation.stages import worst_first
from wsgcn.files import read_arrays, why_skipped
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.tracking.tracker import Tracker


@dataclass(frozen=True)
class StageRun:
    """Which stage of which experiment is tracked, the settings that it uses, what its jobs were computed by (tags)."""

    experiment: str
    stage: str
    settings: Mapping
    description: str
    made_by: Mapping[str, str] = field(default_factory=dict)


def track_stage(
    tracker: Tracker,
    stage: StageRun,
    evaluations: Iterable[Mapping],
    curves: pd.DataFrame | None,
    label_seconds: float | None,
    files: Iterable[str],
    gain: float | None = None,
) -> str:
    """Log a stage as one run, which becomes the current one of its experiment and stage; returns its id.

    evaluations: of the stage's labels; curves: see `read_curves`; label_seconds: seconds per image that the labels of
    its training took; files: pictures to attach; gain: by which share an affinity network's loss is below a constant's.
    """
    tags = {"experiment": stage.experiment, "stage": stage.stage}
    name = f"{stage.experiment}/{stage.stage}"
    with tracker.run(name, tags, stage.settings, stage.description, stage.made_by) as run:
        # Where there is no parent yet, or another one later, the summary sets it.
        if parent := tracker.current_run({"experiment": stage.experiment, "stage": "experiment"}):
            tracker.set_parent(parent, [run])
        tracker.log(run, metrics={"labels/seconds_per_image": label_seconds, "gain_over_constant": gain}, curves=curves)
        table = []
        for evaluation in evaluations:
            protocol = {f"protocol.{evaluation['stage']}": evaluation["protocol"]}
            tracker.log(run, metrics=stage_metrics(evaluation), curves=_sweep_curve(evaluation), tags=protocol)
            table += [{"stage": evaluation["stage"]} | row for row in evaluation["by_image"]]
        tracker.log_files(run, files, sorted(table, key=worst_first))
    return run


def read_curves(history: str | None, refined: Sequence[str] | None) -> pd.DataFrame | None:
    """Loss curves, one column per loss, steps or epochs in the index; None for a stage without networks.

    history: the .csv of a training; refined: the .npz files of the GCN, one network per image, whose mean is returned.
    """
    if history:
        return pd.read_csv(history, index_col="step")
    if refined is None:
        return None
    arrays = (read_arrays(path) for path in refined if not why_skipped(path))
    losses = [own["losses"] for own in arrays if "losses" in own]  # images without a class have no network
    curves = pd.DataFrame(np.mean(losses, axis=0) if losses else [], columns=LOSSES)
    curves.index = pd.RangeIndex(1, len(curves) + 1, name="epoch")
    return curves


def _sweep_curve(evaluation: Mapping) -> pd.DataFrame:
    """mIoU by background score in percent, as a curve; empty for an evaluation without a sweep."""
    sweep = pd.Series(evaluation.get("sweep", {}), dtype=float).dropna()
    sweep.index = pd.Index([round(100 * float(threshold)) for threshold in sweep.index])
    return sweep.to_frame(metric_name(evaluation, "miou_by_background_percent"))
