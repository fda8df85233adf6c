"""DeepLabV2: the head, the loss on pseudo labels, prediction over scales."""

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from wsgcn.files import write_label
from wsgcn.segmentation import deeplab as library
from wsgcn.segmentation.deeplab import (
    ATROUS_RATES,
    DeepLabV2,
    build_deeplab,
    multi_scale_loss,
    network_on_colours,
    open_deeplab,
    predict,
    train_deeplab,
)


class Identity(nn.Module):
    """A backbone whose features are its input."""

    num_features = 3
    pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}

    def forward_features(self, images):
        return images


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    model = DeepLabV2(Identity(), 4)
    for branch in model.head:
        nn.init.normal_(branch.weight)
        nn.init.normal_(branch.bias)
    return model


def test_head_is_the_sum_of_four_atrous_branches(tiny, rng):
    features = rng.standard_normal((3, 26, 8))
    expected = np.zeros((4, 26, 8))
    assert ATROUS_RATES == (6, 12, 18, 24) and len(tiny.head) == 4
    for branch, rate in zip(tiny.head, ATROUS_RATES, strict=True):
        weight, bias = branch.weight.detach().numpy(), branch.bias.detach().numpy()
        for y, x in np.ndindex(26, 8):
            expected[:, y, x] += bias
            for i, j in np.ndindex(3, 3):
                v, u = y + (i - 1) * rate, x + (j - 1) * rate
                if 0 <= v < 26 and 0 <= u < 8:
                    expected[:, y, x] += weight[:, :, i, j] @ features[:, v, u]
    found = tiny(torch.tensor(features)[None].float()).detach().numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.fixture(scope="module")
def deeplab(wheel):
    torch.manual_seed(0)
    return build_deeplab(wheel, 3).eval()


def test_output_stride_is_eight(deeplab):
    with torch.no_grad():
        assert deeplab(torch.zeros(1, 3, 64, 48)).shape == (1, 3, 8, 6)


def test_batch_statistics_stay_in_training(deeplab):
    modules = [m for m in deeplab.train().modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert modules and not any(m.training for m in modules)
    assert deeplab.head.training
    deeplab.eval()


class Logits(nn.Module):
    """A network whose logits are a parameter, to see the gradient of the loss per pixel."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images):
        return self.logits


@pytest.fixture
def label(rng):
    return torch.tensor(rng.choice([0, 1, 2, 3, 255], (2, 5, 6)))


@pytest.fixture
def logits(rng):
    return torch.tensor(rng.standard_normal((2, 4, 5, 6)))


def test_loss_is_the_mean_over_labelled_pixels(logits, label):
    costs = []
    for b, y, x in np.ndindex(2, 5, 6):
        if label[b, y, x] != 255:
            p = np.exp(logits[b, :, y, x].numpy())
            costs.append(-np.log(p[label[b, y, x]] / p.sum()))
    found = multi_scale_loss(Logits(logits), torch.zeros(2, 3, 5, 6), label, [])
    assert found.item() == pytest.approx(np.mean(costs))


@pytest.mark.parametrize("corrected", [0.0, 0.5, 4.0])
def test_corrected_pixels_count_by_their_weight(corrected, logits, label, rng):
    weight = torch.tensor(rng.choice([1, corrected], (2, 5, 6)))
    total = count = 0.0
    for b, y, x in np.ndindex(2, 5, 6):
        if label[b, y, x] != 255:
            p = np.exp(logits[b, :, y, x].numpy())
            total += weight[b, y, x].item() * -np.log(p[label[b, y, x]] / p.sum())
            count += weight[b, y, x].item()
    found = multi_scale_loss(Logits(logits), torch.zeros(2, 3, 5, 6), label, [], weight)
    assert found.item() == pytest.approx(total / count)
    assert multi_scale_loss(Logits(logits), torch.zeros(2, 3, 5, 6), label, [], 0 * weight).item() == 0


@pytest.mark.parametrize("scales", [[], [0.5]])
def test_ignored_pixels_give_no_gradient(scales, logits, label):
    model = Logits(logits)
    multi_scale_loss(model, torch.zeros(2, 3, 6, 6), label, scales).backward()
    moved = model.logits.grad.abs().sum(1) > 0
    assert torch.equal(moved, label != 255)


@pytest.mark.parametrize("scales", [[], [0.5, 0.75]])
def test_a_batch_without_labels_costs_nothing(scales, logits):
    model = Logits(logits)
    loss = multi_scale_loss(model, torch.zeros(2, 3, 8, 8), torch.full((2, 5, 6), 255), scales)
    loss.backward()
    assert loss.item() == 0 and not model.logits.grad.any()


def test_scales_and_their_maximum_each_have_a_term(tiny, rng):
    images = torch.tensor(rng.standard_normal((2, 3, 16, 24))).float()
    label = torch.tensor(rng.choice([0, 1, 3, 255], (2, 16, 24)))
    enlarged = []
    for height, width in ((16, 24), (8, 12), (12, 18)):
        scaled = F.interpolate(images, (height, width), mode="bilinear", align_corners=False)
        enlarged.append(F.interpolate(tiny(scaled), (16, 24), mode="bilinear", align_corners=False))
    enlarged.append(torch.maximum(torch.maximum(enlarged[0], enlarged[1]), enlarged[2]))
    expected = sum(F.cross_entropy(x, label, ignore_index=255) for x in enlarged)
    torch.testing.assert_close(multi_scale_loss(tiny, images, label, [0.5, 0.75]), expected)


@pytest.fixture
def image(rng):
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((61, 45), Image.Resampling.BICUBIC))


def test_predict_averages_probabilities_over_scales(deeplab, image, cpu):
    singles = [predict(deeplab, image, [scale], True, cpu) for scale in (0.75, 1, 1.5)]
    found = predict(deeplab, image, [0.75, 1, 1.5], True, cpu)
    assert found.shape == (3, 45, 61) and found.dtype == np.float32
    np.testing.assert_allclose(found, np.mean(singles, 0), atol=1e-5)
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-5)


def probabilities_by_passes(model, image, scales, flip):
    """The mean over every scale and mirror image by itself, each a softmax at the image's size."""
    mean, std = (np.array(model.backbone.pretrained_cfg[key]) for key in ("mean", "std"))
    (height, width), found = image.shape[:2], []
    for scale in scales:
        size = round(width * scale), round(height * scale)
        scaled = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        for pixels in [scaled, scaled[:, ::-1]][: 1 + flip]:
            with torch.no_grad():
                logits = model(torch.tensor((pixels / 255 - mean) / std).permute(2, 0, 1)[None].float())
            logits = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[0].double().numpy()
            powers = np.exp(logits - logits.max(0))
            found.append((powers / powers.sum(0))[..., :: 1 if pixels is scaled else -1])
    return np.mean(found, 0)


@pytest.mark.parametrize("flip", [True, False])
def test_predictions_match_single_passes(flip, deeplab, image, cpu):
    model = copy.deepcopy(deeplab)
    with torch.no_grad():
        for branch in model.head:
            branch.weight.mul_(10)  # so that it matters what is averaged
    found = predict(model, image, [0.75, 1, 1.5], flip, cpu)
    expected = probabilities_by_passes(model, image, [0.75, 1, 1.5], flip)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    other = probabilities_by_passes(model, image, [1], flip)
    assert np.abs(expected - other).max() > 0.1


def test_predict_averages_over_the_flip(deeplab, image, cpu):
    mirror = np.ascontiguousarray(image[:, ::-1])
    straight, mirrored = (predict(deeplab, picture, [1], False, cpu) for picture in (image, mirror))
    expected = (straight + mirrored[..., ::-1]) / 2
    np.testing.assert_allclose(predict(deeplab, image, [1], True, cpu), expected, atol=1e-4)
    np.testing.assert_allclose(predict(deeplab, mirror, [1], True, cpu), expected[..., ::-1], atol=1e-4)


def test_train_deeplab_learns_the_labels(tmp_path, monkeypatch, rng, cpu, fit_context):
    """From colours alone, half of them background, so that a constant is half right; crops are padded."""
    monkeypatch.setattr(library, "build_backbone", lambda *_, **__: Identity())
    pixels, truth = rng.integers(0, 60, (40, 48, 3)), np.zeros((40, 48), np.uint8)
    pixels[:, 24:, 0] += 190
    truth[:, 24:] = 2
    truth[:4] = 255
    path, label = str(tmp_path / "image.png"), str(tmp_path / "label.png")
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    write_label(label, truth)
    settings = {
        "backbone": {"name": "colours", "weights": "random"}, "iterations": 30, "batch": 1, "crop": 48,
        "scale": [1, 1], "scales": [], "lr": 0.02, "lr_head_factor": 5, "momentum": 0.9, "weight_decay": 5e-4,
    }  # fmt: skip
    params = {"classes": 2, "settings": settings}
    model, history = train_deeplab([path], [label], params, fit_context(0))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
    found = predict(model.eval(), pixels.astype(np.uint8), [1], True, cpu).argmax(0)
    assert (found == truth)[truth != 255].mean() > 0.95


def test_scores_that_are_not_finite_are_an_error(tiny, rng, cpu):
    with torch.no_grad():
        tiny.head[0].bias[1] = float("nan")
    with pytest.raises(FloatingPointError, match="the network's scores are not finite"):
        predict(tiny, rng.integers(0, 256, (8, 9, 3), np.uint8), [1], False, cpu)


def test_a_trained_network_is_a_segmenter(tmp_path, deeplab, wheel, image, cpu):
    torch.save(deeplab.state_dict(), tmp_path / "model.pt")
    segment = open_deeplab({"classes": 2, "backbone": asdict(wheel)}, str(tmp_path / "model.pt"), cpu)
    for scales, flip in (([1], False), ([0.75, 1], True)):
        found = segment(image, scales, flip)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, predict(deeplab, image, scales, flip, cpu))


def test_the_network_on_colours_normalises_them_itself(tmp_path, deeplab, wheel, image):
    torch.save(deeplab.state_dict(), tmp_path / "model.pt")
    network = network_on_colours({"classes": 2, "backbone": asdict(wheel)}, str(tmp_path / "model.pt"))
    assert not network.training
    config = deeplab.backbone.pretrained_cfg
    normalised = (image / 255 - np.array(config["mean"])) / np.array(config["std"])
    batch = torch.from_numpy(np.stack([image, image]).transpose(0, 3, 1, 2)).float()
    with torch.inference_mode():
        found = network(batch)
        wanted = deeplab.eval()(torch.from_numpy(normalised.transpose(2, 0, 1))[None].float())
    np.testing.assert_allclose(found, wanted.expand(2, -1, -1, -1), atol=1e-4)
