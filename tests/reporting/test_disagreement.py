"""Pixels of the pictures of disagreement, and which images they show.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_disagreement.py`.
"""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsgcn.evaluation.comparison import disagreement_shares
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import voc_palette, write_label, write_skipped
from wsgcn.reporting import disagreement as disagreement_module
from wsgcn.reporting.disagreement import (
    BLUE,
    MAX_WIDTH_PX,
    ORANGE,
    PURPLE,
    STRIPE,
    YELLOW,
    DisagreementRow,
    disagreement,
    disagreement_picture,
    disagreement_rows,
)

# Columns: agreed and right, agreed and wrong, only the other right, only the base right, neither, unlabelled, ignored.
BASE = np.array([1, 2, 0, 1, 2, 255, 1], np.uint8).repeat(30)[None].repeat(60, axis=0)
OTHER = np.array([1, 2, 1, 0, 3, 1, 2], np.uint8).repeat(30)[None].repeat(60, axis=0)
TRUTH = np.array([1, 1, 1, 1, 1, 1, 255], np.uint8).repeat(30)[None].repeat(60, axis=0)
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 210, 3)).astype(np.uint8)


def colours(picture, column):
    return {tuple(int(v) for v in pixel) for pixel in picture[:, 30 * column : 30 * column + 30].reshape(-1, 3)}


def is_pale_grey(pixels):
    return all(r == g == b >= disagreement_module.AGREED_BASE for r, g, b in pixels)


def test_disagreement_colours():
    before = IMAGE.copy(), BASE.copy(), OTHER.copy(), TRUTH.copy()
    out = disagreement(IMAGE, BASE, OTHER, TRUTH)
    assert out.dtype == np.uint8 and out.shape == IMAGE.shape
    assert colours(out, 2) == colours(out, 5) == {BLUE}
    assert colours(out, 3) == {ORANGE}
    assert colours(out, 4) == {YELLOW, STRIPE}
    for column in (0, 1, 6):
        assert is_pale_grey(colours(out, column)) and len(colours(out, column)) > 10, "the picture shows through"
    assert all((a == b).all() for a, b in zip(before, (IMAGE, BASE, OTHER, TRUTH), strict=True))


def test_disagreement_is_symmetric():
    forth, back = disagreement(IMAGE, BASE, OTHER, TRUTH), disagreement(IMAGE, OTHER, BASE, TRUTH)
    assert colours(back, 3) == {BLUE} and colours(back, 2) == {ORANGE}
    assert (forth[:, 120:150] == back[:, 120:150]).all()


def test_disagreement_without_truth_has_one_colour():
    out = disagreement(IMAGE, BASE, OTHER, None)
    assert all(colours(out, column) == {PURPLE} for column in (2, 3, 4, 5, 6))
    assert is_pale_grey(colours(out, 0) | colours(out, 1))


def test_disagreement_is_readable_in_grey():
    def grey(colour):
        return Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))

    shades = sorted([grey(STRIPE), grey(BLUE), grey(ORANGE), disagreement_module.AGREED_BASE])
    assert min(np.diff(shades)) > 35
    assert grey(YELLOW) - grey(STRIPE) > 120


def test_disagreement_of_a_single_pixel():
    one = np.zeros((1, 1), np.uint8)
    assert disagreement(np.zeros((1, 1, 3), np.uint8), one, one + 1, one).tolist() == [[list(ORANGE)]]


def picture_row(height=60, width=80, truth=True, caption="2007_000063"):
    label = np.zeros((height, width), np.uint8)
    other, mask = label.copy(), label.copy()
    other[: height // 2] = mask[: height // 2] = 8
    image = np.full((height, width, 3), 128, np.uint8)
    return DisagreementRow(image, label, other, mask if truth else None, caption)


def count(picture, colour):
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def test_disagreement_picture_has_panels_and_a_legend(monkeypatch):
    seen, draw = [], disagreement_module.panel_strip

    def spy(panels, height):
        seen.append([caption for caption, _ in panels])
        return draw(panels, height)

    monkeypatch.setattr(disagreement_module, "panel_strip", spy)
    out = disagreement_picture([picture_row(225, 300), picture_row(225, 300, truth=False)], "a", "b", voc_palette())
    assert seen == [["image", "a", "b", "difference", "truth"], ["image", "a", "b", "difference"]]
    assert isinstance(out, Image.Image) and out.mode == "RGB"
    swatch = 20 * 22
    for colour in (BLUE, PURPLE):
        assert count(out, colour) == 112 * 300 + swatch, "the upper half of a panel at its own size, and its swatch"
    assert count(out, ORANGE) == swatch
    assert 0 < count(out, YELLOW) < swatch and count(out, STRIPE) > 0


def test_legend_texts():
    def texts(*with_truth):
        return [text for text, _ in disagreement_module._legend(set(with_truth), "a", "b")]

    with_truth = ["only b right", "only a right", "both wrong, differently"]
    assert texts(True) == [*with_truth, "same label, or ignored in the truth"]
    assert texts(False) == ["different labels, no truth", "same label"]
    assert texts(True, False) == [*with_truth, "different labels, no truth", "same label, or ignored in the truth"]


@pytest.mark.parametrize("height, width", [(375, 500), (500, 333), (120, 600), (300, 40)])
@pytest.mark.parametrize("name", ["b", "confident_ratio-0.2", "boundary-loss-weight-0.25-and-wide"])
def test_disagreement_picture_keeps_its_maximum_width(height, width, name):
    out = disagreement_picture([picture_row(height, width)], "wsgcn-i", name, voc_palette())
    assert out.width <= MAX_WIDTH_PX
    assert count(out, BLUE) > 1000, "the difference is there at full colour"


def test_disagreement_picture_stacks_rows_deterministically():
    rows = [picture_row(), picture_row(90, 60), picture_row(truth=False)]
    out = disagreement_picture(rows, "a", "b", voc_palette())
    alone = [disagreement_picture([row], "a", "b", voc_palette()) for row in rows[:2]]
    assert out.width == max(picture.width for picture in alone)
    assert np.asarray(out)[-20:, :50].min() < 255, "the last strip reaches the bottom"
    assert (np.asarray(out) == np.asarray(disagreement_picture(rows, "a", "b", voc_palette()))).all()
    other = np.asarray(disagreement_picture([replace(rows[0], caption="else"), *rows[1:]], "a", "b", voc_palette()))
    changed = np.flatnonzero((other != np.asarray(out)).any(axis=(1, 2)))
    assert 26 <= changed[0] and changed[-1] < 70, "the caption stands between the legend and its strip"


def test_picture_of_no_rows_is_the_legend_alone():
    """All images of an experiment may have been skipped."""
    out = disagreement_picture([], "a", "b", voc_palette())
    assert out.height == 26 and np.asarray(out).min() < 64


def test_rows_show_the_images_that_differ_most(tmp_path, monkeypatch):
    monkeypatch.setattr(disagreement_module, "MAX_IMAGES_SHOWN", 2)
    paths = {kind: [str(tmp_path / f"{kind}-{k}.png") for k in range(4)] for kind in ("image", "own", "base", "mask")}
    for k, pixels in enumerate((0, 3, 1, 2)):  # that differ
        label = np.zeros((2, 4), np.uint8)
        write_label(paths["base"][k], label)
        write_label(paths["mask"][k], label)
        label.flat[:pixels] = 1
        write_label(paths["own"][k], label)
        Image.new("RGB", (8, 4), (10 * k, 0, 0)).save(paths["image"][k])
    truth = GroundTruth("abcd", [*paths["mask"][:3], None], [0, 1, *[-1] * 253, 255])
    shares = disagreement_shares(paths["own"], paths["base"])
    first, second = disagreement_rows(shares, paths["image"], paths["own"], paths["base"], truth)
    assert (first.caption, second.caption) == ("b: 38% of the pixels differ", "d: 25% of the pixels differ")
    assert first.image.shape == (2, 4, 3) and first.image[0, 0].tolist() == [10, 0, 0]
    assert first.other.sum() == 3 and not first.base.any() and not first.truth.any() and second.truth is None
    write_skipped(paths["own"][1], "refine: no")
    shares = disagreement_shares(paths["own"], paths["base"])
    rows = disagreement_rows(shares, paths["image"], paths["own"], paths["base"], truth)
    assert [row.caption[0] for row in rows] == ["d", "c"]
