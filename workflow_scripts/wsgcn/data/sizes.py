"""What is known of images before they are read, and copies of 8 bits and of a size that can be processed."""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image

from wsgcn.data.augment import resize
from wsgcn.data.dataset import Dataset
from wsgcn.data.dataset import Image as Member
from wsgcn.depth import is_deep, open_image, orientation_of
from wsgcn.files import UNREADABLE, atomic_write, load_cache, read_image, write_cache


class ImageFacts(NamedTuple):
    """Height and width of the upright image [pixels], and whether it holds 16 bits per channel."""

    height: int
    width: int
    deep: bool = False


def image_facts(paths: Iterable[str], cache_file: str | Path) -> dict[str, ImageFacts]:
    """The facts of each image that can be opened.

    They are cached in `cache_file` with each file's size in bytes and modification time, so that only new and changed
    images are opened.
    """
    cached = load_cache(cache_file)
    fingerprints = {path: file_fingerprint(path) for path in paths}
    entries = {path: cached[path] for path, own in fingerprints.items() if _is_current(cached.get(path), own)}
    changed = [path for path in fingerprints if path not in entries]
    with ThreadPoolExecutor() as pool:  # Pillow decodes the whole of a PNG to look for its orientation
        found = pool.map(_open_facts, changed)
        entries |= {path: [*fingerprints[path], *own] for path, own in zip(changed, found, strict=True) if own}
    if entries != cached:
        write_cache(cache_file, entries)
    return {path: ImageFacts(*entry[2:]) for path, entry in entries.items()}


def _is_current(entry: list | None, fingerprint: list[int]) -> bool:
    return entry is not None and entry[:2] == fingerprint and len(entry) == 2 + len(ImageFacts._fields)


def file_fingerprint(path: str) -> list[int]:
    """A file's size in bytes and modification time, which change with its content."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _open_facts(path: str) -> ImageFacts | None:
    """None where the image cannot be opened, which `wsgcn.workflow.check` reports."""
    try:
        with Image.open(path) as image:
            deep, (width, height) = is_deep(image), image.size
            turned = orientation_of(image) >= 5 and not (image.format == "TIFF" and _turns_itself(image))
    except UNREADABLE:
        return None
    return ImageFacts(width, height, deep) if turned else ImageFacts(height, width, deep)


def _turns_itself(image: Image.Image) -> bool:
    """Whether Pillow gives the size of a TIFF as turned upright, as it does since version 11."""
    return image.size == (image.tag_v2[257], image.tag_v2[256])  # type: ignore[attr-defined]


def with_copies(
    data: Dataset, facts: Mapping[str, ImageFacts], longest: int, folder: str
) -> tuple[Dataset, dict[str, tuple[int, int]], list[str]]:
    """The data set with a copy in place of each image that cannot be processed as it is.

    That is `<folder>/<id>.png` for an image of 16 bits, `<id>.jpg` for another whose longer side exceeds `longest`
    [pixels]. facts: by path. Also returns the true (height, width) of the images with a smaller copy, by id, and the
    ids of those of 16 bits.
    """
    known = {image.id: facts[image.path] for image in data.images.values() if image.path in facts}
    large = {i: (own.height, own.width) for i, own in known.items() if max(own.height, own.width) > longest}
    deep = [i for i, own in known.items() if own.deep]
    copies = dict.fromkeys(large, _copy_suffix(False)) | dict.fromkeys(deep, _copy_suffix(True))

    def replaced(images: dict[str, Member]) -> dict[str, Member]:
        return {
            i: replace(image, path=f"{folder}/{i}{copies[i]}") if i in copies else image for i, image in images.items()
        }

    return data.change_lists(replaced), large, deep


def _copy_suffix(deep: bool) -> str:
    return ".png" if deep else ".jpg"


def write_copy(path: str | Path, image: np.ndarray, longest: int) -> None:
    """Write an image, uint8 RGB [H, W, 3], with a longer side of at most `longest` pixels.

    As a PNG, or, by the name of `path`, as a JPEG of quality 95.
    """
    scale = min(1, longest / max(image.shape[:2]))
    small = resize(image, *(max(1, round(side * scale)) for side in image.shape[:2]))
    options = {"format": "PNG"} if Path(path).suffix == ".png" else {"format": "JPEG", "quality": 95, "subsampling": 0}
    with atomic_write(path) as temporary:
        Image.fromarray(small).save(temporary, **options)


def read_working_copy(
    path: str | Path, longest: int, black_white: tuple[int, int] | None
) -> tuple[np.ndarray, tuple[int, int]]:
    """An image as the workflow works on it, uint8 RGB [h, w, 3], and its true (height, width).

    Above `longest` pixels, it is the copy that `write_copy` writes for the workflow, which loses a little as a JPEG.
    black_white: as in `files.read_image`, which says what is raised.
    """
    image = read_image(path, black_white)
    height, width = image.shape[:2]
    if max(height, width) > longest:
        with open_image(path) as file:
            suffix = _copy_suffix(is_deep(file))
        with TemporaryDirectory() as folder:
            write_copy(copy := Path(folder, f"copy{suffix}"), image, longest)
            image = read_image(copy)
    return image, (height, width)
