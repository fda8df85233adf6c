"""Images, masks and networks are checked before anything runs."""

import json
import os

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from wsgcn.depth import ORIENTATION
from wsgcn.files import IGNORE, read_json, write_label, write_skipped
from wsgcn.networks import backbone
from wsgcn.workflow import check
from wsgcn.workflow.check import Inspection, check_images, check_networks, format_problems, inspect

VALUES = (0, 1, *[-1] * 253, IGNORE)


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "image.png")
    return str(tmp_path / "image.png")


def mask(path, values):
    write_label(path, np.array(values, np.uint8))
    return str(path)


def test_every_problem_is_a_sentence(tmp_path, image):
    fitting = mask(tmp_path / "fitting.png", np.zeros((4, 5)))
    small = mask(tmp_path / "small.png", np.zeros((3, 5)))
    unknown = mask(tmp_path / "unknown.png", np.full((4, 5), 7))
    coloured, broken, missing = (str(tmp_path / name) for name in ("coloured.png", "broken.jpg", "missing.jpg"))
    Image.new("RGB", (5, 4)).save(coloured)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    assert inspect(image, None, VALUES) == Inspection(grey=True)
    assert inspect(image, fitting, VALUES) == Inspection(values=[0], grey=True)
    assert inspect(image, small, VALUES) == Inspection(mask=f"mask {small} is 5×3, but its image is 5×4")
    assert inspect(image, unknown, VALUES) == Inspection(mask=f"mask {unknown} contains values of no class: 7")
    assert inspect(image, coloured, VALUES).mask.startswith(f"label {coloured} has mode RGB")
    assert inspect(broken, fitting, VALUES).image.startswith(f"image {broken} cannot be read")
    assert inspect(missing, None, VALUES) == Inspection(image=f"image {missing} does not exist")


def test_problems_are_reported_together_until_they_are_fixed(tmp_path, image):
    broken, missing, cache = str(tmp_path / "broken.jpg"), str(tmp_path / "missing.jpg"), tmp_path / "checked.json"
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    files = [(image, None), (broken, None), (missing, None)]
    for _ in range(2):
        found = check_images(files, VALUES, cache, threads=2)
        assert [path for path in found if found[path].image] == [broken, missing]
        assert found[missing].image == f"image {missing} does not exist"
    Image.new("L", (3, 3)).save(broken)
    assert check_images(files[:2], VALUES, cache) == dict.fromkeys([image, broken], Inspection(grey=True))


def test_what_a_mask_contains_is_remembered(tmp_path, image):
    label, cache = mask(tmp_path / "mask.png", np.tile([0, IGNORE, 1, 1, 1], (4, 1))), tmp_path / "checked.json"
    for _ in range(2):
        assert check_images([(image, label)], VALUES, cache) == {image: Inspection(values=[0, 1, IGNORE], grey=True)}


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG"])
def test_frames_are_counted(form, tmp_path):
    path = str(tmp_path / "a")
    frames = [Image.new("L", (5, 4), value) for value in (0, 100, 200)]
    frames[0].save(path, format=form, save_all=True, append_images=frames[1:])
    assert inspect(path, None, VALUES).frames == 3


def test_three_equal_channels_are_grey(tmp_path):
    pixels = np.repeat(np.arange(20, dtype=np.uint8).reshape(4, 5, 1), 3, 2)
    for name, change, grey in (("a", 0, True), ("b", 1, False)):
        pixels[3, 4, 1] += change
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        assert inspect(str(tmp_path / f"{name}.png"), None, VALUES).grey is grey


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_a_mask_of_the_image_as_it_is_stored_is_named_as_such(orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (5, 4)).save(tmp_path / "a.jpg", exif=exif)
    found = inspect(str(tmp_path / "a.jpg"), mask(tmp_path / "a.png", np.zeros((4, 5))), VALUES)
    if orientation == 6:
        assert found.mask.endswith("is 5×4, but its image is 4×5, as EXIF turns it (orientation 6)")
    else:
        assert found == Inspection(values=[0], orientation=orientation, grey=True)


def test_only_changed_files_are_opened_again(tmp_path, image, monkeypatch):
    cache, label = tmp_path / "checked.json", mask(tmp_path / "mask.png", np.zeros((4, 5)))
    other = str(tmp_path / "other.png")
    Image.new("RGB", (5, 4)).save(other)
    opened, real = [], check.inspect
    monkeypatch.setattr(check, "inspect", lambda path, *rest: opened.append(path) or real(path, *rest))
    files = [(image, label), (other, None)]
    check_images(files, VALUES, cache)
    assert sorted(opened) == sorted([image, other])
    check_images(files, VALUES, cache)
    check_images(files[:1], VALUES, cache)
    assert len(opened) == 2
    more = (0, 1, 2, *VALUES[3:])
    check_images(files, more, cache)  # the meaning of the masks' values has changed
    assert opened[2:] == [image]
    os.utime(label, ns=(1, 1))
    check_images(files, more, cache)
    assert opened[3:] == [image]


@pytest.mark.parametrize(
    "found",
    [
        "",
        "[1, 2]",
        "{",
        '{"IMAGE": ["an older form"]}',
        '{"IMAGE": {"mark": MARK}}',
        '{"IMAGE": {"mark": MARK, "found": {"x": 1}}}',
        '{"IMAGE": {"mark": MARK, "found": {"image": null, "values": null}}}',
    ],
)
def test_an_unreadable_cache_is_ignored(tmp_path, image, found):
    cache = tmp_path / "checked.json"
    check_images([(image, None)], VALUES, cache)
    fingerprint = json.dumps(read_json(cache)[image]["mark"])
    cache.write_text(found.replace("IMAGE", image).replace("MARK", fingerprint))
    check_images([(image, None)], VALUES, cache)
    assert read_json(cache)[image].keys() == {"mark", "found"}
    assert read_json(cache)[image]["found"].keys() == set(Inspection._fields)


def test_a_skipped_label_is_not_a_mask(tmp_path, image):
    write_skipped(tmp_path / "mask.png", "cam: no")
    assert "a note why its image was skipped: cam: no" in inspect(image, str(tmp_path / "mask.png"), VALUES).mask


def test_long_lists_of_problems_are_cut():
    assert format_problems(["one"]) == "one"
    assert format_problems([f"problem {k}" for k in range(60)]).splitlines()[-2:] == ["problem 49", "and 10 more"]
    assert format_problems(["a\nb", "\u2028"]).splitlines() == ["2 problems:", r"a\nb", r"\u2028"]


def test_networks_are_built_once(tmp_path, monkeypatch):
    cache, built = tmp_path / "networks.json", []
    path = tmp_path / "weights.pt"
    torch.save(timm.create_model("test_resnet", num_classes=0, global_pool="").state_dict(), path)
    backbones = [("", {"name": "test_resnet", "weights": str(path)}, 16)]
    backbones.append(("segmentation.training.", {"name": "test_resnet", "weights": "random"}, 8))
    real = backbone.build_backbone
    monkeypatch.setattr(backbone, "build_backbone", lambda *args: built.append(args) or real(*args))
    for _ in range(2):
        assert check_networks(backbones, cache) == []
        assert len(built) == 2
    torch.save({}, path)
    bad = ("segmentation.training.", {"name": "test_resne", "weights": "random"}, 8)
    for _ in range(2):
        lacking, unknown = check_networks([backbones[0], bad], cache)
        assert lacking.startswith("backbone.weights: ") and "weights.pt lacks" in lacking
        assert unknown.startswith("segmentation.training.backbone.name: timm knows no test_resne;")
