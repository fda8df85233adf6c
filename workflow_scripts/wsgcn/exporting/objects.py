"""The objects of a label: for tools that know instances, whereas a label knows classes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from wsgcn.exporting.contract import LabelledImage

EIGHT_NEIGHBOURS = np.ones((3, 3), int)
"""Pixels that touch at a corner are of one object: a thin diagonal crack would fall apart."""


Box = tuple[slice, slice]
"""Rows and columns of a part of an image."""


class Object(NamedTuple):
    """An object: its class's value from 1, the rows and columns that it lies in, which of their pixels are its own as
    bool [h, w], and their mean confidence. A mask of the whole image per object would fill the memory."""

    value: int
    box: Box
    mask: np.ndarray
    score: float | None


def objects_of(image: LabelledImage, by: str) -> Iterator[Object]:
    """The objects of an image's label, by ascending class. by: `component`, one per connected component of a class, or
    `class`, one per class."""
    label, confidence = image.read_label(), image.read_confidence()
    for value in np.unique(label[label > 0]).tolist():
        for box, mask in split(label == value, by):
            score = None if confidence is None else round(float(confidence[box][mask].mean()), 4)
            yield Object(value, box, mask, score)


def split(mask: np.ndarray, by: str) -> Iterator[tuple[Box, np.ndarray]]:
    """A mask, bool [H, W], as a whole (`class`) or each of its components (`component`), as in `Object`."""
    if by == "class":
        numbered = mask.astype(np.uint8)
    else:
        numbered, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    for number, box in enumerate(ndimage.find_objects(numbered), start=1):
        yield box, numbered[box] == number


def count_runs(box: Box, mask: np.ndarray, shape: tuple[int, int]) -> list[int]:
    """The lengths of the runs of an image [H, W] row by row, by turns outside and inside an object.

    The first is 0 where the first pixel is the object's. For runs column by column, all arguments are transposed.
    """
    rows, columns = np.nonzero(mask)
    places = (rows + box[0].start) * shape[1] + columns + box[1].start
    starts = places[np.diff(places, prepend=-2) != 1]
    ends = places[np.diff(places, append=-2) != 1] + 1
    lengths = np.diff(np.stack([starts, ends], 1).ravel(), prepend=0, append=shape[0] * shape[1]).tolist()
    return lengths if lengths[-1] else lengths[:-1]
