"""Labels without any learning, to compare with: what is far from the colour of the image's surface gets its tag.

The first thing that somebody with tags and no network would try. Colours are those of CIELAB; a picture of one surface
on a ground, such as a leaf on paper, is measured against the colour of that surface.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

DEVIATIONS = 5
"""Pixels further from the median than this many robust standard deviations are foreground. Of normally distributed
noise one pixel in two million is; it is no setting, since choosing it by the truth would be a kind of learning."""

MIN_SEPARATION = 0.8
"""Of the variance, the share between two sides from which they are surface and ground: a normal distribution that is
cut in two reaches 0.64, a uniform one 0.75."""

RIM = 0.01
"""Of the shorter side, the width around the ground whose colours are mixed with it."""

MIN_DEVIATION = 0.5
"""Least standard deviation [units of CIELAB, grey levels]: what rounding to 8 bits leaves even in a flat image."""


def no_learning_label(image: np.ndarray, tags: Sequence[int]) -> np.ndarray:
    """The image's first class where its colour is exceptional, else background, uint8 [H, W].

    image: uint8 RGB [H, W, 3]; tags: its classes (indices from 1). Nothing here could tell several classes apart, so
    the first gets all of the foreground. An image without a tag is background.
    """
    if not tags:
        return np.zeros(image.shape[:2], np.uint8)
    grey = (image == image[..., :1]).all()
    return np.uint8(tags[0]) * (exceptional_grey(image[..., 0]) if grey else exceptional_colour(image))


def exceptional_grey(grey: np.ndarray) -> np.ndarray:
    """Where a grey image, uint8 [H, W], is far from what the medians of its row and of its column make expect.

    Light and frames vary along rows and columns. bool [H, W].
    """
    values = grey.astype(np.float32)
    values = values - np.median(values, 1, keepdims=True)
    values = values - np.median(values, 0, keepdims=True)
    return _deviations(values[..., None], np.ones(grey.shape, bool)) > DEVIATIONS


def exceptional_colour(image: np.ndarray) -> np.ndarray:
    """Where an image, uint8 RGB [H, W, 3], is far from the median colour of its surface, outside its ground.

    Far in any of the three coordinates of CIELAB. bool [H, W].
    """
    colours = cielab(image)
    ground_side = _ground_side(colours)
    if ground_side is None:
        return _deviations(colours, np.ones(image.shape[:2], bool)) > DEVIATIONS
    pieces, _ = ndimage.label(ground_side)
    border = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    ground = np.isin(pieces, border[border > 0])
    if rim := round(RIM * min(image.shape[:2])):
        ground = ndimage.binary_dilation(ground, iterations=rim)
    return (_deviations(colours, ~ground_side) > DEVIATIONS) & ~ground


def cielab(image: np.ndarray) -> np.ndarray:
    """An image, uint8 sRGB [H, W, 3], in CIELAB (D65): float32 [H, W, 3], L in 0..100 (IEC 61966-2-1, CIE 15)."""
    levels = np.arange(256, dtype=np.float32) / 255
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)[image]
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def _deviations(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The distance of values [H, W, D] from the median of those in the mask `of`, in robust standard deviations.

    Median absolute deviations times 1.4826; the largest of the D, float [H, W].
    """
    median = np.median(values[of], 0)
    deviation = 1.4826 * np.median(np.abs(values[of] - median), 0)
    return (np.abs(values - median) / np.maximum(deviation, MIN_DEVIATION)).max(-1)


def _ground_side(colours: np.ndarray) -> np.ndarray | None:
    """Of two sides that an image's colours [H, W, 3] fall into, the one more of which lies on the border, bool [H, W].

    Cut by Otsu's threshold (1979) along the axis of their largest variance. None where they do not fall into two.
    """
    flat = colours.reshape(-1, 3) - colours.reshape(-1, 3).mean(0)
    along = flat @ np.linalg.eigh(flat.T @ flat)[1][:, -1]
    threshold, separation = otsu(along)
    if separation < MIN_SEPARATION:
        return None
    side = (along > threshold).reshape(colours.shape[:2])
    border = np.concatenate([side[0], side[-1], side[1:-1, 0], side[1:-1, -1]])
    return side if border.sum() / side.sum() > (~border).sum() / (~side).sum() else ~side


def otsu(values: np.ndarray, bins: int = 256) -> tuple[float, float]:
    """The threshold between two groups of values [N] that differ most, and the share of the variance between them.

    Over the edges of a histogram (Otsu 1979). The share is 0 for equal values.
    """
    counts, edges = np.histogram(values, bins)
    centres, share = (edges[:-1] + edges[1:]) / 2, counts / counts.sum()
    mean = (share * centres).sum()
    variance = (share * (centres - mean) ** 2).sum()
    below, moment = share.cumsum()[:-1], (share * centres).cumsum()[:-1]
    between = (mean * below - moment) ** 2 / np.maximum(below * (1 - below), 1e-12)
    best = int(between.argmax())
    return float(edges[best + 1]), float(between[best] / variance) if variance > 0 else 0.0
