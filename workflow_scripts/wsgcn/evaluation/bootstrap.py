"""Bootstrap over images: how far the mIoU of a set would move with other images from the same population.

counts are int [n, C + 1, C + 2], one `metrics.confusion` per image. Intervals are percentiles over resampled images,
paired where two experiments are compared: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

import numpy as np

from wsgcn.evaluation.metrics import miou

MAX_WEIGHTS = 2**22
"""Weights of images, 16 bytes each, in memory at a time: for 10,582 images those of 396 draws."""


def resampled_miou(counts: np.ndarray, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """mIoU of `draws` resamples of the n images with replacement, float [draws]; nan where a resample has no truth.

    Equals `metrics.miou` of the resample's summed counts: the mean over the classes that occur in its truth. The
    resamples depend on n, draws and seed only, so experiments on the same images in the same order are paired.
    """
    images, rows = counts.shape[:2]
    if not images:
        return np.full(draws, np.nan)
    # Hits, union and truth of each class add up over images, and the IoU needs nothing else of the matrix.
    labelled = counts[:, :, :-1]
    hits = np.diagonal(labelled, axis1=1, axis2=2)
    union = labelled.sum(1) + labelled.sum(2) - hits
    # float64 is exact up to 2**53 pixels, and only floats are multiplied by BLAS.
    parts = np.concatenate([hits, union, counts.sum(2)], axis=1).astype(np.float64)
    rng = np.random.default_rng(seed)
    chunk = max(1, MAX_WEIGHTS // images)
    values = []
    for start in range(0, draws, chunk):
        weights = rng.multinomial(images, np.full(images, 1 / images), size=min(chunk, draws - start))
        hit, either, truth = np.split(weights.astype(np.float64) @ parts, (rows, 2 * rows), axis=1)
        occurring = (truth > 0).sum(1)
        total = np.where(truth > 0, hit / np.maximum(either, 1), 0).sum(1)
        values.append(np.where(occurring > 0, total / np.maximum(occurring, 1), np.nan))
    return np.concatenate(values) if values else np.empty(0)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval that covers `level` of the values, without nan; (nan, nan) where no value remains."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference(counts: np.ndarray, base_counts: np.ndarray, draws: int = 2000, seed: int = 0) -> dict[str, float]:
    """mIoU of `counts` minus that of `base_counts`, and its 95 % interval over paired resamples, all in 0..1.

    Returns {"difference", "low", "high"}. Raises ValueError unless both list the same images in the same order.
    """
    if len(counts) != len(base_counts):
        raise ValueError(f"{len(counts)} images cannot be paired with the base's {len(base_counts)}")
    # The row sums are the truth's pixels by class, whatever the prediction.
    if not np.array_equal(counts.sum(2), base_counts.sum(2)):
        raise ValueError("the truth's pixels differ from the base's: not the same images in the same order")
    low, high = interval(resampled_miou(counts, draws, seed) - resampled_miou(base_counts, draws, seed))
    return {"difference": miou(counts.sum(0)) - miou(base_counts.sum(0)), "low": low, "high": high}
