"""CAMs and the classifier's training as in IRN's released code."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from wsgcn.cam.classifier import (
    CamSettings,
    build_classifier,
    class_activation_maps,
    open_classifier,
    train_classifier,
)
from wsgcn.cam.contract import CamInput


def bilinear(cells: np.ndarray, y: float, x: float) -> float:
    """A map between the middles of its cells, constant beyond the outermost; y and x in cells from the first middle."""
    y, x = min(max(y, 0), cells.shape[0] - 1), min(max(x, 0), cells.shape[1] - 1)
    rows, columns = (int(y), min(int(y) + 1, cells.shape[0] - 1)), (int(x), min(int(x) + 1, cells.shape[1] - 1))
    dy, dx = y - rows[0], x - columns[0]
    return sum(
        cells[row, column] * (dy if j else 1 - dy) * (dx if i else 1 - dx)
        for j, row in enumerate(rows)
        for i, column in enumerate(columns)
    )


@pytest.mark.parametrize("size", [(50, 71), (33, 48), (16, 5)])
def test_cut_maps_have_a_cell_per_sixteen_pixels(size, rng, cpu):
    cells = rng.random((2, -(-size[0] // 16), -(-size[1] // 16)))
    model = SimpleNamespace(
        backbone=SimpleNamespace(pretrained_cfg={"mean": (0.5,) * 3, "std": (0.5,) * 3}),
        activation=lambda batch, classes: torch.from_numpy(cells)[None],
    )
    settings = CamSettings(scales=(1,), flip=False, full_size="cut")
    _, full = class_activation_maps(model, np.zeros((*size, 3), np.uint8), [1, 2], settings, cpu)
    for own, found in zip(cells, full, strict=True):
        expected = np.array([[bilinear(own, (y + 0.5) / 16 - 0.5, (x + 0.5) / 16 - 0.5) for x in range(size[1])]
                             for y in range(size[0])])  # fmt: skip
        np.testing.assert_allclose(found, expected / (expected.max() + 1e-5), atol=1e-5)


def test_the_source_reads_how_maps_are_enlarged(tmp_path, wheel, rng, cpu):
    torch.manual_seed(1)
    model, image = build_classifier(wheel, 3).eval(), rng.integers(0, 256, (40, 53, 3)).astype(np.uint8)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    params = {"classes": 3, "backbone": asdict(wheel), "settings": {"scales": [1], "flip": True, "full_size": "cut"}}
    _, found = open_classifier(params, str(tmp_path / "model.pt"), cpu)(CamInput(image, (2,)))
    cut, stretched = (
        class_activation_maps(model, image, (2,), CamSettings((1,), True, own), cpu)[1] for own in ("cut", "stretched")
    )
    np.testing.assert_array_equal(found, cut)
    assert np.abs(cut - stretched).max() > 0.01


@pytest.mark.parametrize("count", [0, 3])
def test_frozen_stages_are_not_trained(count, tmp_path, wheel, rng, fit_context):
    Image.fromarray(rng.integers(0, 256, (40, 56, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    settings = {
        "epochs": 1, "min_steps": 0, "batch": 1, "crop": 48, "long_side": [48, 60], "lr_backbone": 0.01, "lr_head": 0.1,
        "weight_decay": 1e-2, "freeze_stages": count,
    }  # fmt: skip
    params = {"classes": 2, "backbone": asdict(wheel), "settings": settings}
    model, _ = train_classifier([str(tmp_path / "a.png")], [(1,)], params, fit_context(0))
    before = build_classifier(wheel, 2).backbone.state_dict()
    same = {name: torch.equal(before[name], values) for name, values in model.backbone.named_parameters()}
    assert same["conv_stem.weight"] == same["blocks.2.0.conv_pw.weight"] == bool(count)
    assert not same["blocks.3.0.conv_pw.weight"] and not same["conv_head.weight"]
