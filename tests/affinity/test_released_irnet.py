"""IRNet's boundary branch and its loss as in the released code, against loops and passes of their own."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pair_losses import naive_losses, values_of
from PIL import Image

from wsgcn.affinity.irnet import (
    BoundarySettings,
    affinity_loss,
    boundary_and_features,
    build_boundary_net,
    open_boundary_net,
    train_boundary,
)
from wsgcn.files import write_label

H, W = 37, 50
GRID = (10, 13)
TRAINING = {
    "epochs": 1, "min_steps": 0, "batch": 1, "crop": 32, "scale": [1, 1], "lr": 1e-6, "weight_decay": 0, "radius": 4,
}  # fmt: skip


@pytest.mark.parametrize("radius, size", [(3, (7, 9)), (4, (5, 8)), (5, (4, 9))])
def test_inner_pairs_begin_where_every_partner_exists(radius, size, rng, pairs, points_between):
    boundary, label = rng.random((2, *size)), rng.choice([0, 1, 2, 255], (2, *size)).astype(np.uint8)

    def is_inner(point):
        return all(
            0 <= point[0] + dy < size[0] and 0 <= point[1] + dx < size[1]
            for dy in range(radius)
            for dx in range(1 - radius, radius)
        )

    inner = [(a, b) for a, b in pairs(*size, radius) if is_inner(a)]
    expected = naive_losses(lambda b, p, q: 1 - max(boundary[b][o] for o in points_between(p, q)), label, inner)
    found = values_of(affinity_loss(torch.tensor(boundary), torch.tensor(label), radius, pairs="inner"))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    weighted = affinity_loss(
        torch.tensor(boundary), torch.tensor(label), radius, torch.ones(2, *size).double(), "inner"
    )
    np.testing.assert_allclose(values_of(weighted), expected, rtol=1e-6)


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((W, H), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def net(wheel):
    torch.manual_seed(0)
    return build_boundary_net(wheel, torch.device("cpu")).eval()


def boundary_by_passes(net, image, settings):
    """Boundary and features on the grid: the image and its mirror image one by one, layer by layer."""
    mean, std = (np.array(net.backbone.pretrained_cfg[key]) for key in ("mean", "std"))
    logits, features = [], []
    for mirrored in (False, True):
        pixels = (image[:, ::-1] if mirrored else image) / 255.0
        values = (pixels - mean) / std
        if settings.pad_to:
            sides = [-(-max(settings.pad_to, side) // 16) * 16 for side in values.shape[:2]]
            padded = np.zeros((*sides, 3))
            padded[: values.shape[0], : values.shape[1]] = values
            values = padded
        grid = [-(-side // 4) for side in values.shape[:2]]
        with torch.no_grad():
            maps = net.backbone.forward_intermediates(
                torch.tensor(values.transpose(2, 0, 1)[None]).float(), intermediates_only=True
            )
            if settings.first_stage == "pooled":
                maps[0] = torch.nn.MaxPool2d(3, 2, 1)(maps[0])
            reduced = [
                F.interpolate(norm(convolution(m)), grid, mode="bilinear").relu()
                for (convolution, norm), m in zip(net.stages, maps, strict=True)
            ]
            own = torch.cat(reduced, 1)[:, :, : GRID[0], : GRID[1]]
            weight, bias = net.last.weight[0, :, 0, 0], net.last.bias
            logit = torch.einsum("d,dyx->yx", weight, own[0]) + bias
        logits.append(logit.flip(1) if mirrored else logit)
        features.append(own[0].flip(2) if mirrored else own[0])
    if settings.flip_mean == "logits":
        boundary = ((logits[0] + logits[1]) / 2).sigmoid()
    else:
        boundary = (logits[0].sigmoid() + logits[1].sigmoid()) / 2
    return boundary.numpy(), ((features[0] + features[1]) / 2).numpy()


VARIANTS = [
    BoundarySettings(),
    BoundarySettings(first_stage="pooled"),
    BoundarySettings(pad_to=64),
    BoundarySettings(pad_to=41),  # the shorter side to 48, the longer to 64
    BoundarySettings(flip_mean="logits"),
    BoundarySettings("pooled", 64, "logits"),
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_inference_matches_single_passes_and_is_read(settings, net, wheel, image, tmp_path, cpu):
    with torch.no_grad():
        net.last.weight.mul_(20 if net.last.weight.abs().max() < 0.2 else 1)  # so that sigmoid is not linear
    torch.save(net.state_dict(), tmp_path / "model.pt")
    named = {key: value for key, value in asdict(settings).items() if value != getattr(BoundarySettings(), key)}
    found = open_boundary_net({"backbone": asdict(wheel), **named}, str(tmp_path / "model.pt"), cpu)(image)
    boundary, features = boundary_by_passes(net, image, settings)
    np.testing.assert_allclose(found["boundary"], boundary, atol=1e-4)
    np.testing.assert_allclose(found["features"], features, atol=1e-2)
    if settings != BoundarySettings():
        assert np.abs(boundary - boundary_and_features(net, image, cpu)[0]).max() > 1e-3


@pytest.fixture(scope="module")
def losses(tmp_path_factory, image, wheel, fit_context):
    """losses(**changed): those of one step of a training, with settings and parameters of their own."""
    folder = tmp_path_factory.mktemp("training")
    Image.fromarray(image).save(folder / "a.png")
    label = np.zeros((H, W), np.uint8)
    label[8:30, 10:30] = 1
    write_label(folder / "label.png", label)

    def train(first_stage="unpooled", **settings):
        params = {"backbone": asdict(wheel), "settings": TRAINING | settings, "first_stage": first_stage}
        return train_boundary([str(folder / "a.png")], [str(folder / "label.png")], params, fit_context(0))[1]

    return train


def test_the_training_reads_the_first_stage(losses):
    assert losses("unpooled")["loss"].item() != pytest.approx(losses("pooled")["loss"].item(), rel=1e-4)


def test_the_training_reads_the_pairs(losses):
    """Of a grid of 8×8 points, none has partners within 4 to its left and to its right and within 7 below."""
    assert losses(radius=8, pairs="all")["loss"].item() > 0
    assert losses(radius=8, pairs="inner")["loss"].item() == 0
