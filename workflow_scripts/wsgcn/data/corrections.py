"""Corrections: what somebody who looked knows of an image's pixels, 255 where they say nothing.

They are drawn at the image's own size and needed at others: that of the image as it is processed, of the graph's grid,
of a training's crop. A thin scribble survives each of these.
"""

from collections.abc import Sequence

import numpy as np

from wsgcn.data.augment import resize_label
from wsgcn.files import IGNORE


def fit_correction(correction: np.ndarray, height: int, width: int) -> np.ndarray:
    """A correction, uint8 [H, W], at another size, uint8 [height, width].

    Along a side that shrinks, a cell has the class that most of its corrected pixels have, the smallest of several, and
    255 only where it has none: the pixel y of H is in the cell floor((y + 1/2) · height / H), the cell whose pixel
    `resize_label` would take in the middle. A side that grows is enlarged by nearest neighbour, as labels are.
    """
    grown = resize_label(correction, max(height, correction.shape[0]), max(width, correction.shape[1]))
    if grown.shape == (height, width):
        return grown
    rows, columns = (
        (2 * np.arange(length) + 1) * cells // (2 * length)
        for length, cells in zip(grown.shape, (height, width), strict=True)
    )
    cell_index = rows[:, None] * width + columns
    found = np.full(height * width, IGNORE, np.uint8)
    most = np.zeros(height * width, np.int64)
    for value in np.unique(grown[grown != IGNORE]):
        votes = np.bincount(cell_index[grown == value], minlength=height * width)
        found[votes > most] = value
        most = np.maximum(most, votes)
    return found.reshape(height, width)


def apply_correction(label: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """A label, uint8 [H, W], with the values of a correction of the same size wherever that says something."""
    return np.where(correction != IGNORE, correction, label)


def added_classes(correction: np.ndarray, tags: Sequence[int]) -> tuple[int, ...]:
    """The classes (indices from 1, ascending) that a correction shows and that are no tags of its image."""
    return tuple(value for value in np.unique(correction).tolist() if value not in (0, IGNORE, *tags))
