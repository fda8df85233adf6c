"""Sizes of images, and smaller copies of those that are too large."""

import os

import numpy as np
import pytest
from PIL import Image

from wsgcn.data import sizes
from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.data.sizes import ImageFacts, image_facts, read_working_copy, with_copies, write_copy
from wsgcn.depth import ORIENTATION
from wsgcn.files import read_image
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
    height, width, _ = image_facts([path], tmp_path / "sizes.json")[path]
    with Image.open(path) as image:
        from PIL import ImageOps

        assert ImageOps.exif_transpose(image).size == (width, height)


def test_only_changed_images_are_opened_again(tmp_path, monkeypatch):
    paths = [save(tmp_path, "a.png", 4, 3), save(tmp_path, "b.png", 5, 6)]
    cache, opened, real = tmp_path / "sizes.json", [], Image.open
    monkeypatch.setattr(sizes.Image, "open", lambda path: opened.append(path) or real(path))
    first = image_facts(paths, cache)
    assert first == image_facts(paths, cache) == {paths[0]: (3, 4, False), paths[1]: (6, 5, False)}
    assert opened == paths
    save(tmp_path, "b.png", 8, 8)
    os.utime(paths[1], ns=(1, 1))
    assert image_facts(paths, cache)[paths[1]] == (8, 8, False) and opened == [*paths, paths[1]]


def test_images_that_cannot_be_opened_are_left_out(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    readable = save(tmp_path, "a.png", 4, 3)
    paths = [str(tmp_path / "text.png"), readable]
    assert image_facts(paths, tmp_path / "sizes.json") == {readable: (3, 4, False)}


def test_large_images_get_smaller_copies_in_every_list():
    small, large, unknown = (Member(name, f"{name}.png", (1,), f"{name}.mask.png") for name in ("s", "l", "u"))
    lists = {"train": {"s": small, "l": large}, "label": {"l": large, "u": unknown}, "evaluate": {"s": small}}
    data = Dataset(("x",), **lists, mask_values=(0, 1), numbering=("x",))
    facts = {"s.png": ImageFacts(5, 10), "l.png": ImageFacts(11, 4)}
    changed, sizes_of_large, deep = with_copies(data, facts, 10, "copies")
    assert sizes_of_large == {"l": (11, 4)} and not deep
    copy = Member("l", "copies/l.jpg", (1,), "l.mask.png")
    assert changed.train == {"s": small, "l": copy} and changed.label == {"l": copy, "u": unknown}
    assert changed.evaluate == data.evaluate and changed.classes == data.classes


def test_images_of_16_bits_get_copies_that_lose_nothing():
    images = {name: Member(name, f"{name}.tif", (1,), None) for name in "abc"}
    data = Dataset(("x",), images, images, images, mask_values=(0, 1), numbering=("x",))
    facts = {"a.tif": ImageFacts(5, 10, True), "b.tif": ImageFacts(11, 4, True), "c.tif": ImageFacts(5, 10)}
    changed, sizes_of_large, deep = with_copies(data, facts, 10, "copies")
    assert [image.path for image in changed.label.values()] == ["copies/a.png", "copies/b.png", "c.tif"]
    assert sizes_of_large == {"b": (11, 4)} and deep == ["a", "b"]


@pytest.mark.parametrize("orientation", range(0, 12))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_sizes_are_those_of_what_is_read(kind, orientation, tmp_path):
    path = save(tmp_path, f"a.{kind}", 40, 30, orientation)
    assert image_facts([path], tmp_path / "sizes.json")[path][:2] == read_image(path).shape[:2]


@pytest.mark.parametrize("shape, smaller", [((50, 100), (10, 20)), ((100, 30), (20, 6)), ((1, 400), (1, 20))])
def test_a_smaller_copy_has_the_longest_side(shape, smaller, tmp_path, rng):
    for suffix, form in ((".jpg", "JPEG"), (".png", "PNG")):
        write_copy(tmp_path / f"new/a{suffix}", rng.integers(0, 256, (*shape, 3), np.uint8), 20)
        with Image.open(tmp_path / f"new/a{suffix}") as image:
            assert image.format == form and image.size == smaller[::-1]


def test_a_copy_as_a_png_keeps_the_pixels_of_an_image_that_is_small_enough(tmp_path, rng):
    pixels = rng.integers(0, 256, (9, 20, 3), np.uint8)
    write_copy(tmp_path / "a.png", pixels, 20)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_labels_are_resized_to_the_full_image():
    label = np.array([[1, 2]], np.uint8)
    assert at_full_size(label, {"full_sizes": [None, (2, 4)]}, 1).tolist() == [[1, 1, 2, 2]] * 2
    for params in ({}, {"full_sizes": [None, (2, 4)]}):
        assert at_full_size(label, params, 0) is label


def test_an_image_is_read_as_the_workflow_works_on_it(tmp_path, rng):
    """As its copy where it has one: a JPEG, or a PNG of 16 bits."""
    pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image, size = read_working_copy(tmp_path / "a.png", 40, None)
    np.testing.assert_array_equal(image, pixels)
    assert size == (30, 40)
    Image.fromarray(rng.integers(0, 5000, (30, 40), np.uint16)).save(tmp_path / "deep.png")
    for name, suffix, black_white in (("a.png", ".jpg", None), ("deep.png", ".png", (100, 3000))):
        write_copy(tmp_path / f"copy{suffix}", read_image(tmp_path / name, black_white), 20)
        image, size = read_working_copy(tmp_path / name, 20, black_white)
        np.testing.assert_array_equal(image, read_image(tmp_path / f"copy{suffix}"))
        assert (image.shape, size) == ((15, 20, 3), (30, 40))
