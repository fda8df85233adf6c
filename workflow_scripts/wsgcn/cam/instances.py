"""Multiple-instance learning of a linear classifier, from features of all locations of images and the images' tags.

An image's score of a class is the mean logit of its highest share of locations, and logistic regression of the tags
fits it. Which locations these are depends on the solution, so they are chosen anew in rounds. The start is the
regression on the highest and the lowest values of each feature by itself, among which a small object shows where a mean
over all locations drowns it. There is no random start, so equal tags give equal maps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from wsgcn.cam.head import tag_matrix

NUM_ROUNDS = 8
"""Rounds of choosing locations."""

DAMPING = 0.5
"""Share of the new locations in the mean that a round goes on with: without the old ones rounds may alternate."""

BIAS_L2 = 1e-6


@dataclass(frozen=True)
class LocationClassifier:
    """Logits of features x: weights x + bias. weights: float [C, D]; bias: [C]."""

    weights: np.ndarray
    bias: np.ndarray


def fit_locations(
    features: Sequence[np.ndarray],
    targets: Sequence[Sequence[int]],
    classes: int,
    top: float,
    l2: float,
    report: Callable[[str], None],
) -> tuple[LocationClassifier, pd.DataFrame]:
    """The classifier of features [L, D] of each image's locations, from the images' classes (indices from 1).

    top: the share of locations that makes an image's score; l2: weight of the penalty on standardised features. Returns
    it for features as they are, and by round (the index `step`) the `loss` and the relative `change` of the weights.
    """
    tags = tag_matrix(targets, classes)
    mean, spread = _moments(features)
    weights, chosen, rows = _start(features, tags, top, l2, mean, spread), None, []
    for _ in range(NUM_ROUNDS):
        scaled = (weights[:, :-1] / spread).astype(np.float32)
        found = np.stack([highest_mean(own, scaled, top) for own in features], axis=1)  # [C, n, D]
        found = (found - mean) / spread
        chosen = found if chosen is None else chosen + DAMPING * (found - chosen)
        before = weights
        solved = [solve_weighted(x, y, l2, w) for x, y, w in zip(chosen, tags.T, before, strict=True)]
        weights, loss = np.stack([w for w, _ in solved]), float(np.mean([loss for _, loss in solved]))
        change = float(np.linalg.norm(weights - before)) / (float(np.linalg.norm(weights)) or 1.0)
        rows.append({"loss": loss, "change": change})
        report(f"round {len(rows)}/{NUM_ROUNDS}: loss {loss:.4f}, weights changed by {change:.3f}")
    history = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"))
    own = weights[:, :-1] / spread
    return LocationClassifier(own, weights[:, -1] - own @ mean), history


def _start(
    features: Sequence[np.ndarray], tags: np.ndarray, top: float, l2: float, mean: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Weights with the bias last, [C, D + 1]: of the regression on extremes, those that a high logit can come from.

    A positive weight of a feature's highest values stands for that feature, one of its lowest values, taken negative,
    for the feature with the opposite sign.
    """
    pairs = (extreme_means(own, top) for own in features)
    extremes = np.stack([np.concatenate([(high - mean) / spread, (mean - low) / spread]) for high, low in pairs])
    width, found = len(mean), []
    for own in tags.T:
        weights, _ = solve_weighted(extremes, own, l2, np.zeros(2 * width + 1))
        positive = np.maximum(weights[:-1], 0)
        found.append(np.append(positive[:width] - positive[width:], weights[-1]))
    return np.stack(found)


def extreme_means(features: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each feature of [L, D], the mean [D] of its highest `share` of values, and that of its lowest."""
    features = np.asarray(features, np.float32)
    count = num_locations(len(features), share)
    high = np.partition(features, len(features) - count, axis=0)[len(features) - count :]
    return high.mean(0), np.partition(features, count - 1, axis=0)[:count].mean(0)


def num_locations(total: int, share: float) -> int:
    """A share of the locations as their number, at least one."""
    return max(1, round(share * total))


def highest_mean(features: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    """The mean features [C, D] of the `share` of locations, at least one, whose logits are highest for each class.

    features: [L, D]; weights: [C, D].
    """
    features = np.asarray(features, np.float32)
    count = num_locations(len(features), share)
    logits = features @ weights.T
    highest = np.argpartition(-logits, count - 1, axis=0)[:count]  # [count, C]
    return features[highest.T].mean(1)


def _moments(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [D] over all locations of all images."""
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
