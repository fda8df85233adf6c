"""Lists of images: text files with one image per line."""

import codecs
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from wsgcn.data.names import Note
from wsgcn.data.neighbours import beside, is_image
from wsgcn.files import why_no_file

COLUMNS = re.compile(r"[\s,;]+")
"""What separates the columns of a list that has several."""

MARKS = {  # UTF-32's first, which begins like UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Byte order marks with the encoding that they name."""

ARCHIVES = {b"PK\x03\x04": "an Excel workbook or a ZIP archive", b"\xd0\xcf\x11\xe0": "an Excel workbook"}
"""How files begin that are no text."""


def read_list(path: Path, note: Note, known: Callable[[str], str | None]) -> list[str]:
    """The image ids of a list, each once; empty where the list cannot be read.

    known: the id of the image that a line names, None where there is none. A line may also name the image's file, with
    its folder. Lines of several columns, such as VOC's flags 1 and -1, and all other problems go to `note`; ids that
    are not known are returned as they stand.
    """
    if why := why_no_file(path):
        note(f"image list {path} {why}{beside(path) if why == 'does not exist' else ''}")
        return []
    text = read_text(path, note)
    if text is None:
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        note(f"image list {path} is empty")
    if columns := [line for line in lines if not known(line) and _has_columns(line, known)]:
        note(
            f"image list {path}: {len(columns)} of {len(lines)} lines have several columns, the first is "
            f"{columns[0]!r}; write the id of one image per line"
        )
        return []
    counts = Counter(known(line) or known(_stem(line)) or line for line in lines)
    for identifier in (identifier for identifier, count in counts.items() if count > 1):
        note(f"image list {path}: image {identifier} is listed twice")
    return list(counts)


def _stem(line: str) -> str:
    """The file's name in a line, without its folder and, if it is an image's, its extension."""
    name = PurePosixPath(line.replace("\\", "/")).name
    return PurePosixPath(name).stem if is_image(name) else name


def _has_columns(line: str, known: Callable[[str], str | None]) -> bool:
    """Whether a line is the name of an image and something else."""
    first, *others = COLUMNS.split(line)
    return bool(others) and bool(known(first) or known(_stem(first)))


def read_text(path: Path, note: Note) -> str | None:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with its byte order mark; None where it cannot be read."""
    try:
        raw = path.read_bytes()
        encoding = next((name for mark, name in MARKS.items() if raw.startswith(mark)), "utf-8-sig")
        text = raw.decode(encoding)
    except OSError as error:
        note(f"{path} cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        start = next((what for start, what in ARCHIVES.items() if raw.startswith(start)), None)
        line = raw.count(b"\n", 0, error.start) + 1
        wrong = (
            f"is {start}, no text"
            if start
            else f"is not {encoding.upper()[:6].rstrip('-')}: byte 0x{raw[error.start]:02x} in line {line}"
        )
        note(f"{path} {wrong}; save it as {'CSV in ' if start else ''}UTF-8")
        return None
    if text.count("\0") > len(text) // 4:
        note(f"{path} is UTF-16 without a byte order mark; save it as UTF-8")
        return None
    return text
