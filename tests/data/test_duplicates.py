"""Pictures that are nearly the same, across lists."""

import os

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from wsgcn.data import demo_scenes as demo
from wsgcn.data import duplicates
from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.data.duplicates import describe_duplicates, make_thumbnail, near_duplicates, thumbnails


def drawing(k: int) -> np.ndarray:
    return demo.draw(f"train_{k:04d}", (demo.CLASSES[k % 5],), 0, 120)[0]


@pytest.fixture
def folder(tmp_path):
    """Three drawings that are learnt, and beside them copies of each and another drawing."""
    for k in range(3):
        Image.fromarray(drawing(k)).save(tmp_path / f"{k}.png")
    Image.fromarray(drawing(0)).save(tmp_path / "jpeg.jpg", quality=60)
    large = Image.fromarray(drawing(1)).resize((400, 300))
    large.save(tmp_path / "large.png")
    brighter = np.minimum(drawing(2).astype(int) + 4, 255).astype(np.uint8)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(brighter.astype(np.uint16) * 257))
    Image.fromarray(drawing(3)).save(tmp_path / "other.png")
    return tmp_path


def members(folder, *files):
    return {file.split(".")[0]: Member(file.split(".")[0], str(folder / file), (1,), None) for file in files}


def data_of(folder, *held):
    learnt = members(folder, "0.png", "1.png", "2.png")
    return Dataset(("a",), learnt, learnt, members(folder, *held), (0, 1), ("a",))


def test_copies_are_named_with_what_they_copy(folder):
    (found,) = describe_duplicates(data_of(folder, "jpeg.jpg", "large.png", "deep.png", "other.png"), folder / "cache")
    pairs = [("jpeg.jpg", "0"), ("large.png", "1"), ("deep.png", "2")]
    assert found.startswith("dataset.evaluate: 3 images nearly the same as one that is trained on or labelled")
    assert all(f"{folder}/{copy} and {folder}/{k}.png" in found for copy, k in pairs)
    assert describe_duplicates(data_of(folder, "other.png"), folder / "cache") == []


def test_nothing_is_opened_where_nothing_is_held_out(folder):
    assert describe_duplicates(data_of(folder, "0.png", "1.png"), folder / "cache") == []
    assert not (folder / "cache").exists()


def test_pictures_without_contrast_are_not_compared():
    flat = make_thumbnail(Image.new("L", (40, 30), 120))
    assert near_duplicates([flat], [flat]) == []


def test_the_nearest_is_found_as_by_a_loop(rng):
    base = rng.integers(0, 256, (6, 40, 40))
    pictures = [np.clip(base[k % 6] + rng.normal(0, 3 * (k // 6), (40, 40)), 0, 255) for k in range(18)]
    found = [make_thumbnail(Image.fromarray(picture.astype(np.uint8))) for picture in pictures]
    held, others = found[:6], found[6:]

    def distance(a, b):
        grey = [np.frombuffer(own.grey, np.uint8).astype(float) for own in (a, b)]
        beyond = [own - own.mean() for own in grey]
        return np.abs(beyond[0] - beyond[1]).mean() / min(own.std() for own in grey)

    expected = []
    for k, own in enumerate(held):
        near = [(distance(own, b), j) for j, b in enumerate(others) if (own.hash ^ b.hash).bit_count() <= 8]
        if near and min(near)[0] <= duplicates.MAX_DIFFERENCE:
            expected.append((k, min(near)[1]))
    assert near_duplicates(held, others) == expected and expected


def test_a_bit_of_the_hash_says_that_the_right_cell_is_brighter():
    ramp = np.tile(np.arange(90, dtype=np.uint8), (80, 1))
    assert make_thumbnail(Image.fromarray(ramp)).hash == 2**64 - 1
    assert make_thumbnail(Image.fromarray(ramp[:, ::-1].copy())).hash == 0


def test_only_changed_images_are_opened_again(folder, monkeypatch):
    paths, cache, opened = [str(folder / f"{k}.png") for k in range(3)], folder / "cache", []
    real = duplicates._open_thumbnail
    monkeypatch.setattr(duplicates, "_open_thumbnail", lambda path: opened.append(path) or real(path))
    first = thumbnails(paths, cache)
    assert thumbnails(paths, cache) == first and len(opened) == 3
    os.utime(paths[1], ns=(1, 1))
    assert thumbnails(paths, cache) == first and opened[3:] == [paths[1]]


def test_an_image_that_cannot_be_opened_is_left_out(folder):
    (folder / "0.png").write_text("no image")
    assert list(thumbnails([str(folder / "0.png"), str(folder / "1.png")], folder / "cache")) == [str(folder / "1.png")]
