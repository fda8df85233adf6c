"""The black and white that all images of 16 bits of a data set share.

Run alone: `.venv/bin/python -m pytest tests/data/test_grey_range.py`.
"""

import os

import numpy as np
import pytest
from PIL import Image

from wsgcn.data import grey_range
from wsgcn.data.grey_range import common_range, describe_range, grey_levels


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint16)).save(path)
    return str(path)


def test_levels_are_percentiles_of_each_image(tmp_path, rng):
    images = [rng.integers(low, high, (40, 50)) for low, high in ((0, 4096), (300, 900))]
    paths = [save(tmp_path / f"{k}.png", pixels) for k, pixels in enumerate(images)]
    found = grey_levels(paths, (1, 99), tmp_path / "levels.json")
    for path, pixels in zip(paths, images, strict=True):
        ordered = np.sort(pixels.ravel())
        slow = [ordered[round(share * (len(ordered) - 1))] for share in (0.01, 0.99)]
        np.testing.assert_allclose(found[path], slow, atol=2)


def test_only_changed_images_and_percentiles_are_read_again(tmp_path, monkeypatch):
    paths, opened = [save(tmp_path / f"{k}.png", np.full((3, 4), 900 + k)) for k in range(2)], []
    real = grey_range._levels_of
    monkeypatch.setattr(grey_range, "_levels_of", lambda path, *rest: opened.append(path) or real(path, *rest))
    for percentiles in ((0, 100), (0, 100), (1, 99)):
        found = grey_levels(paths, percentiles, tmp_path / "levels.json")
        assert found == {paths[0]: (900, 900), paths[1]: (901, 901)}
    assert opened == [*paths, *paths]
    os.utime(paths[1], ns=(1, 1))
    grey_levels(paths, (1, 99), tmp_path / "levels.json")
    assert opened[4:] == [paths[1]]


def test_images_that_cannot_be_read_have_none(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    assert grey_levels([str(tmp_path / "a.png")], (0, 100), tmp_path / "levels.json") == {}


@pytest.mark.parametrize(
    "levels, expected",
    [
        ([(3, 4000), (0, 4095)], (0, 4095)),  # 12 bits
        ([(3, 1010)], (0, 1023)),
        ([(0, 255), (1, 200)], (0, 255)),
        ([(10, 60000)], (0, 65535)),
        ([(500, 2000), (400, 1800)], (400, 2000)),  # counts of a detector
        ([(30000, 34000)], (30000, 34000)),
        ([(1500, 4000)], (1500, 4000)),  # dark is far from black
        ([(0, 0)], (0, 0)),
        ([(0, 4000)] * 9 + [(0, 65000)], (0, 4095)),  # one of another exposure
        ([(0, 800), (0, 3000), (0, 900)], (0, 3000)),
    ],
)
def test_the_range_of_a_data_set_is_that_of_its_bits_or_of_its_values(levels, expected):
    assert common_range(levels) == expected


def test_images_of_another_exposure_are_reported():
    assert describe_range({"a": (0, 4000), "b": (0, 3900)}, 3) == [
        "2 of 3 images hold 16 bits: their values 0 to 4095 become 0 to 255"
    ]
    [_, odd] = describe_range({"a": (0, 4000), "b": (0, 3900), "c": (0, 65535)}, 3)
    assert odd.startswith("image c: of another exposure, up to 65535, where others reach about 4000")
