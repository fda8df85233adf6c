"""AffinityNet's labels, network and training against naive loops."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pair_losses import TERMS
from PIL import Image
from slow_boundary import naive_bilinear

from wsgcn.affinity import training_labels
from wsgcn.affinity.affinitynet import (
    AffinityNet,
    affinity_features,
    build_affinitynet,
    open_affinitynet,
    train_affinitynet,
)
from wsgcn.affinity.learning import gain_over_constant
from wsgcn.affinity.matrices import feature_affinity, resample_to_grid
from wsgcn.affinity.pair_loss import pair_costs, pairwise_affinity_loss
from wsgcn.affinity.training_labels import label_for_affinitynet
from wsgcn.data.augment import resize_label
from wsgcn.files import read_image, read_label, write_label
from wsgcn.networks.backbone import normalise

SIZES = [(64, 64), (50, 71), (33, 40)]


# Labels

SETTINGS = {"alpha_low": 2, "alpha_high": 8}


def naive_label(cams, low, high, classes):
    """From CAMs [K, h, w] and the winners [h, w] of the two CRFs, 0 for background, k + 1 for class k."""
    label = np.full(cams.shape[1:], 255, np.uint8)
    for y, x in np.ndindex(label.shape):
        if low[y, x] > 0:
            label[y, x] = classes[low[y, x] - 1]
        if high[y, x] == 0:
            label[y, x] = 0
    return label


def test_label_for_affinitynet_matches_naive_loop(rng, monkeypatch, crf_settings):
    """Without the CRF: a class where it beats much background, background where little beats all classes."""
    image, crf, calls = np.zeros((12, 13, 3), np.uint8), replace(crf_settings, iterations=7), []

    def unchanged_scores(*arguments):
        calls.append(arguments)
        return arguments[1]

    monkeypatch.setattr(training_labels, "dense_crf", unchanged_scores)
    cams = (rng.random((2, 12, 13)) ** 3).astype(np.float32)
    low, high = np.zeros((12, 13), int), np.zeros((12, 13), int)
    for y, x in np.ndindex(12, 13):
        peak, winner = max(cams[:, y, x]), 1 + int(cams[1, y, x] > cams[0, y, x])
        low[y, x] = winner if peak > (1 - peak) ** 2 else 0
        high[y, x] = winner if peak > (1 - peak) ** 8 else 0
    label = label_for_affinitynet(image, cams, [6, 9], SETTINGS | {"crf": asdict(crf)})
    expected = naive_label(cams, low, high, [6, 9])
    assert set(np.unique(expected)) == {0, 6, 9, 255} and label.dtype == np.uint8
    np.testing.assert_array_equal(label, expected)
    assert len(calls) == 2 and all(call[0] is image and call[2] == crf for call in calls)


def test_label_combines_both_crfs(monkeypatch, crf_settings):
    """The first has much background, the second little; where they disagree, the second's background wins."""
    winners = {2: [1, 2, 0, 0, 2, 1], 8: [1, 2, 1, 0, 0, 0]}
    cams = np.full((2, 1, 6), 0.5, np.float32)

    def crf(image, scores, settings):
        alpha = round(math.log(scores[0, 0, 0], 0.5))
        return np.eye(3)[[winners[alpha]]].transpose(2, 0, 1)

    monkeypatch.setattr(training_labels, "dense_crf", crf)
    label = label_for_affinitynet(np.zeros((1, 6, 3), np.uint8), cams, [4, 7], SETTINGS | {"crf": crf_settings})
    assert label.tolist() == [[4, 7, 255, 0, 0, 0]]
    np.testing.assert_array_equal(label, naive_label(cams, np.array([winners[2]]), np.array([winners[8]]), [4, 7]))


def test_label_for_affinitynet_of_a_picture(picture, crf_settings):
    cams = np.zeros((2, 24, 30), np.float32)
    cams[0, 5:19, 7:21] = 0.1
    cams[0, 7:17, 9:19] = 0.9
    label = label_for_affinitynet(picture, cams, [4, 8], {"alpha_low": 4, "alpha_high": 32, "crf": crf_settings})
    assert label.shape == (24, 30) and label.dtype == np.uint8
    assert (label[8:16, 10:18] == 4).all()
    assert (label[:3] == 0).all() and (label[:, 24:] == 0).all()
    assert not (label == 8).any()


def test_more_background_labels_less_foreground(picture, crf_settings, rng):
    cams = (0.9 * rng.random((1, 24, 30))).astype(np.float32)
    counts = [
        (label_for_affinitynet(picture, cams, [4], {"alpha_low": a, "alpha_high": 32, "crf": crf_settings}) == 4).sum()
        for a in (1, 4, 32)
    ]
    assert counts[0] < counts[1] < counts[2]


# The network


@pytest.fixture(scope="module")
def net(wheel, cpu):
    torch.manual_seed(0)
    return build_affinitynet(wheel, cpu).eval()


def batch_norms(model):
    return [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]


def test_network_reduces_the_last_three_stages_to_448_channels(net):
    assert {name.split(".")[0] for name in net.state_dict()} == {"backbone", "stages", "last"}
    assert [stage.weight.shape for stage in net.stages] == [(64, 40, 1, 1), (128, 112, 1, 1), (256, 320, 1, 1)]
    assert net.last.weight.shape == (448, 448, 1, 1)
    assert all(layer.bias is None for layer in (*net.stages, net.last))


def test_layers_start_as_in_the_released_code(net):
    """Kaiming's normal and Xavier's uniform of gain 4, which differ in their tails."""
    for stage in net.stages:
        weight, deviation = stage.weight, math.sqrt(2 / stage.in_channels)
        assert weight.std().item() == pytest.approx(deviation, rel=0.05) and abs(weight.mean()) < deviation / 20
        assert (weight.abs() > 2 * deviation).float().mean().item() == pytest.approx(0.0455, abs=0.015)
    bound, size = 4 * math.sqrt(6 / (448 + 448)), net.last.weight.abs()
    assert 0.99 * bound < size.max() <= bound
    assert (size > bound / 2).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_initial_features_differ_between_points(net, picture):
    """With torch's own initialisation all affinities are near 1."""
    features = affinity_features(net, picture, torch.device("cpu"))
    assert feature_affinity(torch.tensor(features), 0, 2).min() < 0.5


@pytest.mark.parametrize("size", SIZES)
def test_features_are_at_stride_eight(size, net):
    with torch.inference_mode():
        features = net(torch.rand(2, 3, *size))
    assert features.shape == (2, 448, math.ceil(size[0] / 8), math.ceil(size[1] / 8))
    assert features.isfinite().all() and (features >= -1).all() and (features < 0).any()  # ELU's


@pytest.mark.parametrize("size", SIZES)
def test_features_match_naive_forward_pass(size, backbone):
    """The forward pass by matrix products and naive bilinear interpolation."""
    torch.manual_seed(1)
    net, images = AffinityNet(backbone).eval(), torch.rand(1, 3, *size)
    h, w = math.ceil(size[0] / 8), math.ceil(size[1] / 8)

    def layer(weight, maps):
        values = np.tensordot(weight.detach().numpy()[..., 0, 0], maps, 1)
        return np.where(values > 0, values, np.exp(np.minimum(values, 0)) - 1)

    with torch.inference_mode():
        stages = backbone.forward_intermediates(images, intermediates_only=True)
        found = net(images)[0].numpy()
    assert stages[-3].shape[2:] == (h, w)  # the finest of the three
    parts = [
        naive_bilinear(layer(stage.weight, maps[0].numpy()), (h, w))
        for stage, maps in zip(net.stages, stages[-3:], strict=True)
    ]
    np.testing.assert_allclose(found, layer(net.last.weight, np.concatenate(parts)), rtol=1e-5, atol=1e-4)


def test_the_whole_network_learns_but_batch_norms_keep_their_statistics(net):
    net.train()
    try:
        before = {name: buffer.clone() for name, buffer in net.named_buffers()}
        assert before and net.training and not any(module.training for module in batch_norms(net))
        features = net(torch.rand(2, 3, 48, 40))
        label = torch.randint(0, 2, (2, 6, 5))
        pairwise_affinity_loss(lambda dy, dx: feature_affinity(features, dy, dx), label, 3)["loss"].backward()
        assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
        assert all(layer.weight.grad.abs().sum() > 0 for layer in (*net.stages, net.last))
        learning = [p for p in net.backbone.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
        assert any(p is net.backbone.conv_stem.weight for p in learning)
        assert len(learning) > 0.9 * len(list(net.backbone.parameters()))
    finally:
        net.zero_grad(set_to_none=True)
        net.eval()


# Features of an image, and on the grid


@pytest.mark.parametrize("coarse, size", [((4, 6), (8, 12)), ((7, 9), (13, 18)), ((1, 2), (2, 3)), ((5, 5), (5, 5))])
def test_resample_to_grid_matches_naive_bilinear(coarse, size, rng):
    maps = rng.standard_normal((3, *coarse)).astype(np.float32)
    found = resample_to_grid(maps, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_bilinear(maps, size), atol=1e-5)
    half = maps.astype(np.float16)
    np.testing.assert_allclose(resample_to_grid(half, size), naive_bilinear(half.astype(np.float64), size), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_affinity_features_are_averaged_over_the_flip(size, net, rng, cpu):
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    found = affinity_features(net, image, cpu)
    assert found.shape == (448, math.ceil(size[0] / 8), math.ceil(size[1] / 8)) and found.dtype == np.float32
    with torch.inference_mode():
        plain, flipped = (
            net(normalise(torch.tensor(pixels).permute(2, 0, 1)[None].float(), net.backbone))[0].numpy()
            for pixels in (image, mirrored)
        )
    np.testing.assert_allclose(found, (plain + flipped[..., ::-1]) / 2, rtol=1e-5, atol=1e-4)
    assert np.abs(found - plain).max() > 1e-2
    np.testing.assert_allclose(affinity_features(net, mirrored, cpu), found[..., ::-1], rtol=1e-5, atol=1e-4)


# Training

TRAINING = {
    "epochs": 6, "min_steps": 0, "batch": 2, "crop": 48, "scale": [0.9, 1.1], "lr_backbone": 0.01, "lr_head": 0.1,
    "weight_decay": 5e-4, "radius": 3,
}  # fmt: skip


@pytest.fixture
def labelled_pictures(tmp_path, rng):
    """Paths of two pictures of a red rectangle on blue, and of their labels."""
    images, labels = [], []
    for k in range(2):
        label = np.zeros((48, 48), np.uint8)
        label[10 + 8 * k : 34, 12:30] = 1
        pixels = np.where(label[..., None] > 0, (220, 60, 40), (30, 90, 200)) + rng.integers(-9, 9, (48, 48, 3))
        images.append(str(tmp_path / f"{k}.png"))
        labels.append(str(tmp_path / f"label{k}.png"))
        Image.fromarray(pixels.astype(np.uint8)).save(images[-1])
        write_label(labels[-1], label)
    return images, labels


def test_train_affinitynet_learns_and_is_reproducible(labelled_pictures, wheel, net, fit_context):
    """Labels that follow the picture are learnt; the same seed gives the same network, another seed another."""
    params = {"backbone": asdict(wheel), "settings": TRAINING}
    trained = [train_affinitynet(*labelled_pictures, params, fit_context(seed)) for seed in (0, 0, 1)]
    (first, history), (same, again), (other, _) = trained
    assert history["loss"].iloc[-2:].mean() < history["loss"].iloc[:2].mean()
    assert tuple(history.columns) == TERMS and len(history) == 6
    assert history.equals(again)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.last.weight, other.last.weight)
    weights, initial = first.state_dict(), net.state_dict()
    moved = {name for name in weights if not torch.equal(weights[name], initial[name])}
    assert not any("running_" in name or "num_batches" in name for name in moved)  # the batch norms' statistics
    assert {"backbone.conv_stem.weight", "backbone.bn1.weight", "stages.0.weight", "last.weight"} <= moved


@pytest.mark.parametrize("frozen", ["backbone", "head"])
def test_backbone_and_head_learn_at_their_own_rates(frozen, labelled_pictures, wheel, cpu, fit_context):
    torch.manual_seed(0)
    initial = build_affinitynet(wheel, cpu).state_dict()
    params = {"backbone": asdict(wheel), "settings": TRAINING | {"epochs": 1, f"lr_{frozen}": 0}}
    trained, _ = train_affinitynet(*labelled_pictures, params, fit_context(0))
    moved = {name for name, value in trained.state_dict().items() if not torch.equal(value, initial[name])}
    assert moved and {name.startswith("backbone.") for name in moved} == {frozen == "head"}


def test_few_images_are_trained_on_for_min_steps(labelled_pictures, wheel, fit_context):
    """With more images per step than there are; what it has learnt is measured on its images."""
    settings = TRAINING | {"epochs": 1, "batch": 3, "min_steps": 4}
    model, history = train_affinitynet(
        *labelled_pictures, {"backbone": asdict(wheel), "settings": settings}, fit_context(0)
    )
    assert history.index[-1] == 4
    sums, counts = np.zeros(3), np.zeros(3)
    for image, label in zip(*labelled_pictures, strict=True):
        features = torch.tensor(affinity_features(model, read_image(image), torch.device("cpu")))[None]
        points = torch.tensor(resize_label(read_label(label), *features.shape[2:]))[None]
        own = pair_costs(lambda dy, dx, f=features: feature_affinity(f, dy, dx), points, 3)
        sums, counts = sums + np.array(own[0], float), counts + np.array(own[1], int)
    expected = {"section": "psa.training", "gain": pytest.approx(gain_over_constant(sums, counts), rel=1e-4)}
    assert history.attrs["learnt"] == expected


def test_a_trained_network_gives_the_arrays_of_its_file(tmp_path, wheel, picture, cpu):
    torch.manual_seed(1)
    model = build_affinitynet(wheel, cpu).eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    found = open_affinitynet({"backbone": asdict(wheel)}, str(tmp_path / "model.pt"), cpu)(picture)
    assert list(found) == ["features"] and found["features"].dtype == np.float16
    np.testing.assert_array_equal(found["features"], affinity_features(model, picture, cpu).astype(np.float16))
