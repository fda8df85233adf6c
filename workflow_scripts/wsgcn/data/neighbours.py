"""Files under names that differ from those asked for in ways that a table or another system loses.

Letter case, the composition of letters (NFC and NFD), blanks, zero widths, and the extension of an image.
"""

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from wsgcn.data.names import Note, clean_name
from wsgcn.text import format_count

IMAGE_EXTENSIONS = frozenset(".jpg .jpeg .jpe .jfif .png .tif .tiff .bmp .webp .gif .jp2 .ppm .pgm .pnm .avif".split())
"""In lower case: what is looked for in place of an image's extension."""

MIN_SIMILARITY = 0.8
"""How similar a name must be to be suggested (`difflib`): short names differ by one letter and mean something else."""

MAX_SUGGESTIONS = 20
"""Missing files, or unknown images of a list, that get a similar name: each takes 0.1 s among thousands."""

MAX_SEARCHED_FILES = 50_000
"""Files below a folder that are searched for one of the same name."""


class Folder(NamedTuple):
    """The names in a folder, those of equal key, and those of images of equal key without their extension."""

    files: list[str]
    by_key: dict[str, list[str]]
    images_by_stem: dict[str, list[str]]


class Finder:
    """Finds files by their names; it reads each folder once. taken: paths that are not suggested for others."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        self._taken = {_key(os.path.basename(path)) for path in taken}
        self._folder = lru_cache(maxsize=None)(_index_folder)
        self._below = lru_cache(maxsize=None)(_list_tree)
        self._num_suggested = 0

    def find(self, path: str) -> str | None:
        """The one file of this name, or else of this name with another extension of images; None without one."""
        parent, name = os.path.split(path)
        folder = self._folder(parent)
        stem = os.path.splitext(name)[0] if is_image(name) else name
        found = folder.by_key.get(_key(name)) or folder.images_by_stem.get(_key(stem), [])
        other = os.path.join(parent, found[0]) if len(found) == 1 else ""
        return other if os.path.exists(other) else None  # a link may lead nowhere

    def where_else(self, path: str, root: str) -> str:
        """The end of a sentence that names the file that may be meant, in this folder or below `root`, if any.

        Similar names are looked for MAX_SUGGESTIONS times, since each takes time among many files.
        """
        parent, name = os.path.split(path)
        folder = self._folder(parent)
        if len(same := folder.images_by_stem.get(_key(os.path.splitext(name)[0]), [])) > 1:
            return f"; beside it are {' and '.join(same)}"
        if found := self._below(root).get(_key(name)):
            return f"; did you mean {found}?"
        self._num_suggested += 1
        if self._num_suggested > MAX_SUGGESTIONS:
            return ""
        return _suggest(name, [file for file in folder.files if _key(file) not in self._taken])


def _index_folder(folder: str) -> Folder:
    index = Folder(_list_folder(folder), {}, {})
    for file in index.files:
        index.by_key.setdefault(_key(file), []).append(file)
        if is_image(file):
            index.images_by_stem.setdefault(_key(os.path.splitext(file)[0]), []).append(file)
    return index


def is_image(file: str) -> bool:
    """Whether a file has the extension of an image."""
    return os.path.splitext(file)[1].lower() in IMAGE_EXTENSIONS


def beside(path: str | Path) -> str:
    """The end of a sentence that suggests a similar name in the folder of `path`; empty where none is similar."""
    return _suggest(os.path.basename(path), _list_folder(os.path.dirname(path)))


def _suggest(name: str, files: Collection[str]) -> str:
    by_key = {_key(file): file for file in files if file != name}
    similar = difflib.get_close_matches(_key(name), by_key, n=1, cutoff=MIN_SIMILARITY)
    return f"; did you mean {by_key[similar[0]]}?" if similar else ""


def match_masks(folder: Path, ids: Collection[str], note: Note) -> tuple[dict[str, str], list[str]]:
    """The masks in a folder, {image id: path}, and whatever else is in it, which belongs to none of `ids`.

    A mask is named `<id>.png`, in any letter case and composition. A folder that is there but cannot be read goes to
    `note`.
    """
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        note(f"the masks in {folder} cannot be read")
    masks, others = {}, []
    files = _list_folder(str(folder))
    exact = {f"{identifier}.png": identifier for identifier in ids}
    similar = {_key(name): identifier for name, identifier in exact.items()}
    for file in sorted(files, key=lambda file: file not in exact):
        identifier = exact.get(file) or similar.get(_key(file))
        if identifier and identifier not in masks:
            masks[identifier] = str(folder / file)
        elif not file.startswith("."):
            others.append(file)
    return masks, others


def describe_others(folder: Path, masks: Mapping[str, str], others: Sequence[str]) -> list[str]:
    """A sentence about files that are the mask of no image, or about a folder that may be meant for that of the masks.

    masks, others: what `match_masks` returns.
    """
    if others:
        example = next(iter(masks), "<image>")
        return [
            f"{folder}: {format_count(len(others), 'file')} of no image that is listed, the first {others[0]}; "
            f"a mask is named {example}.png after its image"
        ]
    return [f"{folder} does not exist{hint}" for hint in [beside(folder)] if hint and not folder.exists()]


def _list_folder(folder: str) -> list[str]:
    """The names in a folder, sorted; none where it cannot be read."""
    try:
        return sorted(os.listdir(folder or "."))
    except (OSError, ValueError):  # ValueError: a character that no path can contain
        return []


def _list_tree(root: str) -> dict[str, str]:
    """Files at any depth below a folder, by their key; without masks, which have the names of images."""
    tree: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in ("masks", "SegmentationClass", "SegmentationObject")]
        tree |= {_key(file): os.path.join(folder, file) for file in files}
        if len(tree) > MAX_SEARCHED_FILES:
            break
    return tree


def _key(name: str) -> str:
    return clean_name(name).casefold()
