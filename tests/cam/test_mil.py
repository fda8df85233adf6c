"""The classifier of locations: its features, its maps, its settings.

Run alone: `.venv/bin/python -m pytest tests/cam/test_mil.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.cam.contract import CamInput
from wsgcn.cam.mil import (
    ViewSettings,
    build_location_net,
    highest_logits,
    open_location_cams,
    open_location_features,
    train_locations,
)
from wsgcn.files import write_arrays
from wsgcn.networks.backbone import BackboneSettings, normalise

BACKBONE = {"name": "tf_efficientnet_lite0", "weights": "random"}


SETTINGS = {"top": [0.03, 0.5], "top_of": {}, "l2": 1e-3}


def views(**change) -> dict:
    return {"scale": 1, "stride": 8} | change


@pytest.mark.parametrize(("change", "size"), [({}, (6, 9)), ({"stride": 4}, (12, 18)), ({"scale": 2}, (12, 18))])
def test_features_lie_on_a_grid_of_the_stride(change, size, cpu):
    image = np.random.default_rng(0).integers(0, 255, (48, 72, 3), np.uint8)
    found = open_location_features({"backbone": BACKBONE, "settings": views(**change)}, cpu)(image)["locations"]
    assert found.shape == (size[0] * size[1], 24 + 40 + 112) and np.isfinite(found).all() and found.dtype == np.float16


def test_finer_maps_are_averaged_and_coarser_ones_interpolated(cpu):
    network = build_location_net(BackboneSettings(**BACKBONE), 2, ViewSettings(1, 8)).eval()
    batch = normalise(torch.rand(1, 3, 64, 64) * 255, network.backbone)
    with torch.no_grad():
        maps = network.backbone.forward_intermediates(batch, intermediates_only=True)
        found = network.features(batch)[0]
    fine = maps[1][0]
    expected = [[fine[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((1, 2)) for x in range(8)] for y in range(8)]
    torch.testing.assert_close(found[:24], torch.stack([torch.stack(row, 1) for row in expected], 1))
    torch.testing.assert_close(found[24:64], maps[2][0])


def test_a_trained_network_marks_what_its_class_looks_like(tmp_path, cpu, fit_context):
    """A bright square; its logits at a location are those of the fitted weights on the file's features."""
    rng, files, images, targets = np.random.default_rng(0), [], [], []
    torch.manual_seed(0)
    for k in range(8):
        image = rng.integers(90, 110, (64, 96, 3), np.uint8)
        if k % 2:
            image[16:32, 32:48] = 255
        images.append(image)
        targets.append([1] if k % 2 else [])
    torch.manual_seed(0)
    extract = open_location_features({"backbone": BACKBONE, "settings": views()}, cpu)
    for k, image in enumerate(images):
        write_arrays(tmp_path / f"{k}.npz", **extract(image))
        files.append(tmp_path / f"{k}.npz")
    torch.manual_seed(0)  # the same random backbone
    params = {"backbone": BACKBONE, "views": views(), "settings": SETTINGS, "classes": 1}
    params |= {"names": ["bright square"], "groups": list("abcdefgh")}
    model, history = train_locations(files, targets, params, fit_context())
    assert history.index.name == "step" and len(history) == 3 and np.isfinite(history).all(axis=None)
    assert set(history.columns) == {"ap_fold", "ap/bright square", "ap", "loss", "top/bright square"}
    top = history["top/bright square"].iloc[0]
    assert top in SETTINGS["top"] and model.top.tolist() == pytest.approx([top])
    known, _ = train_locations(
        files, targets, params | {"settings": SETTINGS | {"top_of": {"bright square": 0.1}}}, fit_context()
    )
    assert known.top.tolist() == pytest.approx([0.1]) and not torch.equal(known.last.weight, model.last.weight)
    weak, _ = train_locations(files, targets, params | {"settings": SETTINGS | {"l2": 0.1}}, fit_context())
    assert weak.last.weight.norm() < model.last.weight.norm()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    given = {"backbone": BACKBONE, "views": views(), "classes": 1, "flip": False}
    cams = open_location_cams(given, tmp_path / "model.pt", cpu)
    cam, high_res = cams(CamInput(images[1], (1,)))
    assert cam.shape == (1, 16, 24) and high_res.shape == (1, 64, 96)
    inside = high_res[0, 16:32, 32:48].mean()
    assert inside > 3 * (high_res[0].sum() - 256 * inside) / (64 * 96 - 256)
    mirrored = open_location_cams(given | {"flip": True}, tmp_path / "model.pt", cpu)(CamInput(images[1], (1,)))[0]
    assert not np.array_equal(mirrored, cam)


def test_a_tag_that_the_network_denies_still_has_a_map(tmp_path, cpu):
    """Of the locations that it denies least; `top` of the trained network says how many."""
    torch.manual_seed(0)
    model = build_location_net(BackboneSettings(**BACKBONE), 1, ViewSettings(1, 8)).eval()
    model.last.bias.data.fill_(-100)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    given = {"backbone": BACKBONE, "views": views(), "classes": 1, "flip": False}
    maps = []
    for top in (0.05, 0.5):
        model.top.fill_(top)
        torch.save(model.state_dict(), tmp_path / "model.pt")
        maps.append(open_location_cams(given, tmp_path / "model.pt", cpu)(CamInput(image, (1,)))[1])
    few, many = maps
    assert few.max() == pytest.approx(1, abs=1e-2) and 0 < (few > 0).mean() < (many > 0).mean() < 1


def test_the_highest_logits_are_the_sorted_ones():
    logits = torch.rand(2, 5, 4)
    expected = [np.sort(own.ravel())[-n:].mean() for own, n in zip(logits.numpy(), (3, 20), strict=True)]
    np.testing.assert_allclose(highest_logits(logits, [0.15, 1]).ravel(), expected, rtol=1e-6)
