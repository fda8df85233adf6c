"""Multiple-instance learning: its regression, its start, its choice of locations, what it finds of a small object.

Run alone: `.venv/bin/python -m pytest tests/cam/test_instances.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.cam.instances import BIAS_L2, extreme_means, fit_locations, highest_mean, solve_weighted


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


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.001, 1), (1, 10)])
def test_extremes_are_means_of_the_sorted_values_of_each_feature(share, count):
    features = np.random.default_rng(0).standard_normal((10, 4)).astype("f4")
    high, low = extreme_means(features, share)
    np.testing.assert_allclose(high, np.mean(np.sort(features, 0)[-count:], 0), rtol=1e-5)
    np.testing.assert_allclose(low, np.mean(np.sort(features, 0)[:count], 0), rtol=1e-5)


def bags(offset: float = 0.0):
    """40 images of 200 locations: 20 have 4 of class 1, with a high feature 1; 10 have 4 of class 2, with a low 2."""
    rng, features, targets = np.random.default_rng(5), [], []
    for k in range(40):
        own = rng.standard_normal((200, 40)).astype("f4") + 0.5 * rng.standard_normal(40).astype("f4")
        targets.append([1] if k < 20 else [2] if k < 30 else [])
        for c in targets[-1]:
            own[:4, c] += 6 if c == 1 else -6
        features.append(own + np.float32(offset))
    return features, targets


def share_found(found, features, targets) -> float:
    """Of the images with a class, the share whose four highest locations are the objects."""
    logits = [x @ found.weights.T + found.bias for x in features]
    pairs = [(z[:, own[0] - 1], own) for z, own in zip(logits, targets, strict=True) if own]
    return float(np.mean([set(np.argsort(-z)[:4]) == {0, 1, 2, 3} for z, _ in pairs]))


def test_small_objects_are_found_where_an_average_drowns_them():
    features, targets = bags()
    found, history = fit_locations(features, targets, 2, 0.02, 1e-3, lambda line: None)
    assert share_found(found, features, targets) > 0.8
    assert len(history) == 8 and np.isfinite(history).all(axis=None)
    averaged, _ = fit_locations(features, targets, 2, 1.0, 1e-3, lambda line: None)
    assert share_found(averaged, features, targets) < 0.2


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
