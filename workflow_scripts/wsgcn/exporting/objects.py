"""The objects of a label: for tools that know instances, whereas a label knows classes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from wsgcn.exporting.contract import LabelledImage

EIGHT_NEIGHBOURS = np.ones((3, 3), int)
"""Pixels that touch at a corner are of one object: a thin diagonal crack would fall apart."""


class Object(NamedTuple):
    """An object: its class's value from 1, its pixels as bool [H, W] of the whole image, their mean confidence."""

    value: int
    mask: np.ndarray
    score: float | None


def objects_of(image: LabelledImage, by: str) -> Iterator[Object]:
    """The objects of an image's label, by ascending class. by: `component`, one per connected component of a class, or
    `class`, one per class."""
    label, confidence = image.read_label(), image.read_confidence()
    for value in np.unique(label[label > 0]).tolist():
        for mask in split(label == value, by):
            yield Object(value, mask, None if confidence is None else round(float(confidence[mask].mean()), 4))


def split(mask: np.ndarray, by: str) -> Iterator[np.ndarray]:
    """A mask, bool [H, W], as a whole (`class`) or each of its components (`component`)."""
    if by == "class":
        yield mask
        return
    numbered, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    for index, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
        part = np.zeros_like(mask)
        part[rows, columns] = numbered[rows, columns] == index
        yield part
