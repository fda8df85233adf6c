"""What the charts carry, and pixels of the pictures of disagreement."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from wsgcn.files import voc_palette
from wsgcn.reporting import comparison_figures
from wsgcn.reporting.comparison_figures import (
    BLUE,
    MAXIMUM_WIDTH,
    ORANGE,
    PURPLE,
    STRIPE,
    YELLOW,
    ablation_chart,
    class_chart,
    disagreement,
    disagreement_picture,
)


def row(experiment, miou, without=None, difference=None, low=None, high=None):
    keys = ("experiment", "miou", "miou_no_crf", "difference", "low", "high")
    return dict(zip(keys, (experiment, miou, without, difference, low, high), strict=True))


ROWS = [
    row("no-boundary", 0.55, 0.56, -0.05, -0.07, -0.03),
    row("wsgcn-i", 0.60, 0.58),
    row("confident_ratio-0.2", 0.62, None, 0.02, 0.0126, 0.03),
    row("walk-8", 0.6004, 0.58, 0.0004, -0.01, 0.01),
]


def rendered(figure):
    """The PNG of a figure, saved with warnings as errors."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(file, format="png", dpi=60)
    return file.getvalue()


def lines(axes):
    """{label: line} of the lines that the legend shows."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_ablation_chart_draws_both_scores_in_percent():
    left, _ = ablation_chart(ROWS).axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == [r["experiment"] for r in ROWS]
    with_crf, without = lines(left)["with CRF"], lines(left)["without CRF"]
    np.testing.assert_allclose(with_crf.get_xydata(), [[55, 0], [60, 1], [62, 2], [60.04, 3]])
    np.testing.assert_allclose(without.get_xydata(), [[56, 0], [58, 1], [58, 3]])
    assert to_hex(with_crf.get_markerfacecolor()) == "#000000" and without.get_markerfacecolor() == "white"
    top, bottom = reversed(left.get_ylim())
    assert top < 0 and bottom > 3, "the first row is on top"


def test_ablation_chart_writes_each_score_at_its_outer_side():
    left, _ = ablation_chart(ROWS).axes
    written = {(text.get_text(), text.xy[1]): text.get_ha() for text in left.texts[:-1]}
    assert written == {
        ("55.0", 0): "right", ("56.0", 0): "left", ("60.0", 1): "left", ("58.0", 1): "right", ("62.0", 2): "left",
        ("60.0", 3): "left", ("58.0", 3): "right",
    }  # fmt: skip


def test_ablation_chart_names_the_base_on_a_line_through_its_score():
    left, right = ablation_chart(ROWS).axes
    assert left.texts[-1].get_text() == "base: wsgcn-i" and left.texts[-1].xy[0] == pytest.approx(60)
    (reference,) = [line for line in left.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(reference.get_xdata(), 60)
    assert [tick.get_fontweight() == "bold" for tick in left.get_yticklabels()] == [False, True, False, False]
    assert [text.get_text() for text in right.texts] == [
        "−5.00  [−7.00, −3.00]",
        "base",
        "+2.00  [+1.26, +3.00]",
        "+0.04  [−1.00, +1.00]",
    ]


def test_ablation_chart_tells_by_shape_and_colour_whether_the_interval_excludes_zero():
    _, right = ablation_chart(ROWS).axes
    drawn = lines(right)
    assert {name: line.get_xydata().round(6).tolist() for name, line in drawn.items()} == {
        "better": [[2, 2]],
        "worse": [[-5, 0]],
        "undecided (interval holds 0)": [[0.04, 3]],
    }
    assert len({line.get_marker() for line in drawn.values()}) == 3
    assert len({line.get_color() for line in drawn.values()}) == 3
    intervals = [segment.round(6).tolist() for bars in right.collections for segment in bars.get_segments()]
    assert sorted(intervals) == [[[-7, 0], [-3, 0]], [[-1, 3], [1, 3]], [[1.26, 2], [3, 2]]]


@pytest.mark.parametrize(
    "low, high, verdict", [(0.0, 0.01, "undecided"), (-0.01, 0.0, "undecided"), (1e-9, 1, "better")]
)
def test_an_interval_that_touches_zero_decides_nothing(low, high, verdict):
    _, right = ablation_chart([row("base", 0.5), row("other", 0.5, None, 0.0, low, high)]).axes
    assert [name.split()[0] for name in lines(right)] == [verdict]


def test_ablation_chart_grows_with_its_rows_and_explains_what_it_shows_only():
    few, many = ablation_chart(ROWS[1:3]), ablation_chart(ROWS * 10)
    assert few.get_size_inches()[0] == many.get_size_inches()[0]
    assert many.get_size_inches()[1] - few.get_size_inches()[1] == pytest.approx(38 * 0.235)
    assert [text.get_text() for text in few.legends[0].texts] == ["without CRF", "with CRF", "better"]
    assert len(many.axes[0].get_yticks()) == 40


@pytest.mark.parametrize(
    "figure",
    [
        lambda: ablation_chart(ROWS * 10),
        lambda: ablation_chart([row("only", 0.5)]),
        lambda: ablation_chart([row("no base", 0.5, 0.5, 0.0, 0.0, 0.0)]),
        lambda: class_chart({"a" * 20: {"background": 0.5, "cat": None}}),
        lambda: class_chart({"a": {"cat": None}}),
        lambda: ablation_chart([]),
        lambda: class_chart({"a": {}, "b": {}}),
        lambda: class_chart({f"e{k}": dict.fromkeys(map(str, range(21)), k / 20) for k in range(21)}),
    ],
    ids=["40 rows", "one row", "no base", "one experiment", "nothing known", "no scores", "no classes", "21 x 21"],
)
def test_charts_are_saved_without_warnings_and_the_same_each_time(figure):
    assert rendered(figure()) == rendered(figure())


def test_charts_without_scores_say_so():
    for figure in (ablation_chart([]), class_chart({"a": {}}), class_chart({})):
        assert not figure.axes and "no masks" in figure.texts[0].get_text()


def test_nothing_is_cut_off():
    figure = ablation_chart([*ROWS, row("confident_ratio-0.2-and-more", 0.59, 0.5, -0.1, -0.12, -0.08)])
    rendered(figure)
    width, height = figure.canvas.get_width_height()
    for text in [*figure.axes[0].get_yticklabels(), *figure.axes[0].texts, *figure.axes[1].texts]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()


TABLE = {"wsgcn-i": {"background": 0.8, "cat": 0.314, "cow": None}, "walk-8": {"background": 0.81, "cat": 0.5}}


def test_class_chart_writes_experiments_down_and_classes_across():
    figure = class_chart(TABLE)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["wsgcn-i", "walk-8"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["background", "cat", "cow"]
    assert [text.get_text() for text in axes.texts] == ["80.0", "31.4", "–", "81.0", "50.0", "–"]
    assert [text.get_position() for text in axes.texts[:4]] == [(0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (0.5, 1.5)]
    assert axes.yaxis_inverted()
    (mesh,) = axes.collections
    assert mesh.get_clim() == (30, 90)
    np.testing.assert_allclose(mesh.get_array().filled(-1), [[80, 31.4, -1], [81, 50, -1]])


def test_class_chart_s_numbers_stand_out_in_grey():
    axes = class_chart({"e": {str(k): k / 20 for k in range(21)}}).axes[0]
    (mesh,) = axes.collections
    for value, text in zip(mesh.get_array().ravel(), axes.texts, strict=True):
        luminance = comparison_figures._luminance(mesh.cmap(mesh.norm(value)))
        lighter, darker = (1, luminance) if text.get_color() == "white" else (luminance, 0)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, "WCAG 2's least contrast of text"
    assert {text.get_color() for text in axes.texts} == {"white", "black"}


def test_class_chart_s_lightness_rises():
    colours_of = class_chart(TABLE).axes[0].collections[0].cmap
    shades = [comparison_figures._luminance(colours_of(step)) for step in range(256)]
    assert (np.diff(shades) > 0).mean() > 0.98


# A column each: agreed and right, agreed and wrong, only the other right, only the base, neither, unlabelled, ignored.
BASE = np.array([1, 2, 0, 1, 2, 255, 1], np.uint8).repeat(30)[None].repeat(60, axis=0)
OTHER = np.array([1, 2, 1, 0, 3, 1, 2], np.uint8).repeat(30)[None].repeat(60, axis=0)
TRUTH = np.array([1, 1, 1, 1, 1, 1, 255], np.uint8).repeat(30)[None].repeat(60, axis=0)
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 210, 3)).astype(np.uint8)


def colours(picture, column):
    return {tuple(int(v) for v in pixel) for pixel in picture[:, 30 * column : 30 * column + 30].reshape(-1, 3)}


def is_pale_grey(found):
    return all(r == g == b >= comparison_figures.AGREED_BASE for r, g, b in found)


def test_disagreement_s_colours():
    before = IMAGE.copy(), BASE.copy(), OTHER.copy(), TRUTH.copy()
    out = disagreement(IMAGE, BASE, OTHER, TRUTH)
    assert out.dtype == np.uint8 and out.shape == IMAGE.shape
    assert colours(out, 2) == colours(out, 5) == {BLUE}
    assert colours(out, 3) == {ORANGE}
    assert colours(out, 4) == {YELLOW, STRIPE}
    for column in (0, 1, 6):
        assert is_pale_grey(colours(out, column)) and len(colours(out, column)) > 10, "the picture shows through"
    assert all((a == b).all() for a, b in zip(before, (IMAGE, BASE, OTHER, TRUTH), strict=True))


def test_disagreement_is_told_once_each_way():
    there, back = disagreement(IMAGE, BASE, OTHER, TRUTH), disagreement(IMAGE, OTHER, BASE, TRUTH)
    assert colours(back, 3) == {BLUE} and colours(back, 2) == {ORANGE}
    assert (there[:, 120:150] == back[:, 120:150]).all()


def test_disagreement_without_truth_has_one_colour():
    out = disagreement(IMAGE, BASE, OTHER, None)
    assert all(colours(out, column) == {PURPLE} for column in (2, 3, 4, 5, 6))
    assert is_pale_grey(colours(out, 0) | colours(out, 1))


def test_disagreement_reads_in_grey():
    def grey(colour):
        return Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))

    shades = sorted([grey(STRIPE), grey(BLUE), grey(ORANGE), comparison_figures.AGREED_BASE])
    assert min(np.diff(shades)) > 35
    assert grey(YELLOW) - grey(STRIPE) > 120


def test_disagreement_takes_a_single_pixel():
    one = np.zeros((1, 1), np.uint8)
    assert disagreement(np.zeros((1, 1, 3), np.uint8), one, one + 1, one).tolist() == [[list(ORANGE)]]


def picture_row(height=60, width=80, truth=True, caption="2007_000063"):
    label = np.zeros((height, width), np.uint8)
    other, mask = label.copy(), label.copy()
    other[: height // 2] = mask[: height // 2] = 8
    image = np.full((height, width, 3), 128, np.uint8)
    return {"image": image, "base": label, "other": other, "truth": mask if truth else None, "caption": caption}


def count(picture, colour):
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def test_disagreement_picture_s_panels_and_legend(monkeypatch):
    seen, draw = [], comparison_figures.strip

    def spy(panels, height):
        seen.append([caption for caption, _ in panels])
        return draw(panels, height)

    monkeypatch.setattr(comparison_figures, "strip", spy)
    out = disagreement_picture([picture_row(225, 300), picture_row(225, 300, truth=False)], "a", "b", voc_palette())
    assert seen == [["image", "a", "b", "difference", "truth"], ["image", "a", "b", "difference"]]
    assert isinstance(out, Image.Image) and out.mode == "RGB"
    swatch = 20 * 22
    for colour in (BLUE, PURPLE):
        assert count(out, colour) == 112 * 300 + swatch, "the upper half of a panel at its own size, and its swatch"
    assert count(out, ORANGE) == swatch
    assert 0 < count(out, YELLOW) < swatch and count(out, STRIPE) > 0


def test_the_legend_s_texts():
    def texts(*with_truth):
        return [text for text, _ in comparison_figures._legend(set(with_truth), "a", "b")]

    with_truth = ["only b right", "only a right", "both wrong, differently"]
    assert texts(True) == [*with_truth, "same label, or ignored in the truth"]
    assert texts(False) == ["different labels, no truth", "same label"]
    assert texts(True, False) == [*with_truth, "different labels, no truth", "same label, or ignored in the truth"]


@pytest.mark.parametrize("height, width", [(375, 500), (500, 333), (120, 600), (300, 40)])
@pytest.mark.parametrize("name", ["b", "confident_ratio-0.2", "boundary-loss-weight-0.25-and-wide"])
def test_disagreement_picture_keeps_its_width(height, width, name):
    out = disagreement_picture([picture_row(height, width)], "wsgcn-i", name, voc_palette())
    assert out.width <= MAXIMUM_WIDTH
    assert count(out, BLUE) > 1000, "the difference is there at full colour"


def test_disagreement_picture_stacks_rows_and_repeats_itself():
    rows = [picture_row(), picture_row(90, 60), picture_row(truth=False)]
    out = disagreement_picture(rows, "a", "b", voc_palette())
    alone = [disagreement_picture([row], "a", "b", voc_palette()) for row in rows[:2]]
    assert out.width == max(picture.width for picture in alone)
    assert np.asarray(out)[-20:, :50].min() < 255, "the last strip reaches the bottom"
    assert (np.asarray(out) == np.asarray(disagreement_picture(rows, "a", "b", voc_palette()))).all()
    other = np.asarray(disagreement_picture([rows[0] | {"caption": "else"}, *rows[1:]], "a", "b", voc_palette()))
    changed = np.flatnonzero((other != np.asarray(out)).any(axis=(1, 2)))
    assert 26 <= changed[0] and changed[-1] < 70, "the caption stands between the legend and its strip"
