"""Multiple-instance learning: its regression, its choice of locations, what it finds of a small object.

Run alone: `.venv/bin/python -m pytest tests/cam/test_instances.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.cam.instances import BIAS_L2, fit_locations, highest_mean, schedule, solve_weighted


@pytest.mark.parametrize("positive", [3, 20])
def test_the_regression_is_where_gradient_descent_ends_whatever_the_share_of_positives(positive):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((40, 3)), (np.arange(40) < positive).astype(float)
    x[:, 0] += y
    found, loss = solve_weighted(x, y, 0.05, np.zeros(4))
    w = torch.zeros(4, dtype=torch.float64, requires_grad=True)

    def slow() -> torch.Tensor:
        total = 0.05 * w[:3].square().sum() + BIAS_L2 * w[3] ** 2
        for value, share in ((1.0, 0.5 / positive), (0.0, 0.5 / (40 - positive))):
            for row in x[y == value]:
                p = torch.sigmoid(torch.from_numpy(row) @ w[:3] + w[3])
                total = total - share * torch.log(p if value else 1 - p)
        return total

    for _ in range(800):
        (gradient,) = torch.autograd.grad(slow(), w)
        with torch.no_grad():
            w -= 2 * gradient
    np.testing.assert_allclose(found, w.detach().numpy(), atol=1e-3)
    assert loss == pytest.approx(slow().item(), rel=1e-5)


def test_a_class_of_all_images_has_a_finite_solution():
    found, _ = solve_weighted(np.random.default_rng(0).standard_normal((10, 2)), np.ones(10), 0.1, np.zeros(3))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.001, 1), (1, 10)])
def test_the_highest_locations_of_each_class_are_averaged(share, count):
    rng = np.random.default_rng(0)
    features, weights = rng.standard_normal((10, 4)).astype("f4"), rng.standard_normal((3, 4)).astype("f4")
    expected = [np.mean(sorted(features, key=lambda x, w=w: -float(x @ w))[:count], axis=0) for w in weights]
    np.testing.assert_allclose(highest_mean(features, weights, share), expected, rtol=1e-5)


def test_the_share_shrinks_to_the_wanted_one():
    assert schedule(0.01) == [0.3] * 3 + [0.1] * 3 + [0.03] * 3 + [0.01] * 6
    assert schedule(0.2) == [0.3] * 3 + [0.2] * 6 and schedule(1) == [1] * 6


def bags(offset: float = 0.0):
    """40 images of 200 locations, 20 of which have 2 locations of class 1; ten of the others 2 of class 2."""
    rng, features, targets = np.random.default_rng(5), [], []
    for k in range(40):
        own = rng.standard_normal((200, 8)).astype("f4") + 3 * rng.standard_normal(8).astype("f4")
        targets.append([1] if k < 20 else [2] if k < 30 else [])
        for c in targets[-1]:
            own[:2, c] += 8
        features.append(own + np.float32(offset))
    return features, targets


def test_small_objects_are_found_where_an_average_drowns_them():
    features, targets = bags()
    found, history = fit_locations(features, targets, 2, 0.01, 1e-3, lambda line: None)
    logits = [x @ found.weights.T + found.bias for x in features]
    hits = [set(np.argsort(-z[:, own[0] - 1])[:2]) == {0, 1} for z, own in zip(logits, targets, strict=True) if own]
    assert np.mean(hits) > 0.8
    assert history["share"].iloc[0] == 1 and history["share"].iloc[-1] == 0.01 and np.isfinite(history).all(axis=None)
    averaged, _ = fit_locations(features, targets, 2, 1.0, 1e-3, lambda line: None)
    logits = [x @ averaged.weights.T for x in features]
    lost = [set(np.argsort(-z[:, own[0] - 1])[:2]) == {0, 1} for z, own in zip(logits, targets, strict=True) if own]
    assert np.mean(lost) < np.mean(hits)


def test_the_result_depends_on_nothing_but_features_and_tags():
    features, targets = bags()
    first, _ = fit_locations(features, targets, 2, 0.02, 1e-2, lambda line: None)
    again, _ = fit_locations(features, targets, 2, 0.02, 1e-2, lambda line: None)
    assert np.array_equal(first.weights, again.weights) and np.array_equal(first.bias, again.bias)
    weaker, _ = fit_locations(features, targets, 2, 0.02, 1e-1, lambda line: None)
    assert np.linalg.norm(weaker.weights) < np.linalg.norm(first.weights)


def test_logits_do_not_depend_on_where_features_are_centred():
    (plain, targets), (shifted, _) = bags(), bags(2.0)
    a, _ = fit_locations(plain, targets, 2, 0.05, 1e-2, lambda line: None)
    b, _ = fit_locations(shifted, targets, 2, 0.05, 1e-2, lambda line: None)
    np.testing.assert_allclose(plain[0] @ a.weights.T + a.bias, shifted[0] @ b.weights.T + b.bias, atol=1e-2)
