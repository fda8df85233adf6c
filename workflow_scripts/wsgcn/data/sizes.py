"""Sizes of images, and smaller copies in place of images that are too large to process."""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from wsgcn.data.augment import resize
from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.files import UNREADABLE, atomic_write, load_cache, write_json

ORIENTATION = 0x0112
"""EXIF's tag; its values from 5 on exchange height and width."""


def image_sizes(paths: Iterable[str], cache_file: str | Path) -> dict[str, tuple[int, int]]:
    """Height and width [pixels] of each image that can be opened, upright.

    Sizes are cached in `cache_file` with each file's size in bytes and modification time, so that only new and changed
    images are opened.
    """
    cached = load_cache(cache_file)
    fingerprints = {path: _fingerprint(path) for path in paths}
    entries = {path: cached[path] for path, own in fingerprints.items() if path in cached and cached[path][:2] == own}
    changed = [path for path in fingerprints if path not in entries]
    with ThreadPoolExecutor() as pool:  # Pillow decodes the whole of a PNG to look for its orientation
        sizes = pool.map(_upright_size, changed)
        entries |= {path: [*fingerprints[path], *size] for path, size in zip(changed, sizes, strict=True) if size}
    if entries != cached:
        write_json(cache_file, entries)
    return {path: tuple(entry[2:]) for path, entry in entries.items()}


def _fingerprint(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _upright_size(path: str) -> tuple[int, int] | None:
    """Height and width; None where the image cannot be opened, which `wsgcn.workflow.check` reports."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            rotated = image.getexif().get(ORIENTATION, 1) >= 5
    except UNREADABLE:
        return None
    return (width, height) if rotated else (height, width)


def with_smaller_copies(
    data: Dataset, sizes: Mapping[str, tuple[int, int]], longest: int, folder: str
) -> tuple[Dataset, dict[str, tuple[int, int]]]:
    """The data set with `<folder>/<id>.jpg` in place of each image whose longer side exceeds `longest` [pixels].

    sizes: height and width by path. Also returns the true (height, width) of the replaced images by id.
    """
    large = {
        image.id: sizes[image.path] for image in data.images.values() if max(sizes.get(image.path, (0, 0))) > longest
    }

    def with_copies(images: dict[str, Member]) -> dict[str, Member]:
        return {i: replace(image, path=f"{folder}/{i}.jpg") if i in large else image for i, image in images.items()}

    return data.change_lists(with_copies), large


def write_smaller_copy(path: str | Path, image: np.ndarray, longest: int) -> None:
    """Write an image, uint8 RGB [H, W, 3], resized to a longer side of `longest` pixels, as a JPEG of quality 95."""
    scale = longest / max(image.shape[:2])
    small = resize(image, *(max(1, round(side * scale)) for side in image.shape[:2]))
    with atomic_write(path) as temporary:
        Image.fromarray(small).save(temporary, format="JPEG", quality=95, subsampling=0)
