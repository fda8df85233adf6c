"""Class activation maps against one pass per scale and mirror image, and the classifier that gives them."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from wsgcn.cam.classifier import (
    CamSettings,
    Classifier,
    ClassifierSettings,
    build_classifier,
    class_activation_maps,
    classifier_samples,
    open_classifier,
    train_classifier,
)
from wsgcn.cam.contract import CamInput
from wsgcn.graph.grid import grid_size
from wsgcn.labels.scores import label_from_cams
from wsgcn.networks.backbone import normalise

SETTINGS = CamSettings(scales=(1, 0.5, 1.5), flip=True)


@pytest.fixture(scope="module")
def classifier(backbone):
    """On ImageNet features, with a random head for five classes."""
    torch.manual_seed(0)
    return Classifier(backbone, 5).eval()


@pytest.fixture
def image(rng):
    """uint8 RGB [50, 71, 3]: smooth noise, not symmetric."""
    coarse = rng.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((71, 50), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("side, nodes", [(1, 1), (4, 1), (5, 2), (8, 2), (375, 94), (500, 125)])
def test_grid_size_rounds_up(side, nodes):
    assert grid_size(side, 4) == (nodes, 1)
    assert grid_size(4, side) == (1, nodes)


def cam_by_passes(classifier, image, k, settings):
    """Class k's map at [h, w] and [H, W]: every scale and mirror image by itself, the sum over its maximum."""
    h, w = image.shape[:2]
    totals = {size: np.zeros(size) for size in ((-(-h // 4), -(-w // 4)), (h, w))}
    for scale in settings.scales:
        scaled = Image.fromarray(image).resize((round(w * scale), round(h * scale)), Image.Resampling.BICUBIC)
        for mirrored in [False, True][: 1 + settings.flip]:
            pixels = np.asarray(scaled)[:, ::-1] if mirrored else np.asarray(scaled)
            mean, std = (np.array(classifier.backbone.pretrained_cfg[key]) for key in ("mean", "std"))
            inputs = torch.tensor((pixels / 255 - mean) / std).permute(2, 0, 1)[None].float()
            with torch.no_grad():
                features = classifier.backbone.forward_features(inputs)[0]
            weight = classifier.head.weight.detach()[k - 1, :, 0, 0]
            activation = torch.einsum("d,dyx->yx", weight, features).clamp(min=0)
            for size in totals:
                enlarged = F.interpolate(activation[None, None], size, mode="bilinear", align_corners=False)
                enlarged = enlarged[0, 0].numpy()
                totals[size] += enlarged[:, ::-1] if mirrored else enlarged
    return [total / (total.max() + 1e-5) for total in totals.values()]


@pytest.mark.parametrize("flip", [True, False])
def test_maps_match_sums_over_single_passes(flip, classifier, image, cpu):
    settings = replace(SETTINGS, flip=flip)
    on_grid, full = class_activation_maps(classifier, image, [2, 4], settings, cpu)
    assert on_grid.shape == (2, 13, 18) and full.shape == (2, 50, 71)
    assert on_grid.dtype == full.dtype == np.float32
    for index, k in enumerate((2, 4)):
        expected = cam_by_passes(classifier, image, k, settings)
        np.testing.assert_allclose(on_grid[index], expected[0], atol=2e-3)
        np.testing.assert_allclose(full[index], expected[1], atol=2e-3)


def test_maps_are_of_the_given_classes_with_maximum_one(classifier, image, cpu):
    every = class_activation_maps(classifier, image, [1, 2, 3, 4, 5], SETTINGS, cpu)
    for all_maps, own in zip(every, class_activation_maps(classifier, image, [5, 3], SETTINGS, cpu), strict=True):
        assert len(own) == 2
        np.testing.assert_allclose(own, all_maps[[4, 2]], atol=1e-5)
        assert (own >= 0).all() and (own <= 1).all()
        np.testing.assert_allclose(own.max((1, 2)), 1, atol=1e-2)


def test_cam_of_the_mirror_image_is_the_mirrored_cam(classifier, image, cpu):
    mirror = np.ascontiguousarray(image[:, ::-1])
    maps = (class_activation_maps(classifier, picture, [1, 3], SETTINGS, cpu) for picture in (image, mirror))
    for straight, mirrored in zip(*maps, strict=True):
        np.testing.assert_allclose(mirrored, straight[..., ::-1], atol=2e-3)


def test_a_class_without_activation_has_no_map(classifier, image, cpu):
    silent = Classifier(classifier.backbone, 1).eval()
    torch.nn.init.constant_(silent.head.weight, -1)  # lite0's features are ReLU6's: never negative
    on_grid, full = class_activation_maps(silent, image, [1], SETTINGS, cpu)
    assert not on_grid.any() and not full.any()


def test_logits_are_the_mean_of_the_maps(classifier):
    """Global average pooling and a bias-free convolution commute: a CAM explains its logit."""
    images = torch.randn(2, 3, 64, 48)
    assert classifier.head.bias is None
    with torch.no_grad():
        pooled = classifier.backbone.forward_features(images).mean((2, 3))
        expected = pooled @ classifier.head.weight[:, :, 0, 0].T
        torch.testing.assert_close(classifier(images), expected, atol=1e-4, rtol=1e-4)


def test_batch_statistics_stay_in_training(wheel):
    model = build_classifier(wheel, 3).train()
    before = {key: value.clone() for key, value in model.state_dict().items() if "running" in key}
    model(torch.randn(2, 3, 32, 32))
    assert before and all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert model.training and model.head.training


@pytest.mark.parametrize("background", [0, 0.25, 0.5])
def test_label_from_cams_matches_naive_loop(background, rng):
    cams = rng.random((3, 7, 8)) * (rng.random((7, 8)) < 0.7)
    cams[:, 0, 0] = background  # not above it
    label = label_from_cams(cams, [2, 5, 19], background)
    assert label.dtype == np.uint8
    for y, x in np.ndindex(7, 8):
        scores = {0: background} | dict(zip([2, 5, 19], cams[:, y, x], strict=True))
        assert label[y, x] == max(scores, key=scores.get)


TRAINING = {
    "epochs": 6, "min_steps": 0, "batch": 4, "crop": 48, "long_side": [48, 60], "lr_backbone": 0.001, "lr_head": 0.05,
    "weight_decay": 1e-4,
}  # fmt: skip


def test_train_classifier_learns_and_is_reproducible(tmp_path, wheel, rng, fit_context):
    """Red pictures are of class 1, green ones of class 2, blue ones of class 3."""
    images, targets, shown = [], [], []
    for k in range(6):
        pixels = rng.integers(0, 60, (48, 48, 3)).astype(np.uint8)
        pixels[10:38, 10:40, k % 3] += 190
        images.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(pixels).save(images[-1])
        targets.append((1 + k % 3,))
        shown.append(pixels)
    params = {"classes": 3, "backbone": asdict(wheel), "settings": TRAINING | {"epochs": 10, "batch": 6}}
    (model, history), (again, _) = (train_classifier(images, targets, params, fit_context(3)) for _ in range(2))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    with torch.no_grad():
        pixels = torch.tensor(np.stack(shown)).permute(0, 3, 1, 2)
        found = model.eval()(normalise(pixels, model.backbone)).argmax(1)
    assert (found + 1).tolist() == [own for (own,) in targets]
    longer = params | {"settings": TRAINING | {"epochs": 1, "batch": 7, "min_steps": 3}}
    assert train_classifier(images, targets, longer, fit_context(3))[1].index[-1] == 3
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_trained_classifier_is_a_source_of_cams(tmp_path, wheel, image, cpu):
    torch.manual_seed(1)
    model = build_classifier(wheel, 5).eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    params = {"classes": 5, "backbone": asdict(wheel), "settings": {"scales": [1, 0.5, 1.5], "flip": True}}
    cams_of = open_classifier(params, str(tmp_path / "model.pt"), cpu)
    expected = class_activation_maps(model, image, [2, 4], SETTINGS, cpu)
    for found, maps in zip(cams_of(CamInput(image, (2, 4))), expected, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, maps)


@pytest.mark.parametrize(
    "classes, expected", [((), [0, 0, 0]), ([], [0, 0, 0]), ((2,), [0, 1, 0]), ([1, 3], [1, 0, 1])]
)
def test_the_target_of_an_image_is_one_for_its_classes(classes, expected, image, rng, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    settings = ClassifierSettings(1, 0, 1, 32, (40, 60), 0.1, 0.1, 0)
    sample = classifier_samples([tmp_path / "a.png"], [classes], 3, settings, np.zeros(3))
    assert sample(0, rng)[1].tolist() == expected
