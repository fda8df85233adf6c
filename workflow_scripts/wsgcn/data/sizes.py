"""Images that are too large to work on: their sizes, and the data set with smaller copies in their place."""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image

from wsgcn.data.dataset import LISTS, Dataset
from wsgcn.files import UNREADABLE, load_cache, write_json

ORIENTATION = 0x0112
"""EXIF's tag; from 5 on an upright image's sides are exchanged."""


def image_sizes(paths: Iterable[str], memory: str | Path) -> dict[str, tuple[int, int]]:
    """Height and width [pixels] of each image that can be opened, upright; notes are kept in the file `memory`.

    The notes go by the files' sizes and times, so that only what is new or has changed is opened.
    """
    known = load_cache(memory)
    marks = {path: _fingerprint(path) for path in paths}
    found = {path: known[path] for path, mark in marks.items() if path in known and known[path][:2] == mark}
    new = [path for path in marks if path not in found]
    with ThreadPoolExecutor() as pool:  # Pillow decodes a whole PNG to see whether it tells an orientation
        sizes = pool.map(_upright_size, new)
        found |= {path: [*marks[path], *size] for path, size in zip(new, sizes, strict=True) if size}
    if found != known:
        write_json(memory, found)
    return {path: tuple(note[2:]) for path, note in found.items()}


def _fingerprint(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _upright_size(path: str) -> tuple[int, int] | None:
    """Height and width; None where `wsgcn.check` will tell what is wrong."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) >= 5
    except UNREADABLE:
        return None
    return (width, height) if turned else (height, width)


def with_smaller_copies(
    data: Dataset, sizes: Mapping[str, tuple[int, int]], longest: int, folder: str
) -> tuple[Dataset, dict[str, tuple[int, int]]]:
    """The data set with `<folder>/<id>.jpg` for each image with a side over `longest`, and those images' true sizes."""
    large = {
        image.id: sizes[image.path] for image in data.images.values() if max(sizes.get(image.path, (0, 0))) > longest
    }
    lists = {
        name: {
            i: replace(image, path=f"{folder}/{i}.jpg") if i in large else image
            for i, image in getattr(data, name).items()
        }
        for name in LISTS
    }
    return replace(data, **lists), large
