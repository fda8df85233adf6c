"""Class scores and labels: from CAMs and probabilities to class indices. Imports no torch, which takes seconds."""

from collections.abc import Sequence

import numpy as np


def scores_with_background(cams: np.ndarray, alpha: float) -> np.ndarray:
    """Background (1 - max cam)^alpha before the CAMs [K, h, w] in 0..1: float32 [K + 1, h, w], not yet normalised."""
    background = (1 - cams.max(0, keepdims=True)).clip(0) ** alpha
    return np.concatenate([background, cams]).astype(np.float32)


def upsample(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scores [L, h, w] to float32 [L, height, width], bilinear with aligned corners."""
    _, rows, columns = scores.shape
    return _interpolate(scores, np.linspace(0, rows - 1, height), np.linspace(0, columns - 1, width))


def upsample_and_cut(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scores on the graph's grid [L, h, w] to float32 [L, height, width], bilinear, as IRN's released code does.

    Each node is in the middle of its 4×4 pixels, of which those outside of the image are cut off. Beyond the outermost
    middles scores stay constant.
    """
    rows, columns = ((np.arange(length) + 0.5) / 4 - 0.5 for length in (height, width))  # `graph.grid.STRIDE`
    return _interpolate(scores, rows.clip(0, scores.shape[1] - 1), columns.clip(0, scores.shape[2] - 1))


def _interpolate(scores: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Scores [L, h, w] at the points of these rows and columns, linear between the nearest: float32 [L, H, W]."""
    scores = np.asarray(scores, np.float32)
    for axis, position in ((1, rows), (2, columns)):
        before = np.floor(position).astype(int)
        after = np.minimum(before + 1, scores.shape[axis] - 1)
        weight = (position - before).astype(np.float32)
        weight = weight[:, None] if axis == 1 else weight
        scores = scores.take(before, axis) * (1 - weight) + scores.take(after, axis) * weight
    return scores


SMALLEST_LOG = float(np.log(np.finfo(np.float16).smallest_subnormal))
"""In place of the logarithm of scores that float16 rounds to 0."""


def softmax_of_upsampled_logs(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """The softmax of exp(log scores at full size), float32 [L, height, width], as WSGCN's released code has it.

    scores: probabilities [L, h, w]. That code upsamples the GCN's log p, applies exp, and passes these values in 0..1
    through a softmax before the last CRF, so that no label has more than e times another's probability.
    """
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(np.asarray(scores, np.float32)), SMALLEST_LOG)
    exponentials = np.exp(np.exp(upsample(logs, height, width)))
    return exponentials / exponentials.sum(0)


def label_of(scores: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Argmax of [K + 1, H, W] (background first) as uint8 indices of `classes`."""
    return np.array([0, *classes], np.uint8)[scores.argmax(0)]


def label_from_cams(cams: np.ndarray, classes: Sequence[int], background: float) -> np.ndarray:
    """Argmax of CAMs [K, H, W], K >= 0, against a constant background score, uint8 [H, W] of the classes' indices."""
    if not len(cams):
        return np.zeros(cams.shape[1:], np.uint8)
    winner = cams.argmax(0)
    label = np.asarray(classes, np.uint8)[winner]
    return np.where(cams.max(0) > background, label, 0).astype(np.uint8)


def confidence_of(scores: np.ndarray) -> np.ndarray:
    """The probability of the winning class as grey levels, uint8 [H, W]: round(255 p). scores: [L, H, W] in 0..1."""
    return np.rint(255 * scores.max(0).astype(float)).clip(0, 255).astype(np.uint8)
