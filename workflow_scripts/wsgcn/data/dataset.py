"""A data set: image ids, paths, image-level classes, optional masks, three lists.

`wsgcn.data.readers` build one, `wsgcn.workflow.check` opens its files.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wsgcn.files import IGNORE, read_label

LISTS = ("train", "label", "evaluate")


class Painted(NamedTuple):
    """Of a mask that a job paints: height and width [pixels], and a hash of what is painted."""

    height: int
    width: int
    digest: str


@dataclass(frozen=True)
class Image:
    """An image: its id, its file, its image-level classes (indices from 1, ascending), its mask's file or None.

    negative: whether it is known to show none of the classes. Every image to train on or to label that has no class is
    a negative; one that is only evaluated may merely have no tags. group: images of one group show the same thing; ""
    for an image that stands alone. painted: what is known of a mask that the workflow paints itself.
    """

    id: str
    path: str
    classes: tuple[int, ...]
    mask: str | None
    negative: bool = False
    group: str = ""
    painted: Painted | None = None


@dataclass(frozen=True)
class Dataset:
    """Class names, three lists of images by id, and the meaning of masks' values.

    classes: foreground only; class k, from 1, is `classes[k - 1]`. mask_values: the class of each value 0..255 of a
    mask: 0 (background), 1..C, 255 (ignored) or -1 (not allowed). numbering: class names in the order in which files of
    other methods count them from 0, such as the 20 of VOC where the data set is a subset of VOC. remarks: what the
    reader did that its user may not expect, a sentence each, for the start of a run. sources: the files that masks are
    painted from, if they are painted.
    """

    classes: tuple[str, ...]
    train: dict[str, Image]
    label: dict[str, Image]
    evaluate: dict[str, Image]
    mask_values: tuple[int, ...]
    numbering: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @cached_property
    def images(self) -> dict[str, Image]:
        """The images of all lists, each once."""
        return self.train | self.label | self.evaluate

    def without(self, excluded: Collection[str]) -> "Dataset":
        """The data set without the images of some ids."""
        return self.change_lists(lambda images: {i: image for i, image in images.items() if i not in excluded})

    def change_lists(self, change: Callable[[dict[str, Image]], dict[str, Image]]) -> "Dataset":
        """The data set with a function applied to each of its lists."""
        return replace(self, train=change(self.train), label=change(self.label), evaluate=change(self.evaluate))


class DatasetError(ValueError):
    """All problems of a data set's lists, tags and names, one sentence each.

    data: the data set without the images and lists at fault; None where no data set can be built.
    """

    def __init__(self, problems: Iterable[str], data: Dataset | None = None):
        self.problems, self.data = list(dict.fromkeys(problems)), data
        super().__init__("\n".join(self.problems))


def mask_values(classes: Iterable[str]) -> tuple[int, ...]:
    """`Dataset.mask_values` of masks whose values are class indices, 0..C and 255; other values are not allowed."""
    num_classes = len(tuple(classes))
    return tuple([*range(num_classes + 1), *[-1] * (IGNORE - num_classes - 1), IGNORE])


def painting_digest(numbering: Iterable[str], digests: Iterable[str]) -> str:
    """A hash of what a job paints. numbering: as in `Dataset`; digests: of its images, see `Painted`."""
    return hashlib.sha256("\0".join([*numbering, "", *digests]).encode()).hexdigest()[:16]


def read_truth(mask: str | Path, mask_values: tuple[int, ...]) -> np.ndarray:
    """Read a mask as class indices of the data set, uint8 [H, W], 255 where ignored.

    mask_values: as in `Dataset`. Raises ValueError where the mask cannot be read or has a value that is not allowed.
    """
    values = np.asarray(mask_values)
    truth = values[read_label(mask)]
    if (truth < 0).any():
        unknown = sorted(set(np.unique(read_label(mask))) - set(np.flatnonzero(values >= 0)))
        raise ValueError(f"mask {mask} contains values of no class: {', '.join(map(str, unknown))}")
    return truth.astype(np.uint8)


def batches(ids: Iterable[str], size: int) -> dict[str, list[str]]:
    """Divide ids into batches of about `size` (at most 1.5 times it) by the bits of their SHA-256.

    A batch is a leaf of a binary trie over the hash bits. A leaf splits where it overflows, so a new id changes the
    batch that it falls into and no other. Returns the sorted ids by the leaf's bits, or by "all" where one batch is
    enough.
    """

    def split(members: list[str], bits: str) -> dict[str, list[str]]:
        if len(members) <= max(1, size * 3 // 2):
            return {bits or "all": members} if members else {}
        halves: dict[str, list[str]] = {"0": [], "1": []}
        for member in members:
            halves[hash_bits[member][len(bits)]].append(member)
        return split(halves["0"], bits + "0") | split(halves["1"], bits + "1")

    unique = sorted(set(ids))
    hash_bits = {i: f"{int(hashlib.sha256(i.encode()).hexdigest(), 16):0256b}" for i in unique}
    return split(unique, "")
