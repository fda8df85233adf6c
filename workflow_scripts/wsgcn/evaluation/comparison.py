"""Two experiments side by side: their differences with intervals, a row of the table of experiments, metrics.

Scores and differences are in 0..1. "counts" are confusions int [images, C + 1, C + 2], see `metrics.confusion`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.names import COMPARED_STAGES, metric_name
from wsgcn.evaluation.stages import none_if_nan
from wsgcn.files import read_arrays, read_label, why_skipped

SUFFIXES = dict(zip(COMPARED_STAGES, ("_no_crf", ""), strict=True))
"""How the columns of a compared stage end in the table of experiments."""


def disagreement_shares(labels: Sequence[str], reference_labels: Sequence[str]) -> dict[int, float]:
    """The share of each image's pixels that two experiments label differently, {index: share in 0..1}.

    Both list the label PNGs of the same images in the same order. Images that either one skipped are left out.
    """
    return {
        index: float((read_label(own) != read_label(reference)).mean())
        for index, (own, reference) in enumerate(zip(labels, reference_labels, strict=True))
        if not (why_skipped(own) or why_skipped(reference))
    }


def compare_experiments(
    shares: Mapping[int, float], counts: Sequence[np.ndarray], reference_counts: Sequence[np.ndarray]
) -> dict:
    """The content of a comparison's JSON: `disagreement`, the mean of `shares`, and what `compare_counts` returns."""
    return {"disagreement": float(np.mean(list(shares.values() or [0])))} | compare_counts(counts, reference_counts)


def compare_counts(counts: Sequence[np.ndarray], reference_counts: Sequence[np.ndarray]) -> dict[str, dict]:
    """The difference of two experiments by stage, as `bootstrap.difference`; None for unknown values.

    counts, reference_counts: one array per stage of `COMPARED_STAGES`; no images where there are no masks.
    """
    differences = {}
    for stage, own, reference in zip(COMPARED_STAGES, counts, reference_counts, strict=True):
        values = difference(own, reference) if len(own) else dict.fromkeys(("difference", "low", "high"))
        differences[stage] = {key: none_if_nan(value) for key, value in values.items()}
    return differences


def read_counts(paths: Sequence[str]) -> list[np.ndarray]:
    """The counts that evaluations have written, one .npz per stage."""
    return [read_arrays(path)["counts"] for path in paths]


def experiment_row(
    name: str, evaluations: Mapping[str, Mapping], counts: Sequence[np.ndarray], comparison: Mapping, description: str
) -> dict:
    """An experiment's row: mIoU without and with CRF, each with its 95 % interval and its difference to the base.

    evaluations: {stage: evaluation}; comparison: with the base, {} for the base itself. None for unknown values.
    """
    row: dict = {"experiment": name}
    for (stage, suffix), stage_counts in zip(SUFFIXES.items(), counts, strict=True):
        low, high = map(none_if_nan, interval(resampled_miou(stage_counts)))
        to_base = comparison.get(stage, {})
        row |= {
            f"miou{suffix}": evaluations[stage]["miou"],
            f"miou{suffix}_low": low,
            f"miou{suffix}_high": high,
            f"difference{suffix}": to_base.get("difference"),
            f"low{suffix}": to_base.get("low"),
            f"high{suffix}": to_base.get("high"),
        }
    return row | {
        "disagreement": comparison.get("disagreement"),
        "segmentation_miou": evaluations.get("segmentation_multi_crf", {}).get("miou"),
        "description": description,
    }


def comparison_metrics(row: Mapping, evaluations: Mapping[str, Mapping]) -> dict[str, float | None]:
    """The row's numbers under the names that MLflow shows: train/refined_crf/difference_to_base and so on."""
    metrics: dict[str, float | None] = {}
    for stage, suffix in SUFFIXES.items():
        columns = {
            "miou_low": f"miou{suffix}_low",
            "miou_high": f"miou{suffix}_high",
            "difference_to_base": f"difference{suffix}",
            "difference_to_base_low": f"low{suffix}",
            "difference_to_base_high": f"high{suffix}",
        }
        metrics |= {metric_name(evaluations[stage], metric): row[column] for metric, column in columns.items()}
    return metrics | {metric_name(evaluations["refined_crf"], "disagreement_with_base"): row["disagreement"]}
