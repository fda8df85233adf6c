"""Experiments side by side: differences with their intervals, the rows of the table, what goes into each one's run."""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.names import metric_name
from wsgcn.evaluation.stages import none_if_nan

STAGES = ("refined", "refined_crf")
"""What is compared: labels without and with the last dense CRF."""


def compare(counts: Sequence[np.ndarray], reference_counts: Sequence[np.ndarray]) -> dict[str, dict]:
    """The difference of two experiments by stage, as `bootstrap.difference`; None for values that are not known.

    counts: confusions [images, C + 1, C + 2] of each of `STAGES`; no images where there are no masks.
    """
    found = {}
    for stage, own, reference in zip(STAGES, counts, reference_counts, strict=True):
        values = difference(own, reference) if len(own) else dict.fromkeys(("difference", "low", "high"))
        found[stage] = {key: none_if_nan(value) for key, value in values.items()}
    return found


def row_of(
    name: str, evaluations: Mapping[str, Mapping], counts: Sequence[np.ndarray], comparison: Mapping, description: str
) -> dict:
    """An experiment's row of the table: mIoU without and with CRF, each with its 95 % interval and its difference.

    evaluations: by stage; comparison: with the base, {} for the base itself. Shares of 1; None where nothing is known.
    """
    row = {"experiment": name}
    for stage, suffix, stage_counts in zip(STAGES, ("_no_crf", ""), counts, strict=True):
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


def metrics_of(row: Mapping, evaluations: Mapping[str, Mapping]) -> dict[str, float | None]:
    """The row's numbers under the names that MLflow shows: train/refined_crf/difference_to_base and so on."""
    metrics = {}
    for stage, suffix in zip(STAGES, ("_no_crf", ""), strict=True):
        named = {
            "miou_low": f"miou{suffix}_low",
            "miou_high": f"miou{suffix}_high",
            "difference_to_base": f"difference{suffix}",
            "difference_to_base_low": f"low{suffix}",
            "difference_to_base_high": f"high{suffix}",
        }
        metrics |= {metric_name(evaluations[stage], what): row[key] for what, key in named.items()}
    return metrics | {metric_name(evaluations["refined_crf"], "disagreement_with_base"): row["disagreement"]}
