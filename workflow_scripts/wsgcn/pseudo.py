"""Labels from scores: of CAMs, of refined ones, and the complete label through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.crf import dense_crf


def upsample(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scores [L, h, w] to float32 [L, height, width], bilinear with aligned corners.

    Without torch, whose import takes longer than a batch of images.
    """
    scores = np.asarray(scores, np.float32)
    for axis, length in ((1, height), (2, width)):
        place = np.linspace(0, scores.shape[axis] - 1, length)
        before = np.floor(place).astype(int)
        after = np.minimum(before + 1, scores.shape[axis] - 1)
        share = (place - before).astype(np.float32)
        share = share[:, None] if axis == 1 else share
        scores = scores.take(before, axis) * (1 - share) + scores.take(after, axis) * share
    return scores


def label_of(scores: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Argmax of [K + 1, H, W] (background first) as uint8 indices of `classes`."""
    return np.array([0, *classes], np.uint8)[scores.argmax(0)]


def label_from_cams(cams: np.ndarray, classes: Sequence[int], background: float) -> np.ndarray:
    """Argmax of CAMs [K, H, W] against a constant background score, uint8 [H, W] of the classes' indices."""
    winner = cams.argmax(0)
    label = np.asarray(classes, np.uint8)[winner]
    return np.where(cams.max(0) > background, label, 0).astype(np.uint8)


def complete_label(image: np.ndarray, scores: np.ndarray, classes: Sequence[int], crf: Mapping) -> np.ndarray:
    """uint8 [H, W] from refined scores [K + 1, h, w] and the image, uint8 RGB [H, W, 3].

    A GCN's scores go into the CRF as the probabilities that they are, without another softmax; a random walk's are
    divided by their sum.
    """
    return label_of(dense_crf(image, upsample(scores, *image.shape[:2]), crf), classes)
