"""DeepLab as its port to PyTorch has it: groups of parameters, loss on the logits' grid, maximum over scales."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from released_records import IMAGES, drawn, record
from torch import nn

from wsgcn.files import write_label
from wsgcn.segmentation.deeplab import (
    DeepLabSettings,
    DeepLabV2,
    build_deeplab,
    multi_scale_loss,
    open_deeplab,
    parameter_groups,
    predict,
    train_deeplab,
)


class Convolution(nn.Module):
    """A backbone of one convolution of stride 8 and a batch norm."""

    num_features = 4
    pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 8, stride=8, bias=False), nn.BatchNorm2d(4)

    def forward_features(self, images):
        return self.norm(self.conv(images))


@pytest.fixture
def network():
    """The one of the record, with six labels."""
    known = record("deeplab")
    model = DeepLabV2(Convolution(), 6)
    with torch.no_grad():
        model.backbone.conv.weight.copy_(torch.tensor(known["conv"]))
        for k, branch in enumerate(model.head):
            branch.weight.copy_(torch.tensor(known[f"weight{k}"]))
            branch.bias.copy_(torch.tensor(known[f"bias{k}"]))
    return model.eval()


@pytest.mark.parametrize("k", IMAGES)
def test_labels_are_those_of_the_released_test(k, network, cpu):
    one, known = drawn(k), record("deeplab")
    found = predict(network, one["image"], [1, 0.5, 0.75], False, cpu, "max_logits")
    np.testing.assert_array_equal(found.argmax(0), known[f"label_{k}"])
    np.testing.assert_allclose(found.max(0)[::7, ::7], known[f"confidence_{k}"], atol=1e-5)
    mean = predict(network, one["image"], [1, 0.5, 0.75], False, cpu)
    assert (mean.argmax(0) != known[f"label_{k}"]).any()


@pytest.mark.parametrize("k", IMAGES)
def test_the_loss_is_that_of_the_released_training(k, network):
    one, known = drawn(k), record("deeplab")
    batch = torch.tensor((one["image"].transpose(2, 0, 1)[None] / 255 - 0.5) / 0.25).float()
    label = torch.tensor(one["mask"].astype(np.int64))[None]
    found = multi_scale_loss(network, batch, label, [0.5, 0.75], loss_size="logits")
    assert found.item() == pytest.approx(float(known[f"loss_{k}"]), rel=1e-5)
    assert multi_scale_loss(network, batch, label, [0.5, 0.75]).item() != pytest.approx(found.item(), rel=1e-3)


def test_the_loss_on_the_logits_grid_matches_naive_loop(network, rng):
    """Labelled cells alone count, each by the label, and the weight, of the pixel in its middle."""
    batch, label = torch.tensor(rng.standard_normal((2, 3, 41, 56))).float(), rng.choice([0, 2, 5, 255], (2, 41, 56))
    weight = rng.choice([1.0, 3.0], (2, 41, 56))
    with torch.no_grad():
        coarse = [network(batch), network(F.interpolate(batch, scale_factor=0.5, mode="bilinear"))]
        fitted = F.interpolate(coarse[1], coarse[0].shape[2:], mode="bilinear")
        maps = [*coarse, torch.maximum(coarse[0], fitted)]
        expected = {name: 0.0 for name in ("plain", "weighted")}
        for logits in maps:
            rows, columns = logits.shape[2:]
            sums = {"plain": [0.0, 0.0], "weighted": [0.0, 0.0]}
            for b, y, x in np.ndindex(2, rows, columns):
                v, u = int((y + 0.5) * 41 / rows), int((x + 0.5) * 56 / columns)
                if label[b, v, u] != 255:
                    cost = -logits[b, :, y, x].log_softmax(0)[label[b, v, u]].item()
                    for name, own in (("plain", 1), ("weighted", weight[b, v, u])):
                        sums[name][0] += own * cost
                        sums[name][1] += own
            expected = {name: expected[name] + total / count for name, (total, count) in sums.items()}
        target, given = torch.tensor(label), torch.tensor(weight).float()
        plain = multi_scale_loss(network, batch, target, [0.5], loss_size="logits")
        weighted = multi_scale_loss(network, batch, target, [0.5], given, "logits")
    assert plain.item() == pytest.approx(expected["plain"], rel=1e-5)
    assert weighted.item() == pytest.approx(expected["weighted"], rel=1e-5)


SETTINGS = {
    "iterations": 3, "batch": 1, "crop": 48, "scale": [1, 1], "scales": [], "lr": 0.001, "lr_head_factor": 10,
    "momentum": 0.0, "weight_decay": 0.5,
}  # fmt: skip
RELEASED = {"freeze_norm": True, "bias_lr_factor": 2, "bias_decay": False, "loss_size": "logits"}


def test_groups_are_those_of_the_released_training(network, wheel):
    """Convolutions of the backbone at the rate, weights of the head at ten times it, biases at twenty, not decaying."""
    found = parameter_groups(network, DeepLabSettings(backbone=wheel, **SETTINGS | RELEASED))
    assert [[id(p) for p in group["params"]] for group in found] == [
        [id(network.backbone.conv.weight)],
        [id(branch.weight) for branch in network.head],
        [id(branch.bias) for branch in network.head],
    ]
    assert [group["lr"] for group in found] == pytest.approx([0.001, 0.01, 0.02])
    assert [group["weight_decay"] for group in found] == [0.5, 0.5, 0]
    plain = parameter_groups(DeepLabV2(Convolution(), 6), DeepLabSettings(backbone=wheel, **SETTINGS))
    assert [len(group["params"]) for group in plain] == [3, 4, 4]
    assert [group["lr"] for group in plain] == pytest.approx([0.001, 0.01, 0.01])
    assert [group["weight_decay"] for group in plain] == [0.5] * 3


@pytest.fixture
def labelled_picture(tmp_path, rng):
    pixels, truth = rng.integers(0, 60, (48, 48, 3)), np.zeros((48, 48), np.uint8)
    pixels[12:36, 10:40, 0] += 190
    truth[12:36, 10:40] = 1
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "image.png")
    write_label(tmp_path / "label.png", truth)
    return [str(tmp_path / "image.png")], [str(tmp_path / "label.png")]


@pytest.mark.parametrize("key", [None, *RELEASED])
def test_a_training_reads_each_of_the_four_settings(key, labelled_picture, wheel, fit_context):
    """The weights after three steps differ from those of the defaults just where the setting says so."""
    trained = []
    for changed in ({}, {key: RELEASED[key]} if key else {}):
        params = {"classes": 1, "settings": {"backbone": asdict(wheel), **SETTINGS, **changed}}
        trained.append(train_deeplab(*labelled_picture, params, fit_context(0))[0].state_dict())
    first, second = trained
    differ = {name for name in first if not torch.equal(first[name], second[name])}
    assert bool(differ) == bool(key)
    if key == "freeze_norm":
        torch.manual_seed(0)
        initial = build_deeplab(wheel, 2).state_dict()
        kept = {name for name in initial if torch.equal(initial[name], second[name])}
        norms = {n for n in initial if ".bn" in n or "backbone.bn" in n}
        assert kept == norms and not norms <= {name for name in initial if torch.equal(initial[name], first[name])}


# Prediction


def test_the_maximum_over_scales_is_read_where_the_network_is_opened(tmp_path, wheel, picture, cpu):
    torch.manual_seed(0)
    model = build_deeplab(wheel, 3).eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    params = {"classes": 2, "backbone": asdict(wheel), "combine": "max_logits"}
    found = open_deeplab(params, str(tmp_path / "model.pt"), cpu)(picture, [1, 0.5], False)
    np.testing.assert_array_equal(found, predict(model, picture, [1, 0.5], False, cpu, "max_logits"))
    assert not np.allclose(found, predict(model, picture, [1, 0.5], False, cpu))
    alone = predict(model, picture, [1], False, cpu, "max_logits")
    np.testing.assert_allclose(alone, predict(model, picture, [1], False, cpu), atol=1e-5)


def test_the_maximum_is_averaged_over_the_flip(network, picture, cpu):
    mirror = np.ascontiguousarray(picture[:, ::-1])
    plain, mirrored = (predict(network, one, [1, 0.5], False, cpu, "max_logits") for one in (picture, mirror))
    found = predict(network, picture, [1, 0.5], True, cpu, "max_logits")
    np.testing.assert_allclose(found, (plain + mirrored[..., ::-1]) / 2, atol=1e-6)
