"""Pixels of the pictures of images, maps and labels.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_pictures.py`.
"""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from wsgcn.reporting import pictures

CAT = 8
PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[CAT] = (64, 0, 0)
PALETTE[15] = (192, 128, 128)


def flat(colour, height=60, width=80):
    return np.full((height, width, 3), colour, np.uint8)


def three_bands(height=60):
    """Columns 0..29 background, 30..59 cat, 60..89 unlabelled."""
    return np.repeat(np.array([0, CAT, 255], np.uint8), 30)[None].repeat(height, axis=0)


def test_overlay_blends_classes_over_grey_inside_a_contour_of_full_colour():
    out = pictures.overlay(flat((200, 200, 200), width=90), three_bands(), PALETTE, alpha=0.5)
    assert out.dtype == np.uint8 and out.shape == (60, 90, 3)
    assert out[30, 45].tolist() == [132, 100, 100]
    assert out[30, 30].tolist() == out[30, 59].tolist() == [64, 0, 0]
    assert out[30, 29].tolist() == out[30, 60].tolist() == [255, 255, 255]


def test_overlay_draws_no_contour_along_the_image_border():
    out = pictures.overlay(flat((200, 200, 200)), np.full((60, 80), CAT, np.uint8), PALETTE)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 1


def test_overlay_separates_touching_classes():
    label = np.repeat(np.array([CAT, 15], np.uint8), 40)[None].repeat(60, axis=0)
    out = pictures.overlay(flat((90, 90, 90)), label, PALETTE)
    assert out[30, 39].tolist() == [64, 0, 0]
    assert out[30, 40].tolist() == [192, 128, 128]


def test_overlay_draws_no_line_between_background_and_unlabelled():
    image = flat((90, 90, 90))
    split = np.repeat(np.array([0, 255], np.uint8), 40)[None].repeat(60, axis=0)
    whole = [pictures.overlay(image, np.full((60, 80), v, np.uint8), PALETTE) for v in (0, 255)]
    expected = np.concatenate([whole[0][:, :40], whole[1][:, 40:]], axis=1)
    assert (pictures.overlay(image, split, PALETTE) == expected).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 40, 250)])
def test_background_and_unlabelled_are_grey_and_differ_on_any_image(colour):
    out = pictures.overlay(flat(colour, width=90), three_bands(), PALETTE).astype(int)
    background, unlabelled = out[:, :27], out[:, 63:]
    for area in (background, unlabelled):
        assert np.ptp(area, axis=2).max() == 0
    assert unlabelled.min() > background.max() + 20
    assert len(np.unique(unlabelled)) == 2, "the hatch has two tones"


def test_background_is_the_darkened_image():
    image = flat((0, 0, 0))
    image[:, 40:] = (250, 200, 220)
    out = pictures.overlay(image, np.zeros((60, 80), np.uint8), PALETTE).astype(int)
    assert out[0, 0, 0] < out[0, 79, 0] < 128


def test_overlay_of_a_single_pixel():
    out = pictures.overlay(flat(100, 1, 1), np.full((1, 1), CAT, np.uint8), PALETTE)
    assert out.shape == (1, 1, 3)


def test_heat_map_matches_inferno_and_clips():
    cam = np.linspace(0, 1, 256)[None]
    colour = (pictures.heat_map(flat((0, 0, 0), 1, 256), cam) / 0.7).astype(float)
    inferno = matplotlib.colormaps["inferno"](cam[0])[:, :3] * 255
    assert np.abs(colour[0] - inferno).max() < 8
    over = pictures.heat_map(flat((9, 9, 9), 1, 2), np.array([[-3.0, 7.0]]))
    assert (over == pictures.heat_map(flat((9, 9, 9), 1, 2), np.array([[0.0, 1.0]]))).all()


def test_heat_map_shows_the_image_without_its_hue():
    red = pictures.heat_map(flat((255, 0, 0)), np.zeros((60, 80)))
    dark = pictures.heat_map(flat((0, 0, 0)), np.zeros((60, 80)))
    added = red.astype(int) - dark
    assert added.min() > 0 and np.ptp(added) <= 1


def test_grey_map_spans_black_to_white():
    out = pictures.grey_map(np.array([[0.0, 0.5, 1.0, 1.5]], np.float32))
    assert out.dtype == np.uint8
    assert out.tolist() == [[[0] * 3, [128] * 3, [255] * 3, [255] * 3]]


def test_panel_strip_places_pictures_in_a_row_below_captions():
    red, blue = flat((255, 0, 0), 50, 100), flat((0, 0, 255), 200, 200)
    out = pictures.panel_strip([("image", red), ("label", blue)], height=100)
    assert isinstance(out, Image.Image) and out.mode == "RGB"
    pixels = np.asarray(out)
    band = len(pixels) - 100
    reds = (pixels[band:] == (255, 0, 0)).all(axis=2)
    blues = (pixels[band:] == (0, 0, 255)).all(axis=2)
    assert reds.sum() == 200 * 100 and blues.sum() == 100 * 100
    gutter = pixels[:, 200 : np.flatnonzero(blues[0])[0]]
    assert gutter.shape[1] >= 4 and (gutter == 255).all()
    assert pixels[:band, :200].min() < 64 and pixels[:band, 205:].min() < 64


def test_panel_strip_widens_a_column_for_a_long_caption():
    narrow = flat((0, 0, 0), 100, 10)
    caption = "a caption much wider than this"
    pixels = np.asarray(pictures.panel_strip([(caption, narrow), ("", narrow)], height=100))
    band = len(pixels) - 100
    second = np.flatnonzero((pixels[band] == 0).all(axis=1))[-10]
    written = np.flatnonzero(pixels[:band].min(axis=(0, 2)) < 128)
    assert 100 < written[-1] < second


def test_picture_is_saved_as_it_is(tmp_path):
    picture = Image.fromarray(flat((1, 2, 3), 4, 5))
    pictures.save_picture(tmp_path / "new/picture.png", picture)
    assert (np.asarray(Image.open(tmp_path / "new/picture.png")) == (1, 2, 3)).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.png"]
