"""Pictures that compare experiments: their mIoU and differences, IoU by class, and where two labels disagree.

Scores are in 0..1 and drawn in %, differences in points. Every distinction is told twice, by colour (Okabe-Ito's set)
and by shape, hatch or lightness, so that it holds in grey print and for the colour-blind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsgcn.files import IGNORE
from wsgcn.reporting.figures import overlay, strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito's set. Where labels disagree: dark, middle, and light with stripes, over a picture lighter than the
# first two, so that they keep apart in grey even where a difference is a line too thin for stripes.
BLUE, ORANGE, YELLOW, PURPLE = (0, 114, 178), (230, 159, 0), (240, 228, 66), (204, 121, 167)
STRIPE = (60, 50, 0)
AGREED_BASE, AGREED_SHARE = 205, 0.19  # the agreed grey, as base + share * the image's grey: 205..253

STYLES = {
    "better": {"marker": "^", "color": "#0072B2"},
    "worse": {"marker": "v", "color": "#D55E00"},
    "undecided (interval holds 0)": {"marker": "D", "color": "#555555", "markerfacecolor": "white"},
}

STRIP_HEIGHT, MAXIMUM_WIDTH = 225, 1580


def ablation_chart(rows: Sequence[Mapping]) -> Figure:
    """Each experiment's mIoU (left) and its difference to the base with a 95 % interval (right), in the rows' order.

    rows: {"experiment": str, "miou": float, "miou_no_crf": float or None, "difference", "low", "high": float, or None
    for the base}, all in 0..1 units. An interval that excludes 0 makes a row better or worse.
    """
    from matplotlib.figure import Figure

    if not rows:
        return _unscored()
    places = np.arange(len(rows))
    keys = ("miou", "miou_no_crf", "difference", "low", "high")
    scores, without, middle, low, high = (100 * np.array([row[key] for row in rows], float) for key in keys)
    figure = Figure(figsize=(8.4, 1.35 + 0.235 * len(rows)), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    beside = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}

    known = np.isfinite(without)
    left.hlines(places[known], without[known], scores[known], color="0.6", linewidth=1)
    if known.any():
        # The ring is wider than the dot: it stays in sight where both fall together.
        ring = {"markerfacecolor": "white", "markersize": 6.5, "label": "without CRF"}
        left.plot(without[known], places[known], "o", color="black", **ring)
    left.plot(scores, places, "o", color="black", markersize=4.5, label="with CRF")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for place, score, other in zip(places, scores, without, strict=True):
        # Numbers stand at the outer ends of the pair, so that neither meets the other's marker.
        side = -1 if other > score else 1
        for value, where, colour in ((score, side, "black"), (other, -side, "0.35")):
            if math.isfinite(value):
                style = beside | {"ha": "left" if where > 0 else "right", "color": colour, "bbox": box}
                left.annotate(f"{value:.1f}", (value, place), (6 * where, 0), **style)
    left.margins(x=0.16)
    left.set_xlabel("mIoU (%)", fontsize=9)

    right.axvline(0, color="black", linewidth=1)
    verdicts = (low > 0, high < 0, (low <= 0) & (high >= 0))
    for (name, style), chosen in zip(STYLES.items(), verdicts, strict=True):
        if chosen.any():
            right.hlines(places[chosen], low[chosen], high[chosen], color=style["color"], linewidth=1.6)
            right.plot(middle[chosen], places[chosen], linestyle="none", markersize=5.5, label=name, **style)
    for place, values in enumerate(zip(middle, low, high, strict=True)):
        text = "base" if math.isnan(values[0]) else "{:+.2f}  [{:+.2f}, {:+.2f}]".format(*values)
        text = text.replace("-", "\N{MINUS SIGN}")
        right.annotate(text, (1, place), (8, 0), xycoords=right.get_yaxis_transform(), **beside)
    right.set_xlabel("difference in points, 95 % interval", fontsize=9)

    left.set_yticks(places, [row["experiment"] for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    for place in np.flatnonzero(np.isnan(middle))[:1]:
        left.axvline(scores[place], color="black", linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
        style = beside | {"va": "bottom", "ha": "center", "xycoords": left.get_xaxis_transform()}
        left.annotate(f"base: {rows[place]['experiment']}", (scores[place], 1), (0, 3), **style)
        left.get_yticklabels()[place].set_fontweight("bold")
    for axes in (left, right):
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(labelsize=8, left=False)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False, handletextpad=0.3)
    return figure


def class_chart(table: Mapping[str, Mapping[str, float | None]]) -> Figure:
    """IoU in %, experiments down and classes across, of {experiment: {class: IoU in 0..1, or None}}; None is a dash."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for scores in table.values() for name in scores))
    if not names:
        return _unscored()
    values = 100 * np.array([[scores.get(name) for name in names] for scores in table.values()], float)
    found = values[np.isfinite(values)]
    # Whole tens around what there is: experiments differ by less than classes do.
    low, high = (10 * math.floor(found.min() / 10), 10 * math.ceil(found.max() / 10)) if len(found) else (0, 100)
    # Lightness rises evenly from end to end, for the colour-blind too.
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


def disagreement(image: np.ndarray, base: np.ndarray, other: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
    """Colour where two labels differ, over the pale grey image.

    image uint8 [H, W, 3]; base, other, truth uint8 [H, W] -> uint8 [H, W, 3]. BLUE where only `other` is right, ORANGE
    where only `base` is, YELLOW with stripes where neither; what the truth ignores stays grey. PURPLE without a truth.
    """
    luma = np.asarray(Image.fromarray(image).convert("L"), float)
    out = np.rint(AGREED_BASE + AGREED_SHARE * luma).astype(np.uint8)[..., None].repeat(3, axis=2)
    differ = base != other
    if truth is None:
        out[differ] = PURPLE
        return out
    differ &= truth != IGNORE
    out[differ] = YELLOW
    out[differ & _stripes(base.shape)] = STRIPE
    out[differ & (base == truth)] = ORANGE
    out[differ & (other == truth)] = BLUE
    return out


def disagreement_picture(rows: Sequence[Mapping], base_name: str, other_name: str, palette: np.ndarray) -> Image.Image:
    """A legend and, below it, a strip a row: the image, both labels, their `disagreement`, and the truth if it has one.

    rows: at least one {"image", "base", "other", "truth": as in `disagreement`, "caption": str}; names and captions in
    ASCII (see `figures.strip`). A strip is lower where it would be wider than MAXIMUM_WIDTH.
    """
    strips = [_strip(row, base_name, other_name, palette) for row in rows]
    legend = _legend({row["truth"] is not None for row in rows}, base_name, other_name)
    font, heading, line = ImageFont.load_default(17), ImageFont.load_default(20), 26
    widths = [28 + math.ceil(font.getlength(text)) for text, _ in legend]
    width = max(*widths, *(picture.width for picture in strips))
    canvas = Image.new("RGB", (width, line * len(legend) + sum(picture.height + 44 for picture in strips)), "white")
    draw = ImageDraw.Draw(canvas)
    x, y = 0, 0
    for (text, swatch), entry in zip(legend, widths, strict=True):
        if x and x + entry > width:
            x, y = 0, y + line
        canvas.paste(swatch, (x, y))
        draw.text((x + 28, y), text, fill=(32, 32, 32), font=font)
        x += entry + 24
    y += line
    for row, picture in zip(rows, strips, strict=True):
        draw.text((0, y + 12), row["caption"], fill="black", font=heading, stroke_width=0.4)
        canvas.paste(picture, (0, y + 40))
        y += picture.height + 44
    return canvas.crop((0, 0, width, y))


def _strip(row: Mapping, base_name: str, other_name: str, palette: np.ndarray) -> Image.Image:
    """One row of `disagreement_picture`."""
    image, base, other, truth = (row[key] for key in ("image", "base", "other", "truth"))
    panels = [
        ("image", image),
        (base_name, overlay(image, base, palette)),
        (other_name, overlay(image, other, palette)),
    ]
    panels.append(("difference", disagreement(image, base, other, truth)))
    if truth is not None:
        panels.append(("truth", overlay(image, truth, palette)))
    picture = strip(panels, STRIP_HEIGHT)
    if picture.width > MAXIMUM_WIDTH:  # a strip's captions and gutters scale with its height
        picture = strip(panels, STRIP_HEIGHT * MAXIMUM_WIDTH // picture.width)
    return picture


def _legend(with_truth: set[bool], base_name: str, other_name: str) -> list[tuple[str, Image.Image]]:
    """Texts and swatches of what `disagreement` draws with a truth, without one, or both."""
    entries = []
    if True in with_truth:
        entries += [(f"only {other_name} right", 0, 1, 1), (f"only {base_name} right", 1, 0, 1)]
        entries += [("both wrong, differently", 0, 1, 2)]
    if False in with_truth:
        entries += [("different labels, no truth", 0, 1, None)]
    entries += [("same label, or ignored in the truth" if True in with_truth else "same label", 0, 0, 0)]
    size = (STRIP_HEIGHT, STRIP_HEIGHT)  # that of the strips, for stripes as wide as theirs
    grey, swatches = np.full((*size, 3), 128, np.uint8), []
    for text, *values in entries:
        labels = [None if value is None else np.full(size, value, np.uint8) for value in values]
        swatches.append((text, Image.fromarray(disagreement(grey, *labels)[:20, :22])))
    return swatches


def _stripes(shape: tuple[int, int]) -> np.ndarray:
    """Thin diagonals, bool [H, W], against the direction of the unlabelled's in `figures.overlay`."""
    period = max(4, min(shape) // 25)
    rows, columns = np.indices(shape)
    return (columns - rows) % period < max(1, period // 3)


def _unscored() -> Figure:
    """In a chart's place where there are no masks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 0.8), dpi=150)
    figure.text(0.5, 0.5, "There are no masks to score with.", ha="center", va="center", fontsize=9)
    return figure


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance of sRGB in 0..1, as in WCAG 2; white and black contrast alike with 0.18."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
