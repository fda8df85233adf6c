"""Pictures of images, maps, labels and losses.

Images are uint8 [H, W, 3]; labels are uint8 [H, W] with 0 background, 1..254 classes and 255
unlabelled; maps are float [H, W] in 0..1; a palette is uint8 [256, 3], indexed by label.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from wsgcn.data.augment import resize_label
from wsgcn.files import IGNORE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# The "inferno" colour map at 16 even steps: perceptually uniform, its lightness rises all the way,
# so it also reads without colour. Straight lines between the steps stay within 7/255 of the map.
HEAT = np.array(
    [
        (0x00, 0x00, 0x04), (0x0C, 0x08, 0x26), (0x24, 0x0C, 0x4F), (0x42, 0x0A, 0x68),
        (0x5D, 0x12, 0x6E), (0x78, 0x1C, 0x6D), (0x93, 0x26, 0x67), (0xAE, 0x30, 0x5C),
        (0xC7, 0x3E, 0x4C), (0xDD, 0x51, 0x3A), (0xED, 0x69, 0x25), (0xF8, 0x85, 0x0F),
        (0xFC, 0xA5, 0x0A), (0xFA, 0xC6, 0x2D), (0xF2, 0xE6, 0x61), (0xFC, 0xFF, 0xA4),
    ],
    dtype=np.uint8,
)  # fmt: skip

# Greys, as base + share * the image's grey: background within 20..109, unlabelled within 135..229,
# so that the two differ whatever the image shows.
BACKGROUND_BASE, BACKGROUND_SHARE = 20, 0.35
HATCH_BASES, HATCH_SHARE = (135, 165), 0.25

LINE_COLOUR = "#0072B2"  # the blue of the Okabe-Ito colour-blind-safe set
METHOD_COLOURS = (LINE_COLOUR, "#D55E00", "#009E73", "#000000")  # and others of it


def overlay(image: np.ndarray, label: np.ndarray, palette: np.ndarray, alpha: float = 0.55) -> np.ndarray:
    """Draw a label over its image.

    image uint8 [H, W, 3], label uint8 [H, W] or of another size, palette uint8 [256, 3], alpha in 0..1 -> uint8
    [H, W, 3]. Classes are blended over the grey image, with a contour of their own full colour
    inside a white line; background is the darkened grey image; unlabelled is a light grey hatch.
    """
    luma, label = _luma(image), resize_label(label, *image.shape[:2])
    out = np.repeat(BACKGROUND_BASE + BACKGROUND_SHARE * luma, 3, axis=2)

    unlabelled = label == IGNORE
    hatched = _hatch(label.shape) + HATCH_SHARE * luma
    out[unlabelled] = hatched[unlabelled]

    foreground = (label > 0) & ~unlabelled
    # Blended with the grey image: over brown fur, a class colour would turn into another class's.
    blended = (1 - alpha) * luma + alpha * palette[label]
    out[foreground] = blended[foreground]

    # The white line lies outside the object: thin objects would vanish under a line inside.
    width = max(1, min(label.shape) // 180)
    contour = foreground & _near_change(label, width)
    outline = ~foreground & _near_change(foreground.astype(np.uint8), width)
    out[contour] = palette[label[contour]]
    out[outline] = 255
    return _to_uint8(out)


def heat(image: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """Draw an activation map over its image in the HEAT colours.

    image uint8 [H, W, 3], cam float [H, W], cut to 0..1 -> uint8 [H, W, 3].
    """
    steps = np.linspace(0, 1, len(HEAT))
    colour = np.stack([np.interp(cam, steps, HEAT[:, c]) for c in range(3)], axis=2)
    # The image stays in grey, so that every hue in the picture belongs to the map.
    return _to_uint8(0.3 * _luma(image) + 0.7 * colour)


def grey(map01: np.ndarray) -> np.ndarray:
    """float [H, W], cut to 0..1 -> uint8 [H, W, 3], 0 black and 1 white."""
    return _to_uint8(np.repeat(255 * np.asarray(map01)[..., None], 3, axis=2))


def strip(panels: list[tuple[str, np.ndarray]], height: int = 160) -> Image.Image:
    """Put captioned pictures side by side on white.

    panels: at least one (caption, uint8 [H, W, 3]); captions in ASCII, the reach of Pillow's own
    font. Each picture is scaled to `height` pixels; the RGB result is higher by the captions' line.
    """
    gutter = max(4, height // 20)
    font = ImageFont.load_default(max(12, height // 10))
    band = sum(font.getmetrics()) + gutter // 2
    pictures = [_scaled(picture, height) for _, picture in panels]
    # A caption wider than its picture widens the column: it is never cut and never overlaps.
    columns = [
        max(picture.width, math.ceil(font.getlength(caption)))
        for (caption, _), picture in zip(panels, pictures, strict=True)
    ]
    canvas = Image.new("RGB", (sum(columns) + gutter * (len(columns) - 1), band + height), "white")
    draw = ImageDraw.Draw(canvas)
    left = 0
    for (caption, _), picture, column in zip(panels, pictures, columns, strict=True):
        draw.text((left, 0), caption, fill=(32, 32, 32), font=font)
        canvas.paste(picture, (left, band))
        left += column + gutter
    return canvas


def loss_curves(history: pd.DataFrame) -> Figure:
    """Draw every column of a history against its index (named epoch or step), one small axes each.

    Losses differ in scale, so each has its own vertical axis; missing values are skipped.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    across = min(3, len(history.columns))
    down = math.ceil(len(history.columns) / across)
    figure = Figure(figsize=(3.4 * across, 2.5 * down), dpi=150, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    for place, (axes, name) in enumerate(zip(grid, history.columns, strict=False)):
        values = history[name].dropna()
        axes.plot(values.index, values, color=LINE_COLOUR, linewidth=1.6)
        axes.set_title(str(name), loc="left", fontsize=10)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, labelbottom=True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(history.index.name or "epoch", fontsize=9)
        if place % across == 0:
            axes.set_ylabel("loss", fontsize=9)
        if len(values):
            last = (values.index[-1], values.iloc[-1])
            # The dot is the end of the line, and all there is to see after one epoch.
            axes.plot(*last, "o", color=LINE_COLOUR, markersize=4)
            axes.annotate(
                f"{last[1]:.3g}", last, (5, 0), textcoords="offset points",
                va="center", fontsize=8, color=LINE_COLOUR, annotation_clip=False,
            )  # fmt: skip
    for axes in grid[len(history.columns) :]:
        axes.remove()
    return figure


def scaling_curves(table: pd.DataFrame) -> Figure:
    """Seconds an image over its nodes, a line a method, from the `scaling` rows of `benchmark.scaling`, log-log.

    Dashed where seconds are extrapolated.
    """
    from matplotlib.figure import Figure

    rows = table[table.image == "growth"]
    figure = Figure(figsize=(5.2, 3.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    for (method, line), colour, marker in zip(rows.groupby("method", sort=False), METHOD_COLOURS, "osD^", strict=False):
        measured = line[~line.extrapolated]
        axes.plot(line.nodes, line.seconds, "--", color=colour, linewidth=1.2)
        axes.plot(measured.nodes, measured.seconds, color=colour, linewidth=1.8)
        axes.plot(line.nodes, line.seconds, marker, color=colour, markersize=4)
        last = line.iloc[-1]
        axes.annotate(
            method, (last.nodes, last.seconds), (6, 0), textcoords="offset points", va="center", fontsize=8,
            color=colour, annotation_clip=False,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(right=rows.nodes.max() * 2.6)
    axes.set_xlabel("nodes", fontsize=9)
    axes.set_ylabel("seconds an image", fontsize=9)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure


def _luma(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> float [H, W, 1] in 0..255, the lightness the eye sees (Rec. 601)."""
    return (image @ np.array([0.299, 0.587, 0.114]))[..., None]


def _hatch(shape: tuple[int, int]) -> np.ndarray:
    """Diagonal stripes: int [H, W, 1] of the HATCH_BASES, about 15 stripes to the short side."""
    period = max(4, min(shape) // 15)
    rows, columns = np.indices(shape)
    return np.where((rows + columns) % period < period // 3, *HATCH_BASES)[..., None]


def _near_change(values: np.ndarray, width: int) -> np.ndarray:
    """uint8 [H, W] -> bool [H, W]: whether another value lies within `width` pixels."""
    window = 2 * width + 1
    picture = Image.fromarray(values)
    high = np.asarray(picture.filter(ImageFilter.MaxFilter(window)))
    low = np.asarray(picture.filter(ImageFilter.MinFilter(window)))
    return high != low


def _scaled(picture: np.ndarray, height: int) -> Image.Image:
    """uint8 [H, W, 3] -> RGB image of that height, its proportions kept."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    """float -> uint8, rounded and cut to 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
