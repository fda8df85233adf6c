"""Pictures of images, activation maps and labels.

Images are uint8 [H, W, 3]; labels are uint8 [H, W] with 0 background, 1..254 classes and 255 unlabelled; maps are float
[H, W] in 0..1; a palette is uint8 [256, 3], indexed by label.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from wsgcn.data.augment import resize_label
from wsgcn.files import IGNORE, atomic_write

# Matplotlib's "inferno" at 16 even steps: perceptually uniform, with rising lightness, so it also reads without
# colour. Linear interpolation between the steps stays within 7/255 of the map.
HEAT_COLOURS = np.array(
    [
        (0x00, 0x00, 0x04), (0x0C, 0x08, 0x26), (0x24, 0x0C, 0x4F), (0x42, 0x0A, 0x68),
        (0x5D, 0x12, 0x6E), (0x78, 0x1C, 0x6D), (0x93, 0x26, 0x67), (0xAE, 0x30, 0x5C),
        (0xC7, 0x3E, 0x4C), (0xDD, 0x51, 0x3A), (0xED, 0x69, 0x25), (0xF8, 0x85, 0x0F),
        (0xFC, 0xA5, 0x0A), (0xFA, 0xC6, 0x2D), (0xF2, 0xE6, 0x61), (0xFC, 0xFF, 0xA4),
    ],
    dtype=np.uint8,
)  # fmt: skip

# Greys, as base + share * the image's grey: background within 20..109, unlabelled within 135..229, so the two differ
# on any image.
BACKGROUND_BASE, BACKGROUND_SHARE = 20, 0.35
HATCH_BASES, HATCH_SHARE = (135, 165), 0.25


def overlay(image: np.ndarray, label: np.ndarray, palette: np.ndarray, alpha: float = 0.55) -> np.ndarray:
    """Draw a label over its image.

    image uint8 [H, W, 3], label uint8 [h, w], resized where the sizes differ, palette uint8 [256, 3], alpha in 0..1 ->
    uint8 [H, W, 3]. Classes are blended over the grey image, with a contour of their full colour inside a white line;
    background is the darkened grey image; unlabelled is a light grey hatch.
    """
    luma, label = _luma(image), resize_label(label, *image.shape[:2])
    out = np.repeat(BACKGROUND_BASE + BACKGROUND_SHARE * luma, 3, axis=2)

    unlabelled = label == IGNORE
    hatched = _hatch(label.shape) + HATCH_SHARE * luma
    out[unlabelled] = hatched[unlabelled]

    foreground = (label > 0) & ~unlabelled
    # Blended with the grey image: over a coloured one, a class colour could look like another class's.
    blended = (1 - alpha) * luma + alpha * palette[label]
    out[foreground] = blended[foreground]

    # The white line lies outside the object: thin objects would vanish under a line inside.
    width = max(1, min(label.shape) // 180)
    contour = foreground & _near_change(label, width)
    outline = ~foreground & _near_change(foreground.astype(np.uint8), width)
    out[contour] = palette[label[contour]]
    out[outline] = 255
    return _to_uint8(out)


def heat_map(image: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """Draw an activation map over its image in HEAT_COLOURS.

    image uint8 [H, W, 3], cam float [H, W], clipped to 0..1 -> uint8 [H, W, 3].
    """
    steps = np.linspace(0, 1, len(HEAT_COLOURS))
    colour = np.stack([np.interp(cam, steps, HEAT_COLOURS[:, c]) for c in range(3)], axis=2)
    # The image is grey, so that every hue in the picture belongs to the map.
    return _to_uint8(0.3 * _luma(image) + 0.7 * colour)


def grey_map(map01: np.ndarray) -> np.ndarray:
    """A map as greys: float [H, W], clipped to 0..1 -> uint8 [H, W, 3], 0 black and 1 white."""
    return _to_uint8(np.repeat(255 * np.asarray(map01)[..., None], 3, axis=2))


def panel_strip(panels: Sequence[tuple[str, np.ndarray]], height: int = 160) -> Image.Image:
    """Put captioned pictures side by side on white.

    panels: at least one (caption, uint8 [H, W, 3]); captions in ASCII, which Pillow's built-in font covers. Each
    picture is scaled to `height` pixels; the RGB result is higher by the line of captions.
    """
    gutter = max(4, height // 20)
    font = cast(ImageFont.FreeTypeFont, ImageFont.load_default(max(12, height // 10)))
    band = sum(font.getmetrics()) + gutter // 2
    pictures = [_scaled(picture, height) for _, picture in panels]
    # A caption wider than its picture widens the column, so that it is neither cut nor overlaps.
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


def save_picture(path: str | Path, picture: Image.Image) -> None:
    """Write a picture as a PNG, atomically."""
    with atomic_write(path) as temporary:
        picture.save(temporary, format="PNG")


def _luma(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> float [H, W, 1] in 0..255, perceived lightness (Rec. 601)."""
    return (image @ np.array([0.299, 0.587, 0.114]))[..., None]


def _hatch(shape: tuple[int, int]) -> np.ndarray:
    """Diagonal stripes: int [H, W, 1] of the HATCH_BASES, about 15 stripes along the short side."""
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
    """uint8 [H, W, 3] -> RGB image of that height with the same aspect ratio."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    """float -> uint8, rounded and clipped to 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
