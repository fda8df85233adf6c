"""A table of image tags: a CSV file with the columns `image` and `classes`."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wsgcn.data.lists import read_text
from wsgcn.data.names import INVISIBLE, Note, clean_name, id_problem, pattern_problem
from wsgcn.data.neighbours import beside
from wsgcn.files import why_no_file

COLUMNS = ("image", "classes")
GROUP = "group"
"""An optional column: images of one group show the same thing."""

FURTHER_CLASSES = re.compile(r"class(es)?[ _.-]?\d+")
"""Columns of tables that have one per class of an image."""

DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """An image's file, relative to the data set's folder, the cell that names its classes, its group or ""."""

    file: str
    cell: str
    group: str = ""


def read_table(path: Path, separator: str, note: Note) -> dict[str, Row] | None:
    """The rows of a table by image id, the file's name without its extension; None where there are none.

    Columns may have any order, and further ones but `group` are ignored. They are separated by commas, semicolons or
    tabs, as the header shows. Where that is what separates classes, too, fields beyond the header are further classes.
    Problems, with their line, go to `note`.
    """
    if why := why_no_file(path):
        note(f"dataset.root: {path} {why}; a folder data set needs it{beside(path) if why == 'does not exist' else ''}")
        return None
    text = read_text(path, note)
    if text is None:
        return None
    lines = io.StringIO(text, newline="")
    if text[:5].lower() in [f"sep={mark}" for mark in DELIMITERS]:  # Excel's hint
        lines.readline()
    num_before = text[: lines.tell()].count("\n")
    header, delimiter = _find_header(text[lines.tell() :])
    reader = csv.DictReader(lines, header, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: dict[str, Row] = {}
    num_rows, last = 0, 1
    try:
        next(reader.reader, None)  # the header
        if [header.count(name) for name in COLUMNS] != [1, 1]:
            note(
                f"{path}: the header must name the columns image and classes, separated by a comma;"
                f" it is {','.join(header) or 'empty'}"
            )
            return None
        if header.count(GROUP) > 1:
            note(f"{path}: the header names the column {GROUP} twice")
        if more := [name for name in header if FURTHER_CLASSES.fullmatch(name)]:
            note(f"{path}: the column {more[0]} is not read; write all classes of an image into the column classes")
        joins = separator if delimiter == separator and header[-1] == "classes" else None
        for fields in reader:
            last = reader.line_num
            extra = list(filter(clean_name, fields.pop(None, [])))
            if extra or any(map(clean_name, filter(None, fields.values()))):  # else Excel's empty line
                num_rows += 1
                line = f"line {num_before + reader.line_num}"
                for problem in _add_row(fields, extra, joins, line, rows, separator):
                    note(f"{path}: {problem}")
    except csv.Error as error:
        note(f"{path}: line {num_before + last + 1} cannot be read: {_explain(error)}")
        return None
    if not num_rows:
        note(f"{path}: lists no images")
    return rows or None


def _find_header(text: str) -> tuple[list[str], str]:
    """The columns, in lower case without blanks, and what separates them; a comma where nothing separates both."""
    line = text.splitlines()[0] if text else ""
    for delimiter in DELIMITERS:
        names = [clean_name(name).casefold() for name in next(csv.reader([line], delimiter=delimiter), [])]
        if set(COLUMNS) <= set(names):
            while not names[-1]:  # Excel's, of cells that only some lines have
                names.pop()
            return names, delimiter
    return next(csv.reader([line]), []), ","


def _explain(error: csv.Error) -> str:
    """What csv says, in words."""
    if "unexpected end of data" in str(error):
        return "a quotation mark is never closed"
    return "text follows a closing quotation mark" if "expected after" in str(error) else str(error)


def _add_row(
    fields: dict, extra: Sequence[str], joins: str | None, line: str, rows: dict[str, Row], separator: str
) -> Iterator[str]:
    """Add a line's image to `rows` unless its name is wrong or taken; yield a sentence for each problem.

    extra: fields beyond the header; joins: the separator by which they are further classes, None where they are wrong.
    """
    file = unicodedata.normalize("NFC", fields["image"] or "").translate(INVISIBLE).strip().replace("\\", "/")
    if not file:
        yield f"{line} has no image name"
        return
    if extra and not joins:
        yield f"{line} has more fields than the header; separate classes by {separator}"
    file = str(PurePosixPath(file))
    identifier = _identifier(file)
    if problem := _file_problem(file):
        yield f"{line}: image {file} {problem}"
    elif identifier in rows and rows[identifier].file == file:
        yield f"image {file} is listed twice"
    elif identifier in rows:
        yield f"images {rows[identifier].file} and {file} have the same name without extension, which must be unique"
    else:
        cell = (joins or "").join([fields["classes"] or "", *(extra if joins else [])])
        rows[identifier] = Row(file, cell, clean_name(fields.get(GROUP) or ""))


def _file_problem(file: str) -> str | None:
    """Why an image's file cannot be used, as the end of a sentence; None where it can."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return "is outside of the data set's folder"
    return id_problem(_identifier(file)) or pattern_problem(file)


def _identifier(file: str) -> str:
    """A file's name without its extension; a number is none: v1.2 is no file of type 2."""
    path = PurePosixPath(file)
    return path.name if path.suffix[1:].isdigit() else path.stem
