"""A table of image tags: a CSV file with the columns `image` and `classes`, classes separated by `;`."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wsgcn.data.lists import read_text
from wsgcn.data.names import Note, id_problem, pattern_problem
from wsgcn.files import why_no_file


class Row(NamedTuple):
    """An image's file, relative to the data set's folder, and the names of its classes."""

    file: str
    classes: tuple[str, ...]


def read_table(path: Path, note: Note) -> dict[str, Row] | None:
    """The rows of a table by image id, the file's name without its extension; None where there are none.

    Columns may have any order, and further ones are ignored. Problems, with their line, go to `note`.
    """
    if why := why_no_file(path):
        note(f"dataset.root: {path} {why}; a folder data set needs it")
        return None
    text = read_text(path, note)
    if text is None:
        return None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: dict[str, Row] = {}
    num_lines = 0
    try:
        header = reader.fieldnames or ()
        if [header.count(name) for name in ("image", "classes")] != [1, 1]:
            note(
                f"{path}: the header must name the columns image and classes, separated by a comma;"
                f" it is {','.join(header) or 'empty'}"
            )
            return None
        for fields in reader:
            num_lines += 1
            for problem in _add_row(fields, f"line {reader.line_num}", rows):
                note(f"{path}: {problem}")
    except csv.Error as error:
        note(f"{path}: line {reader.line_num} cannot be read: {error}")
        return None
    if not num_lines:
        note(f"{path}: lists no images")
    return rows or None


def _add_row(fields: dict, line: str, rows: dict[str, Row]) -> Iterator[str]:
    """Add a line's image to `rows` unless its name is wrong or taken; yield a sentence for each problem."""
    file = (fields["image"] or "").strip()
    if not file:
        yield f"{line} has no image name"
        return
    if None in fields:
        yield f"{line} has more fields than the header; separate classes by ;"
    identifier = PurePosixPath(file).stem
    if problem := _file_problem(file):
        yield f"{line}: image {file} {problem}"
    elif identifier in rows and rows[identifier].file == file:
        yield f"image {file} is listed twice"
    elif identifier in rows:
        yield f"images {rows[identifier].file} and {file} have the same name without extension, which must be unique"
    else:
        names = [name.strip() for name in (fields["classes"] or "").split(";")]
        rows[identifier] = Row(file, tuple(name for name in names if name))


def _file_problem(file: str) -> str | None:
    """Why an image's file cannot be used, as the end of a sentence; None where it can."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return "is outside of the data set's folder"
    return id_problem(path.stem) or pattern_problem(file)
