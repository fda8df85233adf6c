"""What the charts of experiments contain.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_comparison_figures.py`.
"""

import io
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex

from wsgcn.reporting import comparison_figures
from wsgcn.reporting.comparison_figures import ablation_chart, class_chart


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


def test_ablation_chart_names_the_base_on_a_line_at_its_score():
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


def test_ablation_chart_marks_intervals_without_zero_by_shape_and_colour():
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
def test_interval_that_touches_zero_is_undecided(low, high, verdict):
    _, right = ablation_chart([row("base", 0.5), row("other", 0.5, None, 0.0, low, high)]).axes
    assert [name.split()[0] for name in lines(right)] == [verdict]


def test_ablation_chart_grows_with_its_rows_and_lists_only_used_styles():
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
def test_charts_are_saved_without_warnings_and_deterministically(figure):
    assert rendered(figure()) == rendered(figure())


def test_charts_without_scores_show_a_sentence():
    for figure in (ablation_chart([]), class_chart({"a": {}}), class_chart({})):
        assert not figure.axes and "no masks" in figure.texts[0].get_text()


def test_no_text_is_cut_off():
    figure = ablation_chart([*ROWS, row("confident_ratio-0.2-and-more", 0.59, 0.5, -0.1, -0.12, -0.08)])
    rendered(figure)
    width, height = figure.canvas.get_width_height()
    for text in [*figure.axes[0].get_yticklabels(), *figure.axes[0].texts, *figure.axes[1].texts]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()


TABLE = {"wsgcn-i": {"background": 0.8, "cat": 0.314, "cow": None}, "walk-8": {"background": 0.81, "cat": 0.5}}


def test_class_chart_has_rows_of_experiments_and_columns_of_classes():
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


def test_class_chart_numbers_have_contrast():
    axes = class_chart({"e": {str(k): k / 20 for k in range(21)}}).axes[0]
    (mesh,) = axes.collections
    for value, text in zip(mesh.get_array().ravel(), axes.texts, strict=True):
        luminance = comparison_figures._luminance(mesh.cmap(mesh.norm(value)))
        lighter, darker = (1, luminance) if text.get_color() == "white" else (luminance, 0)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, "the minimum contrast of text in WCAG 2"
    assert {text.get_color() for text in axes.texts} == {"white", "black"}


def test_class_chart_lightness_rises():
    colours_of = class_chart(TABLE).axes[0].collections[0].cmap
    shades = [comparison_figures._luminance(colours_of(step)) for step in range(256)]
    assert (np.diff(shades) > 0).mean() > 0.98
