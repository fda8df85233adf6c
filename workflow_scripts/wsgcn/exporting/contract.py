"""What a format of other tools must do: write labels as files, and read what comes back of them.

Writer: `write(outputs, images, classes, params)` writes all its files from `LabelledImage`s, class names and the
parameters that its row names. Reader: `read(returned, known, note)` returns None where the files are of another format,
else yields (image id, label uint8 [H, W], 0..C and 255 where it says nothing). A reader reports each problem to `note`,
in a sentence that names file and entry, and goes on with the next one.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np

from wsgcn.data.names import Note, nearest_name, unknown_class
from wsgcn.files import IGNORE, read_label
from wsgcn.text import shorten

BACKGROUND = "background"
"""The name, in any letter case, of value 0 in files of other tools. No class has it."""

UPLOAD_PREFIX = re.compile("[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


@dataclass(frozen=True)
class LabelledImage:
    """An image with its label.

    id: its name without extension; file: its file, relative to the parent of the data set's folder; label: the label's
    PNG, of the image's own size; confidence: the PNG of its confidence, if there is one.
    """

    id: str
    file: str
    label: Path
    confidence: Path | None = None

    @property
    def name(self) -> str:
        """The name of its file."""
        return PurePosixPath(self.file).name

    def read_label(self) -> np.ndarray:
        """The label, uint8 [H, W]. Pixels that a label leaves open are background: no other tool knows of them."""
        label = read_label(self.label)
        return np.where(label == IGNORE, 0, label).astype(np.uint8)

    def read_confidence(self) -> np.ndarray | None:
        """The probability of each pixel's class, float [H, W] in 0..1; None where it is not known."""
        return read_label(self.confidence) / 255 if self.confidence else None


@dataclass(frozen=True)
class Returned:
    """What came back from another tool. source: as its user names it; files: paths by name, relative to the source."""

    source: str
    files: Mapping[str, Path]

    def where(self, name: str) -> str:
        """One of the files, for messages."""
        return f"{self.source}: {name}" if len(self.files) > 1 else self.source


@dataclass(frozen=True)
class Known:
    """The images and classes that a returned file may name.

    sizes: (height, width) [pixels] by id; tagged: the ids of images that show a class.
    """

    sizes: Mapping[str, tuple[int, int]]
    classes: Sequence[str]
    tagged: Collection[str] = ()
    _seen: dict[str, str] = field(default_factory=dict)

    def match(self, file: str) -> str | None:
        """The id of the image of a file's name, path or URL; None where it is unknown."""
        for own in (file, unquote(file)):  # a name may hold what a URL would mean otherwise: a%20b.png
            name, stem = _name_and_stem(own)
            for candidate in (name, stem, UPLOAD_PREFIX.sub("", stem, count=1)):
                if candidate in self.sizes:
                    return candidate
        return None

    def find_image(self, file: str, where: str, note: Note) -> str | None:
        """As `match`, with a note where the image is unknown; None, with a note, where it was found before."""
        found = self.match(file)
        if found is None:
            _, stem = _name_and_stem(unquote(file))
            note(f"{where}: no image to label is named {shorten(stem)}{nearest_name(stem, self.sizes)}")
        elif found in self._seen:
            note(f"{where}: image {found} comes back twice, first in {self._seen[found]}")
            found = None
        else:
            self._seen[found] = where
        return found

    def find_class(self, name: str, where: str, note: Note) -> int | None:
        """The value of a class, 0 for the background; None, with a note, where the name is unknown."""
        if name in self.classes:
            return 1 + list(self.classes).index(name)
        if name.lower() == BACKGROUND:
            return 0
        note(f"{where}: {unknown_class(shorten(name), self.classes)}")
        return None

    def check_size(self, image: str, shape: tuple[int, ...], where: str, note: Note) -> bool:
        """Whether a label [H, W] is as large as its image; a note where it is not."""
        if tuple(shape) == tuple(self.sizes[image]):
            return True
        (height, width), (own_height, own_width) = self.sizes[image], shape
        note(f"{where}: is {own_width}×{own_height}, but image {image} is {width}×{height}")
        return False


def _name_and_stem(file: str) -> tuple[str, str]:
    """The name in a path, and the same without extension."""
    name = PurePosixPath(file.replace("\\", "/")).name
    return name, PurePosixPath(name).stem


Reader = Callable[[Returned, Known, Note], Iterator[tuple[str, np.ndarray]] | None]


class Canvas:
    """A label that is painted from objects. Where objects of several classes lie, it says nothing: 255."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._label = np.zeros(shape, np.uint8)
        self._taken = np.zeros(shape, bool)
        self._contested = np.zeros(shape, bool)

    def paint(self, mask: np.ndarray, value: int) -> None:
        """Add an object, bool [H, W], of a class's value."""
        rows = np.flatnonzero(mask.any(1))
        if rows.size:  # the others cost time
            part = slice(rows[0], rows[-1] + 1)
            own = mask[part]
            self._contested[part] |= own & self._taken[part] & (self._label[part] != value)
            self._taken[part] |= own
            self._label[part][own] = value

    def label(self) -> np.ndarray:
        """The label, uint8 [H, W], of all objects so far."""
        return np.where(self._contested, IGNORE, self._label).astype(np.uint8)
