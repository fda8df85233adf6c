"""What is known of each image of a COCO JSON, and where its objects stand in the file.

A JSON is parsed once. Its index is cached, 20 MB for COCO's 82,783 training images, so that planning reads no JSON and
a job that paints masks reads the objects of its images alone.
"""

import hashlib
import json
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wsgcn.data.coco_json import Span, entry_at, scan_arrays
from wsgcn.data.coco_masks import read_code
from wsgcn.data.names import CONTROL, clean_name
from wsgcn.data.sizes import file_fingerprint
from wsgcn.files import UNREADABLE, atomic_write, why_no_file
from wsgcn.text import format_count, shorten

VERSION = 1
"""Of the cached arrays."""

MIN_RING = 6
"""Coordinates of a triangle; a ring of fewer covers no pixel."""

ARRAYS = ("images", "annotations", "categories")


class CocoError(ValueError):
    """The problems of a JSON, one sentence per line."""


@dataclass(frozen=True)
class CocoIndex:
    """The images of a JSON in its order, N of them with A objects.

    categories: {id: name}, by id. files: as `file_name` gives them; sizes: int64 [N, 2], height and width [pixels];
    shown: the ids of the categories of each image's objects, ascending; without_mask: bool [N], whether an object has
    no segmentation; digests: of each image's size and objects; spans: int64 [A, 2], the bytes of each object, those of
    image k from `firsts[k]` to `firsts[k + 1]`, int64 [N + 1]; thin: rings that cover no pixel.
    """

    categories: Mapping[int, str]
    files: Sequence[str]
    sizes: np.ndarray
    shown: Sequence[tuple[int, ...]]
    without_mask: np.ndarray
    digests: Sequence[str]
    firsts: np.ndarray
    spans: np.ndarray
    thin: int = 0

    def objects_of(self, k: int) -> list[Span]:
        """Where the objects of an image stand in the file."""
        return [Span(*span) for span in self.spans[self.firsts[k] : self.firsts[k + 1]].tolist()]


def load_index(path: str | Path, folder: str | Path) -> CocoIndex:
    """The index of a JSON, from its cache in `folder` where the file has not changed since.

    Raises CocoError with a sentence for each problem of the JSON.
    """
    if why := why_no_file(path):
        raise CocoError(f"{path} {why}")
    own = hashlib.sha256(os.path.abspath(path).encode(errors="surrogateescape")).hexdigest()[:8]
    cache, fingerprint = Path(folder) / f"{Path(path).stem}-{own}.npz", [VERSION, *file_fingerprint(str(path))]
    with suppress(*UNREADABLE, KeyError), np.load(cache) as archive:
        if archive["fingerprint"].tolist() == fingerprint:
            return _unpack(dict(archive))
    index = read_index(path)
    with suppress(OSError), atomic_write(cache) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, fingerprint=np.array(fingerprint), **_pack(index))  # type: ignore[arg-type]
    return index


def _pack(index: CocoIndex) -> dict[str, np.ndarray]:
    texts = {"files": "\0".join(index.files), "categories": json.dumps(list(index.categories.items()))}
    return {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()} | {
        "sizes": index.sizes,
        "shown": np.array([category for own in index.shown for category in own], np.int64),
        "num_shown": np.array([len(own) for own in index.shown], np.int64),
        "without_mask": index.without_mask,
        "digests": np.array(index.digests, "S16"),
        "firsts": index.firsts,
        "spans": index.spans,
        "thin": np.array(index.thin),
    }


def _unpack(arrays: Mapping[str, np.ndarray]) -> CocoIndex:
    shown = iter(arrays["shown"].tolist())
    return CocoIndex(
        categories=dict(json.loads(arrays["categories"].tobytes())),
        files=arrays["files"].tobytes().decode().split("\0") if len(arrays["sizes"]) else [],
        sizes=arrays["sizes"],
        shown=[tuple(next(shown) for _ in range(count)) for count in arrays["num_shown"].tolist()],
        without_mask=arrays["without_mask"],
        digests=[digest.decode() for digest in arrays["digests"].tolist()],
        firsts=arrays["firsts"],
        spans=arrays["spans"],
        thin=int(arrays["thin"]),
    )


class _Object(NamedTuple):
    """Where an annotation stands, its category, whether it has no segmentation, a hash of what is painted of it."""

    span: Span
    category: int
    lacks: bool
    digest: bytes


@dataclass
class _Contents:
    """What a scan has met: entries by id, the objects of each image, run-length codes, problems with their counts."""

    raw: bytes
    images: dict[object, dict] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    objects: dict[object, list[_Object]] = field(default_factory=lambda: defaultdict(list))
    codes: list[tuple[object, object, dict]] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    thin: int = 0

    def _whole(self, entry: object, start: int, end: int) -> dict:
        """An entry with its text as it was meant. Raises ValueError where it is no object or not UTF-8."""
        part = self.raw[start:end]
        whole = entry if part.isascii() else entry_at(part)
        if not isinstance(whole, dict):
            raise ValueError
        return whole

    def take_image(self, entry: object, start: int, end: int) -> None:
        try:
            image = self._whole(entry, start, end)
            number, name, sides = image["id"], image["file_name"], (image["height"], image["width"])
            usable = isinstance(number, int | str) and isinstance(name, str) and not CONTROL.search(name)
            if not usable or not name or not all(type(side) is int and side > 0 for side in sides):
                raise ValueError
        except (KeyError, ValueError):
            self.problems[f"image {_short(entry)} needs id, file_name, height and width"] += 1
            return
        if number in self.images:
            self.problems[f"image id {number} is listed twice"] += 1
        self.images[number] = {"file": name, "size": sides}

    def take_category(self, entry: object, start: int, end: int) -> None:
        try:
            category = self._whole(entry, start, end)
            number, name = category["id"], clean_name(category["name"])
            if type(number) is not int or not name:
                raise ValueError
        except (KeyError, ValueError, TypeError):
            self.problems[f"category {_short(entry)} needs a whole number as id and a name"] += 1
            return
        if number in self.categories or name in self.categories.values():
            self.problems[f"category {number}, {name}, is listed twice"] += 1
        self.categories[number] = name

    def take_annotation(self, entry: object, start: int, end: int) -> None:
        try:
            whole = self._whole(entry, start, end)
            image, category, code = whole["image_id"], whole["category_id"], whole.get("segmentation")
            crowd = whole.get("iscrowd") or 0
            if not isinstance(category, int) or not isinstance(image, int | str) or crowd not in (0, 1):
                raise ValueError
        except (KeyError, ValueError):
            self.problems[f"annotation {_short(entry)} needs image_id, category_id and, if any, iscrowd as 0 or 1"] += 1
            return
        content = hashlib.blake2b(f"{category} {bool(crowd)}".encode(), digest_size=8)
        objects = self.objects[image]
        try:
            if isinstance(code, dict):
                self.codes.append((whole.get("id"), image, code))
                content.update(str(code).encode())
            for ring in () if isinstance(code, dict) else code or ():
                coordinates = array("d", ring)
                if len(ring) % 2 or not isfinite(sum(ring)):
                    raise ValueError
                self.thin += len(ring) < MIN_RING
                content.update(b"%d " % len(ring) + coordinates.tobytes())
        except (TypeError, ValueError, OverflowError):
            self.problems["has polygons that are no list of x, y, x, y, … in numbers"] += 1
        objects.append(_Object(Span(start, end), category, not code, content.digest()))


def _short(entry: object) -> str:
    return shorten(json.dumps(entry))[:60]


def read_index(path: str | Path) -> CocoIndex:
    """Parse a JSON and index it. Raises CocoError with a sentence for each problem."""
    try:
        raw = Path(path).read_bytes()
        found = _Contents(raw)
        takers = (found.take_image, found.take_annotation, found.take_category)
        arrays = scan_arrays(raw, dict(zip(ARRAYS, takers, strict=True)))
    except OSError as error:
        raise CocoError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CocoError(f"{path} {error}") from None
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise CocoError(f"{path} has no list {', '.join(missing)}, so it is no JSON of COCO's instances")
    problems = [f"{path}: {problem}{_times(count)}" for problem, count in found.problems.items()]
    if not found.images and not problems:
        problems.append(f"{path} lists no images")
    problems += [f"{path}: {problem}" for problem in _relation_problems(found)]
    if problems:
        raise CocoError("\n".join(problems))
    return _index(found)


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _relation_problems(found: _Contents) -> Iterator[str]:
    """What is wrong between images, categories and objects."""
    lost = [len(objects) for image, objects in found.objects.items() if image not in found.images]
    if lost:
        yield f"{format_count(sum(lost), 'annotation')} of images that are not listed"
    unknown = Counter(c for objects in found.objects.values() for _, c, *_ in objects if c not in found.categories)
    for category, count in unknown.items():
        yield f"{format_count(count, 'annotation')} of category {category}, which is not listed"
    for number, image, code in found.codes:
        try:
            if image in found.images:
                read_code(code, *found.images[image]["size"])
        except ValueError as error:
            yield f"annotation {number} of {found.images[image]['file']}: {error}"
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            yield f"annotation {number} of {found.images[image]['file']}: its segmentation cannot be read: {error}"


def _index(found: _Contents) -> CocoIndex:
    own = [found.objects.get(image, []) for image in found.images]
    sizes = [image["size"] for image in found.images.values()]
    return CocoIndex(
        categories=dict(sorted(found.categories.items())),
        files=[image["file"] for image in found.images.values()],
        sizes=np.array(sizes, np.int64),
        shown=[tuple(sorted({category for _, category, *_ in objects})) for objects in own],
        without_mask=np.array([any(own.lacks for own in objects) for objects in own], bool),
        digests=[_digest(size, objects) for size, objects in zip(sizes, own, strict=True)],
        firsts=np.cumsum([0, *map(len, own)]),
        spans=np.array([found.span for objects in own for found in objects], np.int64).reshape(-1, 2),
        thin=found.thin,
    )


def _digest(size: tuple[int, int], objects: Sequence[_Object]) -> str:
    """A hash of an image's size and of what is painted of its objects: sixteen hexadecimal digits."""
    content = str(size).encode() + b"".join(own.digest for own in objects)
    return hashlib.blake2b(content, digest_size=8).hexdigest()
