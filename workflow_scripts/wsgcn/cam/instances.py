"""Multiple-instance learning of linear classifiers, from features of all locations of images and the images' tags.

An image's score of a class is the mean logit of its highest share of locations, and logistic regression of the tags
fits it. Which locations these are depends on the solution, so they are chosen anew in rounds. The start is the
regression on the highest and the lowest values of each feature by itself, among which a small object shows where a mean
over all locations drowns it. There is no random start, so equal tags give equal maps. The right share is about the size
of the objects: of several, the one is taken that tells best which held-out images show the class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from wsgcn.cam.head import average_precisions

NUM_ROUNDS = 8
"""Rounds of choosing locations."""

DAMPING_SHARE = 0.5
"""Share of the new locations in the mean that a round goes on with: without the old ones rounds may alternate."""

BIAS_L2 = 1e-6

AP_TOLERANCE = 0.03
"""Of shares whose average precisions differ by no more, the smallest is taken: larger ones let the ground in."""

MAX_GATHERED = 64
"""Up to so many locations are gathered to be averaged; more are summed by a product with a matrix of 0 and 1."""


@dataclass(frozen=True)
class Problem:
    """One classifier to fit: the index of its class (from 0), the share of the locations that makes an image's score,
    and the images that it learns from, bool [n]."""

    index: int
    top: float
    images: np.ndarray


@dataclass(frozen=True)
class LocationClassifiers:
    """M linear classifiers: logits of features x are weights x + bias. weights: float [M, D]; bias: [M]."""

    weights: np.ndarray
    bias: np.ndarray


def choose_tops(
    candidates: Sequence[Sequence[float]], tags: np.ndarray, fold: np.ndarray
) -> tuple[list[Problem], Callable[[np.ndarray], tuple[list[int], np.ndarray]]]:
    """What must be fitted to choose a share for each class, and how the scores of all that then choose it.

    candidates: of each class; tags: [n, C]; fold: of the images, [n]. Returns the problems, each share of each class
    once without each fold and once with all images, and a function from the images' scores by them, [n, M], to the
    chosen problem of each class, indices [C] of those with all images, and its average precisions on the images held
    out, [folds, C], nan where all or none show the class. Of shares about as good as the best (`AP_TOLERANCE`) the
    smallest is taken.
    """
    folds = range(int(fold.max()) + 1)
    masks = [fold != k for k in folds] + [np.ones(len(fold), bool)]
    problems = [Problem(c, top, mask) for c, tops in enumerate(candidates) for top in sorted(tops) for mask in masks]

    def choose(scores: np.ndarray) -> tuple[list[int], np.ndarray]:
        chosen, table = [], np.full((len(folds), tags.shape[1]), np.nan)
        for c in range(tags.shape[1]):
            starts = [m for m in range(0, len(problems), len(masks)) if problems[m].index == c]
            found = [[_precision(tags[fold == k, c], scores[fold == k, m + k]) for k in folds] for m in starts]
            means = np.array([np.nanmean(own) if np.isfinite(own).any() else 0 for own in found])
            best = int(np.argmax(means >= means.max() - AP_TOLERANCE))
            chosen.append(starts[best] + len(masks) - 1)
            table[:, c] = found[best]
        return chosen, table

    return problems, choose


def _precision(tags: np.ndarray, scores: np.ndarray) -> float:
    return float(average_precisions(tags[:, None], scores[:, None])[0]) if len(tags) else np.nan


def fit_locations(
    features: Sequence[np.ndarray],
    tags: np.ndarray,
    problems: Sequence[Problem],
    l2: float,
    report: Callable[[str], None] = print,
) -> tuple[LocationClassifiers, np.ndarray, pd.DataFrame]:
    """The classifiers of features [L, D] of each image's locations, from the images' tags, [n, C] of 0 and 1.

    l2: weight of the penalty on standardised features. Returns them for features as they are, the images' scores by
    them, [n, M], and by round (the index `step`) the `loss` and the relative `change` of the weights.
    """
    mean, spread = moments(features)
    weights, chosen, rows = _start(features, tags, problems, l2, mean, spread), None, []
    for _ in range(NUM_ROUNDS):
        found = _highest(features, weights, problems, mean, spread)
        chosen = found if chosen is None else (1 - DAMPING_SHARE) * chosen + DAMPING_SHARE * found
        before = weights
        solved = [
            solve_weighted(x[own.images].astype(np.float64), tags[own.images, own.index], l2, w)
            for x, own, w in zip(chosen, problems, before, strict=True)
        ]
        weights, loss = np.stack([w for w, _ in solved]), float(np.mean([loss for _, loss in solved]))
        change = float(np.linalg.norm(weights - before)) / (float(np.linalg.norm(weights)) or 1.0)
        rows.append({"loss": loss, "change": change})
        report(f"round {len(rows)}/{NUM_ROUNDS}: loss {loss:.4f}, weights changed by {change:.3f}")
    history = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"))
    scores = np.einsum("mnd,md->nm", _highest(features, weights, problems, mean, spread), weights[:, :-1])
    own = weights[:, :-1] / spread
    return LocationClassifiers(own, weights[:, -1] - own @ mean), scores + weights[:, -1], history


def _highest(
    features: Sequence[np.ndarray],
    weights: np.ndarray,
    problems: Sequence[Problem],
    mean: np.ndarray,
    spread: np.ndarray,
) -> np.ndarray:
    """Standardised mean features, float32 [M, n, D], of the locations of the highest logits, of every image."""
    scaled, tops = (weights[:, :-1] / spread).astype(np.float32), [own.top for own in problems]
    found = np.stack([highest_means(own, scaled, tops) for own in features], axis=1)
    found -= mean.astype(np.float32)
    found /= spread.astype(np.float32)
    return found


def _start(
    features: Sequence[np.ndarray],
    tags: np.ndarray,
    problems: Sequence[Problem],
    l2: float,
    mean: np.ndarray,
    spread: np.ndarray,
) -> np.ndarray:
    """Weights with the bias last, [M, D + 1]: of the regression on extremes, those that a high logit can come from.

    A positive weight of a feature's highest values stands for that feature, one of its lowest values, taken negative,
    for the feature with the opposite sign.
    """
    tops = sorted({own.top for own in problems})
    extremes = []
    for own in features:
        high, low = extreme_means(own, tops)
        extremes.append(np.concatenate([(high - mean) / spread, (mean - low) / spread], axis=1))
    table, width, found = np.stack(extremes), len(mean), []  # [n, T, 2D]
    for problem in problems:
        x = table[problem.images, tops.index(problem.top)]
        weights, _ = solve_weighted(x, tags[problem.images, problem.index], l2, np.zeros(2 * width + 1))
        positive = np.maximum(weights[:-1], 0)
        found.append(np.append(positive[:width] - positive[width:], weights[-1]))
    return np.stack(found)


def extreme_means(features: np.ndarray, shares: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Of each feature of [L, D], the mean of each highest share of its values, [T, D], and that of each lowest."""
    ordered = np.sort(np.ascontiguousarray(np.asarray(features, np.float32).T), axis=1)
    counts = [num_locations(len(features), share) for share in shares]
    high = [ordered[:, -count:].mean(1, dtype=np.float64) for count in counts]
    return np.stack(high), np.stack([ordered[:, :count].mean(1, dtype=np.float64) for count in counts])


def num_locations(total: int, share: float) -> int:
    """A share of the locations as their number, at least one."""
    return max(1, round(share * total))


def highest_means(features: np.ndarray, weights: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The mean features [M, D] of the share of locations, at least one, whose logits are highest.

    features: [L, D]; weights: [M, D]; shares: [M]. Where logits are equal, more locations may count.
    """
    features = np.asarray(features, np.float32)
    logits, total = weights @ features.T, len(features)
    counts = np.array([num_locations(total, share) for share in shares])
    found = np.empty((len(weights), features.shape[1]), np.float32)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        if count <= MAX_GATHERED:
            highest = np.argpartition(logits[rows], total - count, axis=1)[:, total - count :]
            found[rows] = features[highest].mean(1)
        else:
            bound = np.partition(logits[rows], total - count, axis=1)[:, total - count]
            taken = (logits[rows] >= bound[:, None]).astype(np.float32)
            found[rows] = taken @ features / taken.sum(1, keepdims=True)
    return found


def moments(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (+1e-6) over the locations of all images, each [D], of their features [L, D]."""
    width = np.shape(features[0])[1]
    total, squares, count = np.zeros(width), np.zeros(width), 0
    for own in features:
        wide = np.asarray(own, np.float64)
        total, squares, count = total + wide.sum(0), squares + np.square(wide).sum(0), count + len(wide)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0)) + 1e-6


def solve_weighted(features: np.ndarray, tags: np.ndarray, l2: float, start: np.ndarray) -> tuple[np.ndarray, float]:
    """The [D + 1] that minimise the weighted mean cross-entropy plus l2 · |w|², the bias last.

    features: [n, D]; tags: [n] of 0 and 1. Images with and without the class weigh the same in sum, however many they
    are: most images may show nothing. The bias has the small penalty BIAS_L2 · b², without which it would grow for ever
    where all images show the class. Returns the minimum as well.
    """
    shares = [(tags == value).sum() for value in (0, 1)]
    weight = np.where(tags > 0, 1 / max(shares[1], 1), 1 / max(shares[0], 1))
    weight /= weight.sum()

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        logits = features @ w[:-1] + w[-1]
        slope = weight * (expit(logits) - tags)
        penalty = np.append(l2 * w[:-1], BIAS_L2 * w[-1])
        loss = weight @ (np.logaddexp(0, logits) - tags * logits) + penalty @ w
        return loss, np.append(features.T @ slope, slope.sum()) + 2 * penalty

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 0, "gtol": 1e-7})
    return found.x, float(found.fun)
