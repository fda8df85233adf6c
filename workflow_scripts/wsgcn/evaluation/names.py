"""Names of compared stages and of metrics in MLflow, <split>/<stage>/<metric>. Planning imports this: no torch."""

import re
from collections.abc import Iterable, Mapping

from wsgcn.text import metric_part

COMPARED_STAGES = ("refined", "refined_crf")
"""The evaluations that are compared: labels without and with the last dense CRF."""

BASELINE = "no_learning"
"""The labels that the stages are compared with, `labels.no_learning`: no stage reads them."""


MIN_MASKS = 5
"""Images with masks from which `snakemake choose` uses the truth: the interval of fewer says little."""


def can_judge(rule: str, setting: str) -> bool:
    """Whether a rule of `snakemake choose` says anything about the values of a setting, by its dotted key.

    `crf_agreement` says nothing about the last CRF's own: the less that CRF does, the better it agrees.
    """
    return rule != "crf_agreement" or not setting.startswith("pseudo.")


def metric_name(evaluation: Mapping, metric: str = "miou") -> str:
    """A metric's name with its protocol: split, stage, metric, e.g. train/refined_crf/miou or train/cam/iou/cat.

    evaluation: a mapping with `split` and `stage`. Characters that MLflow rejects become underscores; for a class name
    after `iou/` see `text.metric_part`.
    """
    metric, *class_name = metric.split("/", 1)
    parts = [re.sub(r"[^\w\-. ]", "_", part) for part in (evaluation["split"], evaluation["stage"], metric)]
    return "/".join([*parts, *map(metric_part, class_name)])


def stage_metrics(evaluation: Mapping) -> dict[str, float | None]:
    """One evaluation's metrics, for the run of its stage."""
    metrics = {metric_name(evaluation, name): evaluation[name] for name in ("miou", "coverage", "precision")}
    metrics |= {metric_name(evaluation, f"iou/{name}"): iou for name, iou in evaluation["iou"].items()}
    metrics |= _negatives(evaluation)
    return metrics | {metric_name(evaluation, "seconds_per_image"): evaluation["seconds_per_image"]}


def experiment_metrics(evaluations: Iterable[Mapping], minutes: Mapping[str, float]) -> dict[str, float | None]:
    """All stages' metrics, for the run of their experiment; of partial labels, which cover a part, a few more.

    minutes: of training, by stage.
    """
    metrics: dict[str, float | None] = {f"minutes/{stage}": value for stage, value in minutes.items()}
    for evaluation in evaluations:
        names = ["miou", "seconds_per_image"]
        if evaluation["stage"] == "partial":
            names += ["coverage", "precision", "without_background"]
        metrics |= {metric_name(evaluation, name): evaluation[name] for name in names}
        metrics |= {metric_name(evaluation, f"iou/{name}"): iou for name, iou in evaluation["iou"].items()}
        metrics |= _negatives(evaluation)
    return metrics


def _negatives(evaluation: Mapping) -> dict[str, float | None]:
    """The metric that an evaluation has where its list holds images without a class."""
    name = "false_foreground"
    return {metric_name(evaluation, name): evaluation[name]} if name in evaluation else {}
