"""mIoU and related metrics: counts first, reductions after, so that counts of images and batches add up."""

import numpy as np

from wsgcn.files import IGNORE


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by true and predicted class, int64 [classes + 1, classes + 2].

    truth, prediction: int [H, W]. Rows are the truth's classes 0..C; columns are the prediction's classes 0..C, then
    pixels that the prediction leaves unlabelled (255). Pixels with 255 in the truth are left out. Raises ValueError
    where sizes differ, or where either holds a class above C.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        beyond = labels[(labels != IGNORE) & ((labels > classes) | (labels < 0))]
        if beyond.size:
            raise ValueError(f"the {name} holds class {beyond.max()}, but there are only {classes}")
    known = truth != IGNORE
    rows = truth[known].astype(np.int64)
    columns = np.where(prediction[known] == IGNORE, classes + 1, prediction[known]).astype(np.int64)
    counts = np.bincount(rows * (classes + 2) + columns, minlength=(classes + 1) * (classes + 2))
    return counts.reshape(classes + 1, classes + 2)


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, float [C + 1], from `confusion`; nan for classes not in the truth.

    Unlabelled pixels of the prediction do not count: for partial labels this is the IoU over the labelled pixels.
    WSGCN's released metric has 0, not nan, for a class that is predicted and never true; DeepLab's has nan.
    """
    labelled = counts[:, :-1].astype(np.float64)
    hits = np.diag(labelled)
    union = labelled.sum(0) + labelled.sum(1) - hits
    occurs = counts.sum(1) > 0
    return np.where(occurs, hits / np.maximum(union, 1), np.nan)


def miou(counts: np.ndarray) -> float:
    """Mean of `iou` over the classes that occur in the truth, in 0..1; nan where none does."""
    values = iou(counts)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def coverage(counts: np.ndarray) -> float:
    """Share of the truth's pixels that the prediction labels, in 0..1."""
    return float(counts[:, :-1].sum() / max(counts.sum(), 1))


def precision(counts: np.ndarray) -> float:
    """Share of the labelled pixels whose class is right, in 0..1."""
    return float(np.diag(counts).sum() / max(counts[:, :-1].sum(), 1))
