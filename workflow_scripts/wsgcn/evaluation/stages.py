"""Every stage's labels against the truth: mIoU by stage, by class and by image, with its protocol written beside."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from wsgcn.data.augment import resize_label
from wsgcn.data.dataset import read_truth
from wsgcn.evaluation import metrics
from wsgcn.files import read_arrays, read_label, why_skipped
from wsgcn.labels.scores import label_from_cams, label_of, upsample

THRESHOLDS = tuple(k / 20 for k in range(1, 13))
"""Background scores that CAMs, and random walks against a constant, are evaluated at, beside the configured one."""


def cam_labels(path: str, size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """A CAM file's argmax against a background score, nearest at full size: {score: uint8 [H, W]} as a function."""
    cam = read_arrays(path)
    return lambda background: resize_label(label_from_cams(cam["high_res"], cam["keys"], background), *size)


def walk_labels(path: str, size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """As `cam_labels`, of a refined file's scores without their background, which was a constant."""
    refined = read_arrays(path)
    scores = upsample(refined["scores"][1:], *size)
    return lambda background: label_from_cams(scores, refined["keys"], background)


def cam_label(path: str, size: tuple[int, int], background: float) -> np.ndarray:
    """A CAM file's label at one background score, uint8 [H, W]."""
    return cam_labels(path, size)(background)


def refined_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """Argmax of a refined file's scores at full size, uint8 [H, W]: the GCN or the random walk without the CRF."""
    refined = read_arrays(path)
    return label_of(upsample(refined["scores"], *size), refined["keys"])


def grid_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """A label on the grid, nearest at full size, uint8 [H, W]."""
    return resize_label(read_label(path), *size)


def pixel_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """A label PNG at full size as it stands."""
    return read_label(path)


def evaluate(
    ids: Sequence[str],
    paths: Sequence[str],
    masks: Sequence[str | None],
    mask_values: Sequence[int],
    classes: Sequence[str],
    read: Callable[[str, tuple[int, int]], np.ndarray],
    missing: int = 0,
) -> tuple[dict, np.ndarray]:
    """Compare the labels that `read(path, size)` gives with the masks of those images that have one.

    An image that was skipped counts as all `missing`: background, or 255 for labels that need not cover an image.
    Returns `skipped`, {id: why}; `images` (how many were compared), `miou`, `iou` by class name, `coverage` and
    `precision` (in 0..1, None where there are no masks), `confusion` (see `metrics.confusion`) and `by_image`: id, mIoU
    and coverage, worst first; and the confusions of those images in the order of `ids`, int64 [images, C + 1, C + 2].
    """
    counts_by_image, by_image, skipped = [], [], {}
    for image, path, mask in zip(ids, paths, masks, strict=True):
        if why := why_skipped(path):
            skipped[image] = why
        if mask is None:
            continue
        truth = read_truth(mask, mask_values)
        label = np.full(truth.shape, missing, np.uint8) if image in skipped else read(path, truth.shape)
        counts = metrics.confusion(truth, label, len(classes))
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
        "by_image": sorted(by_image, key=lambda row: (row["miou"] is None, row["miou"])),
    }
    return result, all_counts


def without_background(paths: Iterable[str]) -> float:
    """The share of labels that hold no pixel of background, among those that were not skipped; 0 of none."""
    labels = [path for path in paths if not why_skipped(path)]
    return sum(0 not in read_label(path) for path in labels) / max(1, len(labels))


def none_if_nan(value):
    """JSON knows no nan: None in its place."""
    return None if isinstance(value, float) and math.isnan(value) else value


def sweep(
    paths: Sequence[str],
    masks: Sequence[str | None],
    mask_values: Sequence[int],
    classes: int,
    labels: Callable[[str, tuple[int, int]], Callable[[float], np.ndarray]],
) -> dict[str, float | None]:
    """mIoU of files at each of `THRESHOLDS`, as {"0.25": mIoU}; empty where there are no masks.

    labels: `cam_labels` or `walk_labels`. An image that was skipped counts as background, as in `evaluate`.
    """
    totals = {}
    for path, mask in zip(paths, masks, strict=True):
        if mask is None:
            continue
        truth = read_truth(mask, mask_values)
        label_at = None if why_skipped(path) else labels(path, truth.shape)
        for threshold in THRESHOLDS:
            label = label_at(threshold) if label_at else np.zeros_like(truth)
            totals[threshold] = totals.get(threshold, 0) + metrics.confusion(truth, label, classes)
    return {f"{threshold:.2f}": none_if_nan(metrics.miou(counts)) for threshold, counts in totals.items()}


def mean_seconds(tables: Sequence[str]) -> float | None:
    """Mean seconds an image over the tables of the batch jobs, added up where an image stands in several; None of none.

    Skipped images do not stand in them.
    """
    rows = [pd.read_csv(table) for table in tables]
    seconds = pd.concat(rows).groupby("image")["seconds"].sum() if rows else []
    return float(seconds.mean()) if len(seconds) else None


def all_skipped(evaluations: Iterable[Mapping]) -> dict[str, str]:
    """The images that were skipped at any of the evaluated stages, {id: why}."""
    return {image: why for evaluation in evaluations for image, why in evaluation["skipped"].items()}
