"""The head that is solved exactly: its minimum, its folds, its choice, and the CAMs of the classifier it becomes.

Run alone: `.venv/bin/python -m pytest tests/cam/test_head.py`.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from wsgcn.cam.classifier import CamSettings, class_activation_maps
from wsgcn.cam.head import (
    HeadSettings,
    average_precisions,
    best_weight,
    cross_validate,
    fold_of_images,
    open_pooled_features,
    solve_head,
    tag_matrix,
    train_head,
)
from wsgcn.files import read_image, write_arrays
from wsgcn.networks.inference import scaled_and_flipped

BACKBONE = {"name": "tf_efficientnet_lite0", "weights": "random"}
VIEWS = {"scales": [1, 0.5], "flip": True}


@pytest.fixture
def problem():
    """Features [40, 6] and tags [40, 3] that depend on them, with noise."""
    rng = np.random.default_rng(3)
    features = rng.standard_normal((40, 6))
    return features, (features @ rng.standard_normal((6, 3)) + rng.standard_normal((40, 3)) > 0).astype(float)


def slow_loss(weights: np.ndarray, features: np.ndarray, tags: np.ndarray, l2: float) -> float:
    """Class by class and row by row."""
    total = 0.0
    for c, w in enumerate(weights):
        for x, row in zip(features, tags, strict=True):
            p = 1 / (1 + np.exp(-float(x @ w)))
            total -= np.log(p if row[c] else 1 - p) / len(features) / len(weights)
        total += l2 * float(w @ w) / len(weights)
    return total


@pytest.mark.parametrize("l2", [1e-3, 0.1])
def test_the_solution_is_where_plain_gradient_descent_ends(problem, l2):
    features, tags = problem
    weights, loss = solve_head(features, tags, l2)
    x, y = torch.from_numpy(features), torch.from_numpy(tags)
    descended = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    for _ in range(20000):
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(x @ descended.T, y, reduction="none").mean(0)
        (gradient,) = torch.autograd.grad((entropy + l2 * descended.square().sum(1)).sum(), descended)
        with torch.no_grad():
            descended -= 0.5 * gradient
    np.testing.assert_allclose(weights, descended.detach().numpy(), atol=1e-4)
    assert loss == pytest.approx(slow_loss(weights, features, tags, l2), rel=1e-9)


def test_a_class_that_every_image_shows_has_a_solution_too(problem):
    features, _ = problem
    weights, _ = solve_head(np.abs(features), np.ones((40, 1)), 1e-2)
    assert (np.abs(features) @ weights[0] > 0).all()


def test_an_image_without_a_class_is_a_row_of_zeros():
    assert tag_matrix([[1, 3], []], 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_folds_are_even_within_equal_tags_and_independent_of_the_order():
    ids, tags = [f"i{k}" for k in range(30)], np.repeat(np.eye(3), 10, 0)
    folds = fold_of_images(ids, tags, 5)
    assert all(np.bincount(folds[k : k + 10], minlength=5).tolist() == [2] * 5 for k in (0, 10, 20))
    order = np.random.default_rng(0).permutation(30)
    assert (fold_of_images([ids[k] for k in order], tags[order], 5) == folds[order]).all()


def test_no_group_is_split_by_the_folds():
    groups, tags = [f"part {k // 3}" for k in range(30)], np.zeros((30, 2))
    tags[::3, 0] = 1  # one picture of each part
    tags[15:, 1] = 1
    folds = fold_of_images(groups, tags, 5).reshape(10, 3)
    assert (folds == folds[:, :1]).all()
    assert np.bincount(folds[:5, 0], minlength=5).tolist() == np.bincount(folds[5:, 0], minlength=5).tolist() == [1] * 5


def test_average_precision_is_the_mean_precision_at_the_hits():
    tags, scores = np.array([[1, 1], [0, 1], [1, 1], [0, 1]]), np.array([[0.9, 0], [0.8, 0], [0.7, 0], [0.1, 0]])
    found = average_precisions(tags, scores)
    assert found[0] == pytest.approx((1 / 1 + 2 / 3) / 2) and np.isnan(found[1])


def test_each_fold_is_scored_by_the_others(problem):
    features, tags = problem
    pooled, fold = np.stack([features, features + 0.1], 1), np.arange(40) % 4
    found = cross_validate(pooled, tags, HeadSettings((1e-2, 1.0), 4), fold)
    assert found.keys() == {1e-2, 1.0} and found[1.0].shape == (4, 3)
    rest = fold != 2
    weights, _ = solve_head(np.concatenate([pooled[rest, 0], pooled[rest, 1]]), np.concatenate([tags[rest]] * 2), 1e-2)
    scores = (pooled[~rest, 0] @ weights.T + pooled[~rest, 1] @ weights.T) / 2
    np.testing.assert_allclose(found[1e-2][2], average_precisions(tags[~rest], scores))


def test_the_highest_mean_wins_and_the_largest_of_equals():
    table = np.array([[0.5, np.nan]])
    assert best_weight({1e-4: table, 1e-3: table + 0.1, 1e-2: table}) == 1e-3
    assert best_weight({1e-4: table, 1e-2: table}) == 1e-2
    assert best_weight({1e-4: table * np.nan, 1e-2: table * np.nan}) == 1e-2


def test_the_logit_of_an_image_is_the_mean_of_its_map(tmp_path, cpu, fit_context):
    """So the head sees in a whole image what its CAM shows at each point."""
    rng, files, targets = np.random.default_rng(0), [], []
    torch.manual_seed(0)
    extract = open_pooled_features({"backbone": BACKBONE, "settings": VIEWS}, cpu)
    for k in range(8):
        pixels = rng.integers(0, 60, (64, 64, 3), np.uint8)
        pixels[:, :, k % 2] += 150
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        write_arrays(tmp_path / f"{k}.npz", **extract(read_image(tmp_path / f"{k}.png")))
        files.append(tmp_path / f"{k}.npz")
        targets.append([1 + k % 2])
    params = {
        "backbone": BACKBONE,
        "settings": {"l2": [1e-4], "folds": 2},
        "classes": 2,
        "names": ["red", "a/b"],
        "groups": [str(k) for k in range(8)],
    }
    torch.manual_seed(0)  # the same random backbone
    model, history = train_head(files, targets, params, fit_context())
    assert list(history.columns) == ["ap_fold", "ap/red", "ap/a_b", "ap", "l2", "loss"] and len(history) == 2
    assert (history["l2"] == 1e-4).all() and history["ap"].iloc[0] == pytest.approx(history["ap_fold"].mean())
    again, _ = train_head(files, targets, params, fit_context(seed=5))
    assert torch.equal(model.head.weight, again.head.weight)
    pooled = np.stack([np.load(path)["pooled"].astype(float) for path in files])  # of images, views, features
    scale = pooled.reshape(-1, pooled.shape[2]).std(0) + 1e-6
    rows, tags = (pooled / scale).reshape(-1, pooled.shape[2]), np.repeat(tag_matrix(targets, 2), 4, 0)
    solved, _ = solve_head(rows, tags, 1e-4)
    np.testing.assert_allclose(model.head.weight[:, :, 0, 0].detach() * scale, solved, rtol=1e-3, atol=1e-5)
    model.eval()
    image, weights = read_image(tmp_path / "0.png"), model.head.weight[:, :, 0, 0].detach().numpy()
    expected = np.load(tmp_path / "0.npz")["pooled"] @ weights.T
    with torch.no_grad():
        found = [model(scaled_and_flipped(image, scale, True, model.backbone, cpu)).numpy() for scale in (1, 0.5)]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-3, atol=1e-4)
    logits = np.stack([np.load(path)["pooled"].mean(0) @ weights.T for path in files])
    assert (logits.argmax(1) + 1 == [own[0] for own in targets]).all()
    cam, _ = class_activation_maps(model, image, [1, 2], CamSettings((1, 0.5), True), cpu)
    assert cam.shape == (2, 16, 16)


@pytest.mark.parametrize("change", [{"scales": [1]}, {"flip": False}])
def test_features_are_of_the_views_that_the_cams_are_made_from(change, picture, cpu):
    views = VIEWS | change
    pooled = open_pooled_features({"backbone": BACKBONE, "settings": views}, cpu)(picture)["pooled"]
    assert pooled.shape == (len(views["scales"]) * (2 if views["flip"] else 1), 1280) and np.isfinite(pooled).all()
