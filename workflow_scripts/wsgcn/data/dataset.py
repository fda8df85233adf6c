"""A data set as the workflow sees it: image ids, paths, image-level classes, optional masks, three lists.

`wsgcn.readers` makes one, `wsgcn.check` opens its files.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from wsgcn.files import IGNORE, read_label

LISTS = ("train", "label", "evaluate")


@dataclass(frozen=True)
class Image:
    """One image: its id, its file, its image-level classes (indices from 1, ascending), its mask if it has one."""

    id: str
    path: str
    classes: tuple[int, ...]
    mask: str | None


@dataclass(frozen=True)
class Dataset:
    """Foreground class names (class k is `classes[k - 1]`), the three lists, and what a mask's values mean.

    `mask_values[v]` is the class of a mask's value v: 0, 1..C, or 255 where the value is ignored. `numbering` lists the
    classes as files of other methods count them, from 0: VOC's twenty where the data are a subset of VOC.
    """

    classes: tuple[str, ...]
    train: dict[str, Image]
    label: dict[str, Image]
    evaluate: dict[str, Image]
    mask_values: tuple[int, ...]
    numbering: tuple[str, ...]

    @cached_property
    def images(self) -> dict[str, Image]:
        """All images of the three lists, each once."""
        return self.train | self.label | self.evaluate

    def without(self, left_out: Collection[str]) -> "Dataset":
        """The data set without some images."""
        lists = {name: {i: im for i, im in getattr(self, name).items() if i not in left_out} for name in LISTS}
        return replace(self, **lists)


class DatasetError(ValueError):
    """All that is wrong with a data set's lists, tags and names, a sentence each; `data` is what is left of it."""

    def __init__(self, problems: Iterable[str], data: Dataset | None = None):
        self.problems, self.data = list(dict.fromkeys(problems)), data
        super().__init__("\n".join(self.problems))


def mask_values(classes: Iterable[str]) -> tuple[int, ...]:
    """Masks that hold 0..C and 255 as they stand; other values are marked -1, an error in `check`."""
    count = len(tuple(classes))
    return tuple([*range(count + 1), *[-1] * (IGNORE - count - 1), IGNORE])


def read_truth(mask: str | Path, mask_values: tuple[int, ...]) -> np.ndarray:
    """A mask as classes of the data set, uint8 [H, W], 255 ignored. Raises ValueError on a value of no class."""
    values = np.asarray(mask_values)
    truth = values[read_label(mask)]
    if (truth < 0).any():
        wrong = sorted(set(np.unique(read_label(mask))) - set(np.flatnonzero(values >= 0)))
        raise ValueError(f"mask {mask} holds values of no class: {', '.join(map(str, wrong))}")
    return truth.astype(np.uint8)


def batches(ids: Iterable[str], size: int) -> dict[str, list[str]]:
    """Deal ids into batches of about `size` (at most 1.5 times it) by the bits of their names' hashes.

    A batch is a leaf of a binary trie over the hash bits that splits when it overflows, so another id changes
    the batch that it falls into and no other. Keys are the leaves' bits ("all" where one batch holds everything).
    """

    def split(members: list[str], bits: str) -> dict[str, list[str]]:
        if len(members) <= max(1, size * 3 // 2):
            return {bits or "all": members} if members else {}
        halves: dict[str, list[str]] = {"0": [], "1": []}
        for member in members:
            halves[hashed[member][len(bits)]].append(member)
        return split(halves["0"], bits + "0") | split(halves["1"], bits + "1")

    unique = sorted(set(ids))
    hashed = {i: f"{int(hashlib.sha256(i.encode()).hexdigest(), 16):0256b}" for i in unique}
    return split(unique, "")
