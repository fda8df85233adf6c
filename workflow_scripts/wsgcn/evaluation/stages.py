"""A stage's labels against the ground truth: mIoU over the set, per class and per image, with the protocol."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.evaluation import metrics
from wsgcn.evaluation.label_files import (
    Labeller,
    LabelReader,
    cam_labeller,
    label_reader,
    share_without_background,
    walk_labeller,
)
from wsgcn.evaluation.records import mean_seconds
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import IGNORE, read_label, why_skipped

THRESHOLDS = tuple(k / 20 for k in range(1, 13))
"""Background scores at which CAMs, and random walks against a constant, are evaluated in addition."""


@dataclass(frozen=True)
class StageProtocol:
    """What is evaluated: a stage on a split, the protocol in words, the background score that its maps compete with.

    background_score: None for a stage whose labels do not depend on one.
    """

    stage: str
    split: str
    protocol: str
    background_score: float | None = None


def evaluate_stage(
    protocol: StageProtocol, truth: GroundTruth, paths: Sequence[str], seconds: Sequence[str]
) -> tuple[dict, np.ndarray]:
    """Evaluate the label files of a stage: the content of its evaluation.json, and the counts of each masked image.

    paths: one label file per image; seconds: tables of seconds per image. The dict holds `stage`, `split`, `protocol`,
    what `score_labels` returns, `listed` (the number of images of the list), `seconds_per_image`, and where they apply
    `sweep`, `without_background` (of the images with a class) and `false_foreground`.
    """
    result: dict = {"stage": protocol.stage, "split": protocol.split, "protocol": protocol.protocol}
    if protocol.background_score is not None:
        result["sweep"] = sweep_thresholds(paths, truth, cam_labeller if protocol.stage == "cam" else walk_labeller)
    read = label_reader(protocol.stage, protocol.background_score)
    scores, counts = score_labels(paths, truth, read, IGNORE if protocol.stage == "partial" else 0)
    result |= scores
    if protocol.stage == "partial":
        tagged = [path for image, path in zip(truth.ids, paths, strict=True) if image not in truth.negatives]
        result["without_background"] = share_without_background(tagged)
    elif truth.negatives:
        result["false_foreground"] = false_foreground(paths, truth)
    result["listed"] = len(truth.ids)
    if 0 < result["images"] < len(truth.ids):
        result["protocol"] += f", {result['images']} of {len(truth.ids)} images have masks"
    result["seconds_per_image"] = mean_seconds(seconds)
    return result, counts


def score_labels(
    paths: Sequence[str], truth: GroundTruth, read: LabelReader, missing: int = 0
) -> tuple[dict, np.ndarray]:
    """Compare label files with the masks of those images that have one.

    An image that was skipped counts as all `missing`: background, or 255 for labels that need not cover an image.
    Returns `images` (how many were compared), `skipped`, {id: why}, `miou`, `iou` by class name, `coverage` and
    `precision` (in 0..1, None where there are no masks), `confusion` (see `metrics.confusion`) and `by_image`: id, mIoU
    and coverage, worst first; and the confusions of those images in the order of `ids`, int64 [images, C + 1, C + 2].
    """
    classes = truth.classes
    counts_by_image, by_image, skipped = [], [], {}
    for index, (image, path) in enumerate(zip(truth.ids, paths, strict=True)):
        if why := why_skipped(path):
            skipped[image] = why
        mask = truth.read(index)
        if mask is None:
            continue
        label = np.full(mask.shape, missing, np.uint8) if image in skipped else read(path, mask.shape)
        counts = metrics.confusion(mask, label, len(classes))
        counts_by_image.append(counts)
        row = {"image": image, "miou": metrics.miou(counts), "coverage": metrics.coverage(counts)}
        by_image.append({key: none_if_nan(value) for key, value in row.items()})
    scored = bool(by_image)
    shape = (-1, len(classes) + 1, len(classes) + 2)
    all_counts = np.array(counts_by_image, np.int64).reshape(shape)
    total = all_counts.sum(0)
    names = ["background", *classes]
    result = {
        "images": len(by_image),
        "skipped": skipped,
        "miou": none_if_nan(metrics.miou(total)) if scored else None,
        "iou": {n: none_if_nan(v) for n, v in zip(names, metrics.iou(total), strict=True)} if scored else {},
        "coverage": metrics.coverage(total) if scored else None,
        "precision": metrics.precision(total) if scored else None,
        "confusion": total.tolist(),
        "by_image": sorted(by_image, key=worst_first),
    }
    return result, all_counts


def false_foreground(paths: Sequence[str], truth: GroundTruth) -> float | None:
    """The share, in 0..1, of the pixels of the truth's negatives that label PNGs call foreground; None without any.

    Needs no masks: the tags say that all is background. Skipped images are left out, and those whose mask shows a class
    after all.
    """
    pixels = foreground = 0
    for index, (image, path) in enumerate(zip(truth.ids, paths, strict=True)):
        if image not in truth.negatives or why_skipped(path):
            continue
        mask = truth.read(index)
        if mask is not None and ((mask > 0) & (mask != IGNORE)).any():
            continue
        label = read_label(path)
        pixels, foreground = pixels + label.size, foreground + int(((label > 0) & (label != IGNORE)).sum())
    return foreground / pixels if pixels else None


def sweep_thresholds(
    paths: Sequence[str], truth: GroundTruth, labeller: Callable[[str, tuple[int, int]], Labeller]
) -> dict[str, float | None]:
    """mIoU of score files at each of `THRESHOLDS`, {"0.25": mIoU}; empty where there are no masks.

    labeller: `cam_labeller` or `walk_labeller`. A skipped image counts as background, as in `score_labels`.
    """
    totals: dict[float, np.ndarray] = {}
    for index, (_, path) in enumerate(zip(truth.ids, paths, strict=True)):
        mask = truth.read(index)
        if mask is None:
            continue
        label_at = None if why_skipped(path) else labeller(path, mask.shape)
        for threshold in THRESHOLDS:
            label = label_at(threshold) if label_at else np.zeros_like(mask)
            totals[threshold] = totals.get(threshold, 0) + metrics.confusion(mask, label, len(truth.classes))
    return {f"{threshold:.2f}": none_if_nan(metrics.miou(counts)) for threshold, counts in totals.items()}


def worst_first(row: Mapping) -> tuple[bool, float]:
    """Sort key of a table of images: ascending mIoU, unknown ones last."""
    return (True, 0.0) if row["miou"] is None else (False, row["miou"])


def none_if_nan(value):
    """None in place of nan, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value
