"""How well scores without truth find the worst labels, where there are masks: AUROC with bootstrap intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from wsgcn.evaluation.bootstrap import interval

WORST_SHARE = 0.25
"""The share of the images whose labels are to be found: the worst by mIoU."""

TRUTH_COLUMNS = ("score", "auroc", "low", "high", "images", "worst")
"""Of the table of AUROCs."""

MAX_DRAWN = 2**22
"""Images in memory at a time, over resamples."""


def image_miou(counts: np.ndarray, tags: Sequence[int]) -> float:
    """The mIoU of one image, in 0..1, over the background and the classes that are tags or in the truth.

    counts: int [C + 1, C + 2], see `metrics.confusion`; tags: indices from 1. A class that covers nothing in both label
    and truth is left out. nan where the truth has no pixel.
    """
    labelled = counts[:, :-1].astype(np.float64)
    hits = np.diag(labelled)
    union = counts.sum(1) + labelled.sum(0) - hits
    judged = counts.sum(1) > 0
    judged[[0, *tags]] = True
    judged &= union > 0
    return float((hits[judged] / union[judged]).mean()) if counts.sum() else float("nan")


def worst_labels(mious: np.ndarray) -> np.ndarray:
    """Which images, bool [n], are among the worst `WORST_SHARE` by mIoU, rounded up; with them all of equal mIoU."""
    if not len(mious):
        return np.zeros(0, bool)
    count = int(np.ceil(WORST_SHARE * len(mious)))
    return mious <= np.sort(mious)[count - 1]


def auroc(bad: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of finding what is bad by a low score, in 0..1, of each row: float [...].

    bad: bool [..., n]; scores: float [..., n]. It is the probability that a bad image has a lower score than a good
    one, equal scores counting half (Mann & Whitney); nan where all are bad, or none.
    """
    ranks = rankdata(scores, axis=-1)
    positives = bad.sum(-1)
    pairs = positives * (bad.shape[-1] - positives)
    higher = (ranks * bad).sum(-1) - positives * (positives + 1) / 2
    return np.where(pairs > 0, 1 - higher / np.maximum(pairs, 1), np.nan)


def auroc_table(
    scores: Mapping[str, np.ndarray], mious: np.ndarray, draws: int = 2000, seed: int = 0
) -> list[dict[str, object]]:
    """The AUROC of each score for `worst_labels`, best first, with its 95 % interval over resampled images.

    scores: float [n] by name; mious: float [n], those of the images. Rows have `TRUTH_COLUMNS`; `images` is n, `worst`
    how many of them are to be found. Which images are bad is decided once; resamples are the same for all
    scores.
    """
    bad, images = worst_labels(mious), len(mious)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in scores}
    rng, chunk = np.random.default_rng(seed), max(1, MAX_DRAWN // max(1, images))
    for start in range(0, draws if images else 0, chunk):
        indices = rng.integers(images, size=(min(chunk, draws - start), images))
        for name, own in scores.items():
            drawn[name].append(auroc(bad[indices], own[indices]))
    values = {name: float(auroc(bad, own)) for name, own in scores.items()}
    rows: list[dict[str, object]] = []
    for name in sorted(values, key=lambda name: -np.nan_to_num(values[name])):
        low, high = interval(np.concatenate(drawn[name]) if drawn[name] else np.empty(0))
        cells = (name, values[name], low, high, images, int(bad.sum()))
        rows.append(dict(zip(TRUTH_COLUMNS, cells, strict=True)))
    return rows
