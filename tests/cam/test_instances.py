"""Multiple-instance learning: its regression, its start, its choice of locations, what it finds of a small object.

Run alone: `.venv/bin/python -m pytest tests/cam/test_instances.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.cam import instances
from wsgcn.cam.head import tag_matrix
from wsgcn.cam.instances import (
    BIAS_L2,
    Problem,
    choose_tops,
    extreme_means,
    fit_locations,
    highest_means,
    solve_weighted,
)


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


SHARES = {0.2: 2, 0.001: 1, 0.5: 5, 1: 10}  # of ten locations


@pytest.mark.parametrize("gathered", [0, 3, 64])
def test_the_highest_locations_by_each_classifier_are_averaged(gathered, monkeypatch):
    monkeypatch.setattr(instances, "MAX_GATHERED", gathered)
    rng = np.random.default_rng(0)
    features, weights = rng.standard_normal((10, 4)).astype("f4"), rng.standard_normal((4, 4)).astype("f4")
    pairs = zip(weights, SHARES.values(), strict=True)
    expected = [np.mean(sorted(features, key=lambda x, w=w: -float(x @ w))[:n], axis=0) for w, n in pairs]
    np.testing.assert_allclose(highest_means(features, weights, list(SHARES)), expected, rtol=1e-5, atol=1e-6)


def test_extremes_are_means_of_the_sorted_values_of_each_feature():
    features = np.random.default_rng(0).standard_normal((10, 4)).astype("f4")
    high, low = extreme_means(features, list(SHARES))
    counts = SHARES.values()
    np.testing.assert_allclose(high, [np.mean(np.sort(features, 0)[-n:], 0) for n in counts], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(low, [np.mean(np.sort(features, 0)[:n], 0) for n in counts], rtol=1e-5, atol=1e-6)


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


def fit(features, targets, top, l2):
    """The classifiers of both classes from all images, and their history."""
    tags = tag_matrix(targets, 2)
    problems = [Problem(c, top, np.ones(len(tags), bool)) for c in range(2)]
    found, scores, history = fit_locations(features, tags, problems, l2, lambda line: None)
    logits = [np.sort(x @ found.weights.T + found.bias, 0) for x in features]
    expected = [z[-max(1, round(top * len(z))) :].mean(0) for z in logits]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
    return found, history


def share_found(found, features, targets) -> float:
    """Of the images with a class, the share whose four highest locations are the objects."""
    logits = [x @ found.weights.T + found.bias for x in features]
    pairs = [(z[:, own[0] - 1], own) for z, own in zip(logits, targets, strict=True) if own]
    return float(np.mean([set(np.argsort(-z)[:4]) == {0, 1, 2, 3} for z, _ in pairs]))


def test_small_objects_are_found_where_an_average_drowns_them():
    features, targets = bags()
    found, history = fit(features, targets, 0.02, 1e-3)
    assert share_found(found, features, targets) > 0.8
    assert len(history) == 8 and np.isfinite(history).all(axis=None)
    averaged, _ = fit(features, targets, 1.0, 1e-3)
    assert share_found(averaged, features, targets) < 0.2


def test_the_result_depends_on_nothing_but_features_and_tags():
    features, targets = bags()
    first, _ = fit(features, targets, 0.02, 1e-2)
    again, _ = fit(features, targets, 0.02, 1e-2)
    assert np.array_equal(first.weights, again.weights) and np.array_equal(first.bias, again.bias)
    weaker, _ = fit(features, targets, 0.02, 1e-1)
    assert np.linalg.norm(weaker.weights) < np.linalg.norm(first.weights)


def test_logits_do_not_depend_on_where_features_are_centred():
    (plain, targets), (shifted, _) = bags(), bags(2.0)
    a, _ = fit(plain, targets, 0.05, 1e-2)
    b, _ = fit(shifted, targets, 0.05, 1e-2)
    np.testing.assert_allclose(plain[0] @ a.weights.T + a.bias, shifted[0] @ b.weights.T + b.bias, atol=1e-2)


def test_a_classifier_learns_from_its_own_images_alone():
    features, targets = bags()
    tags, half = tag_matrix(targets, 2), np.arange(40) % 2 == 0
    alone, _, _ = fit_locations(features, tags, [Problem(1, 0.05, half)], 1e-2, lambda line: None)
    mixed, _, _ = fit_locations(features, tags, [Problem(0, 0.5, ~half), Problem(1, 0.05, half)], 1e-2, print)
    np.testing.assert_allclose(mixed.weights[1], alone.weights[0], rtol=1e-4, atol=1e-7)
    tags[~half] = 1 - tags[~half]
    again, _, _ = fit_locations(features, tags, [Problem(1, 0.05, half)], 1e-2, lambda line: None)
    np.testing.assert_array_equal(again.weights, alone.weights)


@pytest.mark.parametrize("better", [0, 1])
def test_each_class_gets_the_share_that_tells_best_which_held_out_images_show_it(better):
    tags = tag_matrix([[1]] * 6 + [[]] * 6, 1)
    fold = np.arange(12) % 3
    problems, choose = choose_tops([(0.1, 0.5)], tags, fold)
    assert [(own.index, own.top) for own in problems] == [(0, 0.1)] * 4 + [(0, 0.5)] * 4
    np.testing.assert_array_equal([own.images for own in problems[:4]], [fold != 0, fold != 1, fold != 2, fold >= 0])
    scores = np.tile(-tags, 8)  # the wrong way round
    for k in range(3):
        scores[fold == k, 4 * better + k] *= -1  # but for the better share where an image is held out
    chosen, precisions = choose(scores)
    assert chosen == [4 * better + 3]
    np.testing.assert_allclose(precisions, np.ones((3, 1)))


@pytest.mark.parametrize(("lost", "expected"), [(0, 0.1), (1, 0.1), (5, 0.5)])
def test_a_larger_share_is_taken_where_it_tells_more(lost, expected):
    """lost: of 40 images that show the class, those that the smaller share puts below all others."""
    tags, fold = tag_matrix([[1]] * 80 + [[]] * 80, 1), np.arange(160) % 2
    problems, choose = choose_tops([(0.5, 0.1)], tags, fold)
    scores = np.tile(tags, len(problems))
    scores[: 2 * lost, :3] = -1
    assert problems[choose(scores)[0][0]].top == expected


def test_of_shares_that_tell_nothing_the_smallest_is_taken():
    problems, choose = choose_tops([(0.5, 0.1), (0.2,)], tag_matrix([[1, 2]] * 4, 2), np.arange(4) % 2)
    chosen, precisions = choose(np.zeros((4, len(problems))))
    assert [(problems[m].index, problems[m].top) for m in chosen] == [(0, 0.1), (1, 0.2)]
    assert np.isnan(precisions).all()


def test_large_and_small_objects_get_their_own_shares():
    """Class 1 has 4 of 200 locations, class 2 half of them, each with a weak sign."""
    rng, features, targets = np.random.default_rng(7), [], []
    for k in range(60):
        own = rng.standard_normal((200, 12)).astype("f4")
        targets.append([k % 3] if k % 3 else [])
        own[:4, 0] += 5 * (k % 3 == 1)
        own[:100, 1] += 0.6 * (k % 3 == 2)
        features.append(own)
    tags = tag_matrix(targets, 2)
    problems, choose = choose_tops([(0.01, 0.3)] * 2, tags, np.arange(60) // 3 % 3)
    _, scores, _ = fit_locations(features, tags, problems, 1e-2, lambda line: None)
    assert [problems[m].top for m in choose(scores)[0]] == [0.01, 0.3]
