"""Pictures that are nearly the same, of which some are held out: scores on those are too good."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from wsgcn.data.dataset import Dataset
from wsgcn.data.sizes import file_fingerprint
from wsgcn.depth import is_deep, open_image
from wsgcn.files import UNREADABLE, load_cache, read_image, write_cache
from wsgcn.text import format_count

SIDE = 16
"""Side of the thumbnails that are compared [pixels]."""

DECODED_SIDE = 64
"""A JPEG is decoded to about this side [pixels], which takes a tenth of the time."""

MAX_HASH_BITS = 8
"""Difference hashes of 64 bits that differ in more are of different pictures."""

MAX_DIFFERENCE = 0.12
"""Mean absolute difference of thumbnails beyond their means, above which pictures differ [their standard deviation].

Among 1,647 leaves 3 pairs lay below, of one leaf each, and the next, of two, at 0.148; among 880 magnetic tiles 61, all
of one tile each, and the nearest of two tiles above 0.15; among 1,459 photographs of animals none."""

MIN_CONTRAST = 4
"""Standard deviation of a thumbnail [grey levels] below which nothing tells it from others."""

MAX_PAIRS_SHOWN = 3


class Thumbnail(NamedTuple):
    """A picture's difference hash [64 bits], and it in grey, uint8 [SIDE², as bytes]."""

    hash: int
    grey: bytes


def thumbnails(paths: Iterable[str], cache_file: str | Path, threads: int = 1) -> dict[str, Thumbnail]:
    """The thumbnail of each image that can be opened, cached with its file's size and time, as `sizes.image_facts`."""
    cached = load_cache(cache_file)
    marks = {path: file_fingerprint(path) for path in paths}
    entries = {path: cached[path] for path, mark in marks.items() if cached.get(path, [])[:2] == mark}
    changed = [path for path in marks if path not in entries]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(_open_thumbnail, changed)
        new = {
            path: [*marks[path], str(own.hash), own.grey.hex()] for path, own in zip(changed, found, strict=True) if own
        }
    if new or entries.keys() != cached.keys():
        write_cache(cache_file, entries | new)
    return {path: Thumbnail(int(entry[2]), bytes.fromhex(entry[3])) for path, entry in (entries | new).items()}


def _open_thumbnail(path: str) -> Thumbnail | None:
    """None where the image cannot be opened, which `wsgcn.workflow.check` reports."""
    try:
        with open_image(path) as image:
            if is_deep(image):
                image = Image.fromarray(read_image(path))
            image.draft("L", (DECODED_SIDE, DECODED_SIDE))
            return make_thumbnail(image.convert("L"))
    except UNREADABLE:
        return None


def make_thumbnail(image: Image.Image) -> Thumbnail:
    """Of a grey picture, by the means of its cells. A bit of the hash: whether the cell on the right is brighter."""
    cells = np.asarray(image.resize((9, 8), Image.Resampling.BOX)).astype(int)
    bits = (cells[:, 1:] > cells[:, :-1]).ravel()
    grey = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return Thumbnail(int.from_bytes(np.packbits(bits).tobytes()), grey.tobytes())


def near_duplicates(held: Sequence[Thumbnail], others: Sequence[Thumbnail]) -> list[tuple[int, int]]:
    """Indices of the pictures of `held` that are nearly one of `others`, each with the one of these that is nearest.

    Nearly: their hashes differ in at most MAX_HASH_BITS, their thumbnails by at most MAX_DIFFERENCE.
    """
    if not held or not others:
        return []
    hashes, greys = (np.array([own.hash for own in others], np.uint64), _stack(others))
    spread = greys.std(1)
    pairs = []
    for index, own in enumerate(held):
        near = np.flatnonzero(np.bitwise_count(hashes ^ np.uint64(own.hash)) <= MAX_HASH_BITS)
        grey = _stack([own])[0]
        contrast = np.minimum(spread[near], grey.std())
        near, contrast = near[contrast >= MIN_CONTRAST], contrast[contrast >= MIN_CONTRAST]
        difference = np.abs(greys[near] - grey).mean(1) / contrast
        if len(near) and difference.min() <= MAX_DIFFERENCE:
            pairs.append((index, int(near[difference.argmin()])))
    return pairs


def _stack(pictures: Sequence[Thumbnail]) -> np.ndarray:
    """Thumbnails without their mean, which a change of brightness moves: float32 [pictures, SIDE²]."""
    greys = np.stack([np.frombuffer(own.grey, np.uint8) for own in pictures]).astype(np.float32)
    return greys - greys.mean(1, keepdims=True)


def describe_duplicates(data: Dataset, cache_file: str | Path, threads: int = 1) -> list[str]:
    """A sentence about images that are evaluated and nearly the same as one that is trained on or labelled.

    Nothing, and no image is opened, where no image is held out.
    """
    learnt = data.train | data.label
    held = [image.path for i, image in data.evaluate.items() if i not in learnt]
    if not held:
        return []
    others = [image.path for image in learnt.values()]
    found = thumbnails([*held, *others], cache_file, threads)
    held, others = ([path for path in paths if path in found] for paths in (held, others))
    pairs = near_duplicates(_select(found, held), _select(found, others))
    if not pairs:
        return []
    shown = "; ".join(f"{held[a]} and {others[b]}" for a, b in pairs[:MAX_PAIRS_SHOWN])
    return [
        f"dataset.evaluate: {format_count(len(pairs), 'image')} nearly the same as one that is trained on or labelled, "
        f"so scores may be too good ({shown}{'; …' if len(pairs) > MAX_PAIRS_SHOWN else ''})"
    ]


def _select(found: Mapping[str, Thumbnail], paths: Iterable[str]) -> list[Thumbnail]:
    return [found[path] for path in paths]
