"""IRNet's labels, its loss over pairs, its boundary branch, against naive loops."""

import copy
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pair_losses import TERMS, naive_losses, values_of
from PIL import Image
from slow_boundary import naive_branch

from wsgcn.affinity import training_labels
from wsgcn.affinity.irnet import (
    BoundaryNet,
    affinity_loss,
    boundary_and_features,
    build_boundary_net,
    open_boundary_net,
    train_boundary,
)
from wsgcn.affinity.learning import MIN_GAIN
from wsgcn.affinity.pair_loss import measure_gain, pair_costs
from wsgcn.affinity.training_labels import label_for_irnet
from wsgcn.data.augment import resize_label
from wsgcn.files import read_image, read_label, write_label
from wsgcn.graph.grid import path_maximum

SIZES = [(64, 64), (50, 71), (33, 40)]


def naive_loss(boundary, label, radius, pairs, points_between, weight=None):
    """A line's affinity is one minus the largest boundary on it."""
    return naive_losses(
        lambda b, p, q: 1 - max(boundary[b][point] for point in points_between(p, q)),
        label,
        list(pairs(*label.shape[1:], radius)),
        weight=weight,
    )


@pytest.mark.parametrize("radius", [2, 3, 5])
@pytest.mark.parametrize("labels", [(0, 1, 2, 255), (0, 255), (4,), (1, 2), (255,)], ids=str)
def test_affinity_loss_matches_naive_loop(radius, labels, rng, pairs, points_between):
    boundary, label = rng.random((2, 5, 6)), rng.choice(labels, (2, 5, 6)).astype(np.uint8)
    found = values_of(affinity_loss(torch.tensor(boundary), torch.tensor(label), radius))
    np.testing.assert_allclose(found, naive_loss(boundary, label, radius, pairs, points_between), rtol=1e-6)


@pytest.mark.parametrize("labels", [(0, 1, 2, 255), (4,), (255,)], ids=str)
@pytest.mark.parametrize("corrected", [0.2, 9.0])
def test_pairs_count_by_the_weight_of_their_points(corrected, labels, rng, pairs, points_between):
    boundary, label = rng.random((2, 5, 6)), rng.choice(labels, (2, 5, 6)).astype(np.uint8)
    weight = rng.choice([1, corrected], label.shape)
    found = values_of(affinity_loss(torch.tensor(boundary), torch.tensor(label), 3, torch.tensor(weight)))
    expected = naive_loss(boundary, label, 3, pairs, points_between, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    ones = affinity_loss(torch.tensor(boundary), torch.tensor(label), 3, torch.ones(label.shape).double())
    plain = affinity_loss(torch.tensor(boundary), torch.tensor(label), 3)
    np.testing.assert_allclose(values_of(ones), values_of(plain), rtol=1e-12)


def test_means_are_over_all_pairs_of_a_batch(rng, pairs, points_between):
    boundary, label = rng.random((2, 4, 4)), np.zeros((2, 4, 4), np.uint8)
    label[0, 1:] = 255
    found = values_of(affinity_loss(torch.tensor(boundary), torch.tensor(label), 3))
    np.testing.assert_allclose(found, naive_loss(boundary, label, 3, pairs, points_between), rtol=1e-6)


@pytest.mark.parametrize("radius, counts", [(5, False), (6, True)])
def test_the_radius_is_exclusive(radius, counts):
    label = torch.full((1, 4, 5), 255, dtype=torch.uint8)
    label[0, 0, 0], label[0, 3, 4] = 0, 1  # 3 down and 4 right: a distance of exactly 5
    negative = affinity_loss(torch.full((1, 4, 5), 0.5), label, radius)["loss_negative"]
    assert bool(negative > 0) == counts


def test_perfect_boundaries_cost_nothing():
    boundary, label = torch.zeros(1, 6, 7), torch.zeros(1, 6, 7, dtype=torch.uint8)
    boundary[:, :, 3], label[:, :, 3], label[:, :, 4:] = 1, 255, 2
    assert abs(affinity_loss(boundary, label, 5)["loss"].item()) < 1e-4
    assert affinity_loss(1 - boundary, label, 5)["loss"].item() > 5


def test_gradient_of_the_affinity_loss(rng):
    boundary = torch.tensor(rng.permutation(np.linspace(0.1, 0.9, 40)).reshape(2, 4, 5), requires_grad=True)  # no ties
    label = torch.tensor(rng.choice([0, 1, 2, 255], (2, 4, 5)).astype(np.uint8))
    assert torch.autograd.gradcheck(lambda b: affinity_loss(b, label, 4)["loss"], boundary)


SETTINGS = {"foreground_score": 0.3, "background_score": 0.05, "certainty": 0.6}


def test_label_for_irnet_matches_naive_loop(rng, monkeypatch, crf_settings):
    """Without the CRF: certain foreground above one score, certain background below the other, 255 between."""
    expected_crf = replace(crf_settings, iterations=7)

    def one_hot(image, label, num_labels, certainty, crf):
        assert (certainty, crf) == (0.6, expected_crf)
        return np.eye(num_labels)[label].transpose(2, 0, 1)

    monkeypatch.setattr(training_labels, "dense_crf_labels", one_hot)
    cams = rng.random((2, 12, 13)).astype(np.float32) ** 3
    expected = np.full((12, 13), 255)
    for y, x in np.ndindex(12, 13):
        if max(cams[:, y, x]) > 0.3:
            expected[y, x] = 6 if cams[0, y, x] > cams[1, y, x] else 9
        elif max(cams[:, y, x]) <= 0.05:
            expected[y, x] = 0
    settings = SETTINGS | {"crf": asdict(expected_crf)}
    label = label_for_irnet(np.zeros((12, 13, 3), np.uint8), cams, [6, 9], settings)
    assert label.dtype == np.uint8 and set(np.unique(expected)) == {0, 6, 9, 255}
    np.testing.assert_array_equal(label, expected)


def test_background_needs_both_crfs(monkeypatch, crf_settings):
    """A class by the CRF of the low score alone is 255; a class by that of the high score is that class."""
    winners = iter([[1, 0, 1, 0], [1, 1, 0, 0]])  # of the high score's CRF, then of the low one's
    monkeypatch.setattr(training_labels, "dense_crf_labels", lambda *_: np.eye(2)[[next(winners)]].transpose(2, 0, 1))
    settings = SETTINGS | {"crf": crf_settings}
    label = label_for_irnet(np.zeros((1, 4, 3), np.uint8), np.zeros((1, 1, 4)), [7], settings)
    assert label.tolist() == [[7, 255, 7, 0]]


def test_label_for_irnet_of_a_picture(picture, crf_settings):
    cams = np.zeros((1, 24, 30), np.float32)
    cams[0, 5:19, 7:21] = 0.1
    cams[0, 7:17, 9:19] = 0.9
    label = label_for_irnet(picture, cams, [4], SETTINGS | {"crf": crf_settings})
    assert (label[8:16, 10:18] == 4).all()
    assert (label[:3] == 0).all() and (label[:, 24:] == 0).all()


@pytest.fixture(scope="module")
def net(backbone):
    torch.manual_seed(0)
    return BoundaryNet(backbone)


def test_branch_has_32_channels_per_stage_and_saves_its_backbone(net):
    assert {name.split(".")[0] for name in net.state_dict()} == {"backbone", "stages", "last"}
    assert [stage[0].weight.shape[:2] for stage in net.stages] == [(32, c) for c in (16, 24, 40, 112, 320)]
    assert all(stage[1].num_groups == 4 for stage in net.stages)
    assert net.last.weight.shape == (1, 160, 1, 1)


def test_only_the_branch_learns(net):
    net.train()
    assert not net.backbone.training
    features = net.features(torch.rand(2, 3, 32, 40), (8, 10))
    assert features.shape == (2, 160, 8, 10) and (features >= 0).all()
    affinity_loss(net.boundary(features), torch.zeros(2, 8, 10), 3)["loss"].backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    assert all(p.grad is None for p in net.backbone.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_boundary_and_features_match_naive_forward_pass(size, net, rng, cpu):
    """Each view by itself: what is averaged over the flip are probabilities and features, not logits."""
    net, image = copy.deepcopy(net), rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    torch.manual_seed(0)
    with torch.no_grad():
        net.last.weight.normal_(std=0.15)  # so large that it matters what is averaged
        for _, norm in net.stages:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(std=0.5)
    boundary, features = boundary_and_features(net, image, cpu)
    h, w = -(-size[0] // 4), -(-size[1] // 4)
    assert boundary.dtype == features.dtype == np.float32
    plain, mirrored = (naive_branch(net, pixels, (h, w)) for pixels in (image, image[:, ::-1]))
    np.testing.assert_allclose(boundary, (plain[0] + mirrored[0][:, ::-1]) / 2, atol=1e-3)
    np.testing.assert_allclose(features, (plain[1] + mirrored[1][..., ::-1]) / 2, atol=1e-3)
    assert np.abs(boundary - plain[0]).max() > 0.05 and 0.2 < boundary.mean() < 0.8


def test_train_boundary_learns_and_is_reproducible(tmp_path, wheel, rng, fit_context):
    """Labels that follow the picture are learnt; the same seed gives the same branch."""
    images, labels = [], []
    for k in range(2):
        label = np.zeros((48, 48), np.uint8)
        label[10 + 8 * k : 34, 12:30] = 1
        pixels = np.where(label[..., None] > 0, (220, 60, 40), (30, 90, 200)) + rng.integers(-9, 9, (48, 48, 3))
        images.append(str(tmp_path / f"{k}.png"))
        labels.append(str(tmp_path / f"label{k}.png"))
        Image.fromarray(pixels.astype(np.uint8)).save(images[-1])
        write_label(labels[-1], label)
    settings = {
        "epochs": 8, "min_steps": 0, "batch": 2, "crop": 48, "scale": [0.9, 1.1], "lr": 0.1,
        "weight_decay": 1e-4, "radius": 4,
    }  # fmt: skip
    params = {"backbone": asdict(wheel), "settings": settings}
    (first, history), (second, _) = (train_boundary(images, labels, params, fit_context(0)) for _ in range(2))
    assert history["loss"].iloc[-2:].mean() < history["loss"].iloc[:2].mean()
    assert set(history.columns) == set(TERMS)
    assert history.attrs["learnt"]["section"] == "irnet.training" and history.attrs["learnt"]["gain"] > MIN_GAIN
    brief = params | {"settings": settings | {"epochs": 1, "batch": 3, "min_steps": 3, "lr": 1e-6}}
    model, history = train_boundary(images, labels, brief, fit_context(0))
    assert history.index[-1] == 3 and history.attrs["learnt"]["gain"] < MIN_GAIN
    costs = []
    for image, label in zip(images, labels, strict=True):
        found = torch.tensor(boundary_and_features(model, read_image(image), torch.device("cpu"))[0])[None]
        points = torch.tensor(resize_label(read_label(label), 12, 12))[None]
        costs.append(pair_costs(lambda dy, dx, b=found: 1 - path_maximum(b, dy, dx), points, settings["radius"]))
    assert history.attrs["learnt"]["gain"] == pytest.approx(measure_gain(costs), rel=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_trained_network_gives_the_arrays_of_its_file(tmp_path, wheel, picture, cpu):
    torch.manual_seed(1)
    model = build_boundary_net(wheel, cpu)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    found = open_boundary_net({"backbone": asdict(wheel)}, str(tmp_path / "model.pt"), cpu)(picture)
    boundary, features = boundary_and_features(model, picture, cpu)
    weight = model.last.weight.detach().numpy().ravel()
    assert {name: values.dtype for name, values in found.items()} == {
        "boundary": np.float32, "features": np.float16, "weight": np.float32
    }  # fmt: skip
    for values, expected in zip(found.values(), (boundary, features.astype(np.float16), weight), strict=True):
        np.testing.assert_array_equal(values, expected)
