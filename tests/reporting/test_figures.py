"""Pixels of the pictures, and what the loss curves carry."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wsgcn.reporting import figures

CAT = 8
PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[CAT] = (64, 0, 0)
PALETTE[15] = (192, 128, 128)


def flat(colour, height=60, width=80):
    return np.full((height, width, 3), colour, np.uint8)


def three_bands(height=60):
    """Columns 0..29 background, 30..59 cat, 60..89 unlabelled."""
    return np.repeat(np.array([0, CAT, 255], np.uint8), 30)[None].repeat(height, axis=0)


def test_overlay_blends_the_class_colour_over_grey_and_rims_it_with_the_full_colour():
    out = figures.overlay(flat((200, 200, 200), width=90), three_bands(), PALETTE, alpha=0.5)
    assert out.dtype == np.uint8 and out.shape == (60, 90, 3)
    assert out[30, 45].tolist() == [132, 100, 100]
    assert out[30, 30].tolist() == out[30, 59].tolist() == [64, 0, 0]
    assert out[30, 29].tolist() == out[30, 60].tolist() == [255, 255, 255]


def test_overlay_draws_no_contour_along_the_image_border():
    out = figures.overlay(flat((200, 200, 200)), np.full((60, 80), CAT, np.uint8), PALETTE)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 1


def test_overlay_separates_touching_classes():
    label = np.repeat(np.array([CAT, 15], np.uint8), 40)[None].repeat(60, axis=0)
    out = figures.overlay(flat((90, 90, 90)), label, PALETTE)
    assert out[30, 39].tolist() == [64, 0, 0]
    assert out[30, 40].tolist() == [192, 128, 128]


def test_overlay_draws_no_line_between_background_and_unlabelled():
    image = flat((90, 90, 90))
    split = np.repeat(np.array([0, 255], np.uint8), 40)[None].repeat(60, axis=0)
    whole = [figures.overlay(image, np.full((60, 80), v, np.uint8), PALETTE) for v in (0, 255)]
    expected = np.concatenate([whole[0][:, :40], whole[1][:, 40:]], axis=1)
    assert (figures.overlay(image, split, PALETTE) == expected).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 40, 250)])
def test_background_and_unlabelled_are_grey_and_differ_on_any_image(colour):
    out = figures.overlay(flat(colour, width=90), three_bands(), PALETTE).astype(int)
    background, unlabelled = out[:, :27], out[:, 63:]
    for area in (background, unlabelled):
        assert np.ptp(area, axis=2).max() == 0
    assert unlabelled.min() > background.max() + 20
    assert len(np.unique(unlabelled)) == 2, "the hatch has two tones"


def test_background_is_darkened_and_keeps_the_picture():
    image = flat((0, 0, 0))
    image[:, 40:] = (250, 200, 220)
    out = figures.overlay(image, np.zeros((60, 80), np.uint8), PALETTE).astype(int)
    assert out[0, 0, 0] < out[0, 79, 0] < 128


def test_overlay_takes_a_single_pixel():
    out = figures.overlay(flat(100, 1, 1), np.full((1, 1), CAT, np.uint8), PALETTE)
    assert out.shape == (1, 1, 3)


def test_heat_follows_inferno_and_clips():
    cam = np.linspace(0, 1, 256)[None]
    colour = (figures.heat(flat((0, 0, 0), 1, 256), cam) / 0.7).astype(float)
    inferno = matplotlib.colormaps["inferno"](cam[0])[:, :3] * 255
    assert np.abs(colour[0] - inferno).max() < 8
    over = figures.heat(flat((9, 9, 9), 1, 2), np.array([[-3.0, 7.0]]))
    assert (over == figures.heat(flat((9, 9, 9), 1, 2), np.array([[0.0, 1.0]]))).all()


def test_heat_shows_the_image_without_its_hue():
    red = figures.heat(flat((255, 0, 0)), np.zeros((60, 80)))
    dark = figures.heat(flat((0, 0, 0)), np.zeros((60, 80)))
    added = red.astype(int) - dark
    assert added.min() > 0 and np.ptp(added) <= 1


def test_grey_spans_black_to_white():
    out = figures.grey(np.array([[0.0, 0.5, 1.0, 1.5]], np.float32))
    assert out.dtype == np.uint8
    assert out.tolist() == [[[0] * 3, [128] * 3, [255] * 3, [255] * 3]]


def test_strip_places_pictures_in_a_row_with_captions_above():
    red, blue = flat((255, 0, 0), 50, 100), flat((0, 0, 255), 200, 200)
    out = figures.strip([("image", red), ("label", blue)], height=100)
    assert isinstance(out, Image.Image) and out.mode == "RGB"
    pixels = np.asarray(out)
    band = len(pixels) - 100
    reds = (pixels[band:] == (255, 0, 0)).all(axis=2)
    blues = (pixels[band:] == (0, 0, 255)).all(axis=2)
    assert reds.sum() == 200 * 100 and blues.sum() == 100 * 100
    gutter = pixels[:, 200 : np.flatnonzero(blues[0])[0]]
    assert gutter.shape[1] >= 4 and (gutter == 255).all()
    assert pixels[:band, :200].min() < 64 and pixels[:band, 205:].min() < 64


def test_strip_widens_a_column_for_a_long_caption():
    narrow = flat((0, 0, 0), 100, 10)
    caption = "a caption much wider than this"
    pixels = np.asarray(figures.strip([(caption, narrow), ("", narrow)], height=100))
    band = len(pixels) - 100
    second = np.flatnonzero((pixels[band] == 0).all(axis=1))[-10]
    written = np.flatnonzero(pixels[:band].min(axis=(0, 2)) < 128)
    assert 100 < written[-1] < second


def test_loss_curves_label_every_loss_and_skip_gaps():
    history = pd.DataFrame({"classification": [0.7, 0.4, 0.2], "boundary": [np.nan, 3.0, 1.5]}, index=[1, 2, 3])
    axes = figures.loss_curves(history).axes
    assert [a.get_title(loc="left") for a in axes] == ["classification", "boundary"]
    assert {a.get_xlabel() for a in axes} == {"epoch"} and axes[0].get_ylabel() == "loss"
    assert axes[1].lines[0].get_xydata().tolist() == [[2, 3.0], [3, 1.5]]
    assert [a.texts[0].get_text() for a in axes] == ["0.2", "1.5"]


def test_loss_curves_drop_spare_axes_and_take_an_unrecorded_loss(tmp_path):
    history = pd.DataFrame({name: [1.0] for name in "abc"} | {"d": [np.nan]}, index=[1])
    figure = figures.loss_curves(history)
    assert len(figure.axes) == 4 and not figure.axes[3].texts
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())
    figure.savefig(tmp_path / "loss.png", dpi=30)
    assert np.asarray(Image.open(tmp_path / "loss.png")).min() < 128
