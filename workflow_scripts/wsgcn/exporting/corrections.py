"""Corrected labels from another tool become the data set's corrections.

A correction is `<image>.png`, a palette PNG of the image's own size, whose pixels are certain; 255 says nothing. An
image that comes back as it was exported is no correction, unless its user has checked it and says so. Nor is one that
has tags but no object: tools also list images that nobody opened.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsgcn.exporting.contract import Known, LabelledImage, Reader, Returned
from wsgcn.exporting.returned import open_returned
from wsgcn.files import IGNORE, Skipped, load_cache, read_label, write_json, write_label
from wsgcn.text import format_count

MAX_NAMED = 20
"""Images that a remark names."""


@dataclass
class Imported:
    """What became of what came back: problems, a sentence each; images that are written, that came back as exported,
    that have tags but no object, whose correction is there already, that say nothing at any pixel; pixels that objects
    of several classes claim."""

    problems: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    without_objects: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    open_pixels: int = 0

    def describe(self, folder: str) -> list[str]:
        """What was done, a sentence each."""
        rows = (
            (self.written, f"written to {folder}"),
            (self.unchanged, "came back as exported, so no correction; exchange.keep_unchanged: true makes them one"),
            (
                self.without_objects,
                "came back without any object despite tags, so no correction; "
                "exchange.keep_unchanged: true makes them one",
            ),
            (self.present, f"already in {folder}"),
            (self.empty, "say nothing at any pixel"),
        )
        lines = [f"{format_count(len(ids), 'image')} {what}: {_listed(ids)}" for ids, what in rows if ids]
        if self.open_pixels:
            lines.append(f"{format_count(self.open_pixels, 'pixel')} of 255 in these corrections keep their own label")
        return lines or ["no image came back"]


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return ", ".join(sorted(ids)[:MAX_NAMED]) + more


def fingerprint(label: np.ndarray) -> str:
    """Equal for equal labels, uint8 [H, W]."""
    return hashlib.sha256(repr(label.shape).encode() + np.ascontiguousarray(label, np.uint8).tobytes()).hexdigest()


def record_exported(
    path: str, file: str, images: Sequence[LabelledImage], classes: Sequence[str], read: Reader
) -> None:
    """Write what each image's label is like if it comes back unchanged, {image: [fingerprints]}.

    That is the label itself, and what the exported file gives back: polygons may have left out corners. Raises
    ValueError where the file cannot be read again.
    """
    problems: list[str] = []
    found, sizes = dict[str, set[str]](), dict[str, tuple[int, int]]()
    for image in images:
        label = image.read_label()
        found[image.id], sizes[image.id] = {fingerprint(label)}, (label.shape[0], label.shape[1])
    known = Known(sizes, classes)
    with open_returned(file) as returned:
        for name, back in read(returned, known, problems.append) or ():
            found[name].add(fingerprint(back))
    if problems:
        raise ValueError("\n".join(problems))
    write_json(path, {name: sorted(own) for name, own in found.items()})


def import_corrections(
    source: str,
    known: Known,
    folder: str,
    readers: Mapping[str, Reader],
    exported: Iterable[str],
    keep_unchanged: bool,
    overwrite: bool,
) -> Imported:
    """Write a correction for each image that came back changed, all of them or, where anything is wrong, none.

    readers: by their formats' titles, of which the first that knows the content is taken; exported: files of
    `record_exported`; keep_unchanged: whether unchanged images, and tagged ones without objects, count as checked;
    overwrite: whether a correction that is there and differs may be replaced. Raises ValueError where the source cannot
    be read or is of no known format.
    """
    result, records = Imported(), [load_cache(path) for path in exported]
    incoming = Path(folder) / f".incoming-{os.getpid()}"
    try:
        with open_returned(source) as returned:
            for image, label in _recognise(returned, known, readers, result.problems):
                sorted_to = _sort(image, label, known, Path(folder), records, keep_unchanged, overwrite, result)
                sorted_to.append(image)
                if sorted_to is result.written and not result.problems:
                    write_label(incoming / f"{image}.png", label)
                    result.open_pixels += int((label == IGNORE).sum())
        if not result.problems:
            for image in result.written:
                (incoming / f"{image}.png").replace(Path(folder) / f"{image}.png")
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        with suppress(OSError):  # it holds corrections, or was not there
            Path(folder).rmdir()
    return result


def _recognise(
    returned: Returned, known: Known, readers: Mapping[str, Reader], problems: list[str]
) -> Iterable[tuple[str, np.ndarray]]:
    """The labels by the first reader that knows the content."""
    for read in readers.values():
        if (found := read(returned, known, problems.append)) is not None:
            return found
    raise ValueError(f"{returned.source} is of no known format; known are {', '.join(readers)}")


def _sort(
    image: str,
    label: np.ndarray,
    known: Known,
    folder: Path,
    records: Sequence[Mapping],
    keep_unchanged: bool,
    overwrite: bool,
    result: Imported,
) -> list[str]:
    """The list of the result that an image belongs to; a problem where another correction is in the way."""
    if (label == IGNORE).all():
        return result.empty
    if not keep_unchanged and any(fingerprint(label) in record.get(image, ()) for record in records):
        return result.unchanged
    if not keep_unchanged and image in known.tagged and not label.any():
        return result.without_objects
    path = folder / f"{image}.png"
    if path.exists():
        try:
            present = read_label(path)
        except (ValueError, Skipped):
            present = None
        if present is not None and np.array_equal(present, label):
            return result.present
        if not overwrite:
            result.problems.append(f"{path} is another correction of {image}; exchange.overwrite: true replaces it")
    return result.written
