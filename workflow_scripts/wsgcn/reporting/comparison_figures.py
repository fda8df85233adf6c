"""Matplotlib figures that compare experiments: their mIoU with differences to the base, and IoU by class.

Scores are in 0..1 and drawn in %, differences in points. Every distinction is drawn both in colour (of the set of Okabe
and Ito) and in shape or lightness, so that it survives grey print and colour blindness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}
"""The style of a number beside its marker."""

STYLES: dict[str, dict[str, Any]] = {
    "better": {"marker": "^", "color": "#0072B2"},
    "worse": {"marker": "v", "color": "#D55E00"},
    "undecided (interval holds 0)": {"marker": "D", "color": "#555555", "markerfacecolor": "white"},
}


def ablation_chart(rows: Sequence[Mapping]) -> Figure:
    """Each experiment's mIoU (left) and its difference to the base with a 95 % interval (right), in the rows' order.

    rows: {"experiment": str, "miou": float, "miou_no_crf": float or None, "difference", "low", "high": float, or None
    for the base}, in 0..1. A row is better or worse where its interval excludes 0, undecided otherwise.
    """
    from matplotlib.figure import Figure

    if not rows:
        return _empty_figure()
    keys = ("miou", "miou_no_crf", "difference", "low", "high")
    scores, without, middle, low, high = (100 * np.array([row[key] for row in rows], float) for key in keys)
    figure = Figure(figsize=(8.4, 1.35 + 0.235 * len(rows)), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    _draw_scores(left, scores, without)
    _draw_differences(right, middle, low, high)
    left.set_yticks(np.arange(len(rows)), [row["experiment"] for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    for index in np.flatnonzero(np.isnan(middle))[:1]:  # the base
        left.axvline(scores[index], color="black", linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
        style = BESIDE | {"va": "bottom", "ha": "center", "xycoords": left.get_xaxis_transform()}
        left.annotate(f"base: {rows[index]['experiment']}", (scores[index], 1), (0, 3), **style)
        left.get_yticklabels()[index].set_fontweight("bold")
    for axes in (left, right):
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(labelsize=8, left=False)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False, handletextpad=0.3)
    return figure


def _draw_scores(axes: Axes, scores: np.ndarray, without: np.ndarray) -> None:
    """mIoU in % with and without CRF, float [rows], as a dot and a ring per row; nan without a ring."""
    indices, known = np.arange(len(scores)), np.isfinite(without)
    axes.hlines(indices[known], without[known], scores[known], color="0.6", linewidth=1)
    if known.any():
        # The ring is wider than the dot, so both are visible where they coincide.
        ring: dict[str, Any] = {"markerfacecolor": "white", "markersize": 6.5, "label": "without CRF"}
        axes.plot(without[known], indices[known], "o", color="black", **ring)
    axes.plot(scores, indices, "o", color="black", markersize=4.5, label="with CRF")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for index, score, other in zip(indices, scores, without, strict=True):
        # Numbers stand at the outer ends of the pair, away from the other's marker.
        outer = -1 if other > score else 1
        for value, side, colour in ((score, outer, "black"), (other, -outer, "0.35")):
            if math.isfinite(value):
                style = BESIDE | {"ha": "left" if side > 0 else "right", "color": colour, "bbox": box}
                axes.annotate(f"{value:.1f}", (value, index), (6 * side, 0), **style)
    axes.margins(x=0.16)
    axes.set_xlabel("mIoU (%)", fontsize=9)


def _draw_differences(axes: Axes, middle: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Differences to the base in points with their intervals, float [rows]; nan for the base."""
    axes.axvline(0, color="black", linewidth=1)
    indices, masks = np.arange(len(middle)), (low > 0, high < 0, (low <= 0) & (high >= 0))
    for (name, marker), mask in zip(STYLES.items(), masks, strict=True):
        if mask.any():
            axes.hlines(indices[mask], low[mask], high[mask], color=marker["color"], linewidth=1.6)
            axes.plot(middle[mask], indices[mask], linestyle="none", markersize=5.5, label=name, **marker)
    for row, values in enumerate(zip(middle, low, high, strict=True)):
        text = "base" if math.isnan(values[0]) else "{:+.2f}  [{:+.2f}, {:+.2f}]".format(*values)
        text = text.replace("-", "\N{MINUS SIGN}")
        axes.annotate(text, (1, row), (8, 0), xycoords=axes.get_yaxis_transform(), **BESIDE)
    axes.set_xlabel("difference in points, 95 % interval", fontsize=9)


def class_chart(table: Mapping[str, Mapping[str, float | None]]) -> Figure:
    """IoU in %, one row per experiment and one column per class; an unknown IoU is a dash.

    table: {experiment: {class: IoU in 0..1, or None}}.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for scores in table.values() for name in scores))
    if not names:
        return _empty_figure()
    values = 100 * np.array([[scores.get(name) for name in names] for scores in table.values()], float)
    finite = values[np.isfinite(values)]
    # The range of the values in whole tens: experiments differ less than classes do.
    low, high = (10 * math.floor(finite.min() / 10), 10 * math.ceil(finite.max() / 10)) if len(finite) else (0, 100)
    # Its lightness rises evenly, also for colour-blind readers.
    colours, scale = colormaps["cividis"], Normalize(low, max(high, low + 10))

    figure = Figure(figsize=(2.4 + 0.4 * len(names), 1.2 + 0.22 * len(table)), dpi=150, layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=scale, edgecolors="white", linewidth=0.8)
    axes.set_facecolor("0.93")
    for (row, column), value in np.ndenumerate(values):
        known = math.isfinite(value)
        colour = "white" if known and _luminance(colours(scale(value))) < 0.18 else "black"
        text = f"{value:.1f}" if known else "\N{EN DASH}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_yticks(np.arange(len(table)) + 0.5, list(table))
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=50, ha="left", rotation_mode="anchor")
    axes.tick_params(labelsize=8, length=0, labeltop=True, labelbottom=False)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, fraction=0.05, aspect=25, pad=0.02)
    bar.set_label("IoU (%)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return figure


def _empty_figure() -> Figure:
    """A figure that says that there are no masks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 0.8), dpi=150)
    figure.text(0.5, 0.5, "There are no masks to score with.", ha="center", va="center", fontsize=9)
    return figure


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance of sRGB in 0..1, as in WCAG 2; at 0.18 white and black contrast equally."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
