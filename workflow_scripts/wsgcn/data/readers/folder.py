"""A folder of images with a labels.csv: columns `image` and `classes`, the classes of an image separated by `;`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.lists import mask_path, read_list
from wsgcn.data.names import Note, check_class_names, nearest_name, unknown_class
from wsgcn.data.readers.table import Row, read_table
from wsgcn.files import IGNORE

MAX_SUGGESTIONS = 20
"""Unknown images of a list that get a suggestion, which takes 0.1 s each among thousands of images."""


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The images that <root>/labels.csv lists, with masks/<id>.png where there is one; None without a readable table.

    settings: the `dataset` section of the config; `seed` and `results` are unused. A list is `all` or a file under the
    root with the id or the file of one image per line. The classes are those of the config, or if it has none those of
    the table in alphabetical order. Problems go to `note`.
    """
    root = Path(settings["root"])
    table = root / "labels.csv"
    rows = read_table(table, note)
    if rows is None:
        return None
    classes = tuple(settings["classes"]) or tuple(sorted({name for row in rows.values() for name in row.classes}))
    check_class_names(classes, str(table), note)
    if len(classes) >= IGNORE:
        note(f"{table}: {len(classes)} classes; a label PNG holds at most {IGNORE - 1}")
    _check_tags(rows, classes, table, note)
    images = {identifier: _image(root, identifier, row, classes) for identifier, row in rows.items()}
    lists = {name: _read_members(settings[name], root, rows, table, note) for name in LISTS}
    for identifier in lists["train"] | lists["label"]:  # images to evaluate need no tags
        if not rows[identifier].classes:
            name = "train" if identifier in lists["train"] else "label"
            note(f"{table}: image {rows[identifier].file} of list dataset.{name} has no class")
    members = {name: {identifier: images[identifier] for identifier in ids} for name, ids in lists.items()}
    return Dataset(classes, **members, mask_values=mask_values(classes), numbering=classes)


def _image(root: Path, identifier: str, row: Row, classes: Sequence[str]) -> Image:
    indices = {1 + classes.index(name) for name in row.classes if name in classes}
    mask = mask_path(root / "masks" / f"{identifier}.png")
    return Image(identifier, str(root / row.file), tuple(sorted(indices)), mask)


def _check_tags(rows: Mapping[str, Row], classes: Sequence[str], table: Path, note: Note) -> None:
    """Report each tag that is not among the classes, once for all of its images."""
    files_by_tag: dict[str, list[str]] = {}
    for row in rows.values():
        for name in set(row.classes) - set(classes):
            files_by_tag.setdefault(name, []).append(row.file)
    for name, files in sorted(files_by_tag.items()):
        where = f"image {files[0]}" if len(files) == 1 else f"{len(files)} images, the first {files[0]}"
        note(f"{table}: {where}: {unknown_class(name, classes)}")


def _read_members(list_name: str, root: Path, rows: Mapping[str, Row], table: Path, note: Note) -> dict[str, None]:
    """The ids of a list's images, in its order, without those that the table lacks, which are reported."""
    if list_name == "all":
        return dict.fromkeys(rows)
    ids_by_file = {row.file: identifier for identifier, row in rows.items()}
    names = read_list(root / list_name, note, ids_by_file)
    for index, name in enumerate(name for name in names if name not in rows):
        suggestion = nearest_name(name, rows) if index < MAX_SUGGESTIONS else ""
        note(f"{root / list_name}: image {name} is not listed in {table}{suggestion}")
    return dict.fromkeys(name for name in names if name in rows)
