"""Multiple-instance learning of a linear classifier, from features of all locations of images and the images' tags.

An image's score of a class is the mean logit of its highest share of locations, and logistic regression of the tags
fits it. Which locations these are depends on the solution: they are chosen anew in rounds, while the share shrinks from
all locations, whose problem is convex, to the wanted one. There is no random start, so equal tags give equal maps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from wsgcn.cam.head import tag_matrix

SHARES = (0.3, 0.1, 0.03, 0.01)
"""Shares of locations on the way to the wanted one."""

NUM_ROUNDS = 3
"""Rounds of choosing locations at each share; twice as many at the wanted one."""

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

    top: the wanted share of locations; l2: weight of the penalty on standardised features. Returns it for features as
    they are, and the `share`, the `loss` and the relative `change` of the weights of each round (the index `step`).
    """
    tags = tag_matrix(targets, classes)
    mean, spread = _moments(features)
    chosen = np.stack([np.asarray(own, np.float32).mean(0) for own in features]).astype(np.float64)
    chosen = np.repeat((chosen - mean)[None] / spread, classes, 0)  # [C, n, D]
    weights, loss = _solve(chosen, tags, l2, np.zeros((classes, len(mean) + 1)))
    rows: list[dict[str, float]] = [{"share": 1.0, "loss": loss, "change": 1.0}]
    for share in schedule(top):
        scaled = (weights[:, :-1] / spread).astype(np.float32)
        found = np.stack([highest_mean(own, scaled, share) for own in features], axis=1)
        chosen += DAMPING * ((found - mean) / spread - chosen)
        before = weights
        weights, loss = _solve(chosen, tags, l2, before)
        change = float(np.linalg.norm(weights - before)) / (float(np.linalg.norm(weights)) or 1.0)
        rows.append({"share": share, "loss": loss, "change": change})
        report(f"share {share:g} of the locations: loss {loss:.4f}, weights changed by {change:.3f}")
    history = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"))
    own = weights[:, :-1] / spread
    return LocationClassifier(own, weights[:, -1] - own @ mean), history


def schedule(top: float) -> list[float]:
    """The share of each round."""
    before = [share for share in SHARES if share > top for _ in range(NUM_ROUNDS)]
    return before + [top] * 2 * NUM_ROUNDS


def highest_mean(features: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    """The mean features [C, D] of the `share` of locations, at least one, whose logits are highest for each class.

    features: [L, D]; weights: [C, D].
    """
    features = np.asarray(features, np.float32)
    count = max(1, round(share * len(features)))
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


def _solve(chosen: np.ndarray, tags: np.ndarray, l2: float, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Logistic regression of each class on its own features [C, n, D]: [C, D + 1], the bias last; the mean loss."""
    solved = [solve_weighted(x, y, l2, w) for x, y, w in zip(chosen, tags.T, start, strict=True)]
    return np.stack([w for w, _ in solved]), float(np.mean([loss for _, loss in solved]))


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
