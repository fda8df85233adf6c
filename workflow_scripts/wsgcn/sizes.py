"""Images that are too large to work on: their sizes, and the data set with smaller copies in their place."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from wsgcn.dataset import LISTS, Dataset
from wsgcn.files import read_json, write_json

ORIENTATION = 0x0112
"""EXIF's tag; from 5 on an upright image's sides are exchanged."""


def image_sizes(paths: Iterable[str], memory: str | Path) -> dict[str, tuple[int, int]]:
    """Height and width of each image that can be opened, upright, from its head; notes are kept in the file `memory`.

    The notes go by the files' sizes and times, so that only what is new or has changed is opened.
    """
    known = read_json(memory) if Path(memory).is_file() else {}
    found = {}
    for path in paths:
        try:
            status = os.stat(path)
            mark = [status.st_size, status.st_mtime_ns]
            if path not in known or known[path][:2] != mark:
                with Image.open(path) as image:
                    width, height = image.size
                    turned = image.getexif().get(ORIENTATION, 1) >= 5
                found[path] = [*mark, *((width, height) if turned else (height, width))]
            else:
                found[path] = known[path]
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # `wsgcn.check` tells of it
    if found != known:
        write_json(memory, found)
    return {path: tuple(note[2:]) for path, note in found.items()}


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
