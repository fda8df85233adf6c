"""Sizes of images, and smaller copies of those that are too large."""

import os

import numpy as np
import pytest
from PIL import Image

from wsgcn.data import sizes
from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.data.sizes import ORIENTATION, image_sizes, with_smaller_copies, write_smaller_copy
from wsgcn.workflow.jobs import at_full_size


def save(folder, name, width, height, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    Image.new("RGB", (width, height)).save(folder / name, exif=exif)
    return str(folder / name)


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_sizes_are_those_of_the_upright_image(orientation, tmp_path):
    path = save(tmp_path, "a.jpg", 40, 30, orientation)
    height, width = image_sizes([path], tmp_path / "sizes.json")[path]
    with Image.open(path) as image:
        from PIL import ImageOps

        assert ImageOps.exif_transpose(image).size == (width, height)


def test_only_changed_images_are_opened_again(tmp_path, monkeypatch):
    paths = [save(tmp_path, "a.png", 4, 3), save(tmp_path, "b.png", 5, 6)]
    cache, opened, real = tmp_path / "sizes.json", [], Image.open
    monkeypatch.setattr(sizes.Image, "open", lambda path: opened.append(path) or real(path))
    first = image_sizes(paths, cache)
    assert first == image_sizes(paths, cache) == {paths[0]: (3, 4), paths[1]: (6, 5)}
    assert opened == paths
    save(tmp_path, "b.png", 8, 8)
    os.utime(paths[1], ns=(1, 1))
    assert image_sizes(paths, cache)[paths[1]] == (8, 8) and opened == [*paths, paths[1]]


def test_images_that_cannot_be_opened_are_left_out(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    readable = save(tmp_path, "a.png", 4, 3)
    paths = [str(tmp_path / "text.png"), readable]
    assert image_sizes(paths, tmp_path / "sizes.json") == {readable: (3, 4)}


def test_large_images_get_smaller_copies_in_every_list():
    small, large, unknown = (Member(name, f"{name}.png", (1,), f"{name}.mask.png") for name in ("s", "l", "u"))
    lists = {"train": {"s": small, "l": large}, "label": {"l": large, "u": unknown}, "evaluate": {"s": small}}
    data = Dataset(("x",), **lists, mask_values=(0, 1), numbering=("x",))
    changed, sizes_of_large = with_smaller_copies(data, {"s.png": (5, 10), "l.png": (11, 4)}, 10, "copies")
    assert sizes_of_large == {"l": (11, 4)}
    copy = Member("l", "copies/l.jpg", (1,), "l.mask.png")
    assert changed.train == {"s": small, "l": copy} and changed.label == {"l": copy, "u": unknown}
    assert changed.evaluate == data.evaluate and changed.classes == data.classes


@pytest.mark.parametrize("shape, smaller", [((50, 100), (10, 20)), ((100, 30), (20, 6)), ((1, 400), (1, 20))])
def test_a_smaller_copy_has_the_longest_side(shape, smaller, tmp_path, rng):
    write_smaller_copy(tmp_path / "new/a.jpg", rng.integers(0, 256, (*shape, 3), np.uint8), 20)
    with Image.open(tmp_path / "new/a.jpg") as image:
        assert image.format == "JPEG" and image.size == smaller[::-1]


def test_labels_are_resized_to_the_full_image():
    label = np.array([[1, 2]], np.uint8)
    assert at_full_size(label, {"full_sizes": [None, (2, 4)]}, 1).tolist() == [[1, 1, 2, 2]] * 2
    for params in ({}, {"full_sizes": [None, (2, 4)]}):
        assert at_full_size(label, params, 0) is label
