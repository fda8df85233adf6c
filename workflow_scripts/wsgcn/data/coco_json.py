"""The JSON of COCO's instances, entry by entry with where each stands in the file.

COCO's training annotations are 0.3 GB of numbers. As one tree of Python objects they take 2 GB; here one entry is in
memory at a time beside the text, and an entry can be read again later without the rest.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

Take = Callable[[object, int, int], None]
"""Takes an entry of an array, and the bytes of the file, from and to, that it stands in."""

BLANK = re.compile(r"[ \t\n\r]*")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Span(NamedTuple):
    """The bytes of a file that an entry stands in."""

    start: int
    end: int


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def scan_arrays(raw: bytes, takers: Mapping[str, Take]) -> set[str]:
    """Call a taker with each entry of its array at the top level of a JSON object; the names of the arrays found.

    raw: the file's bytes. Text in the entries is as in Latin-1, one character per byte, so `entry_at` must read those
    whose text matters. Raises ValueError, with the end of a sentence, where it is no such JSON.
    """
    text = raw.decode("latin-1")
    position = _blank(text, len(BYTE_ORDER_MARK) if raw.startswith(BYTE_ORDER_MARK) else 0)
    if not text.startswith("{", position):
        raise ValueError("is no JSON object, which begins with {")
    found = set()
    try:
        position = _blank(text, position + 1)
        while not text.startswith("}", position):
            name, position = DECODER.raw_decode(text, position)
            position = _blank(text, _expect(text, ":", position))
            if name in takers and text.startswith("[", position):
                found.add(name)
                position = _scan_array(text, position, takers[name])
            else:
                _, position = DECODER.raw_decode(text, position)
            position = _blank(text, position)
            if not text.startswith("}", position):
                position = _blank(text, _expect(text, ",", position))
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("is no JSON of COCO: it is nested too deeply") from None
    return found


def _scan_array(text: str, position: int, take: Take) -> int:
    """Take the entries of the array that begins at a position; the position after it."""
    position = _blank(text, position + 1)
    while not text.startswith("]", position):
        entry, end = DECODER.raw_decode(text, position)
        take(entry, position, end)
        position = _blank(text, end)
        if not text.startswith("]", position):
            position = _blank(text, _expect(text, ",", position))
    return position + 1


def _blank(text: str, position: int) -> int:
    """The position after white space."""
    return BLANK.match(text, position).end()  # type: ignore[union-attr]


def _expect(text: str, mark: str, position: int) -> int:
    """The position after a mark, before which white space may stand."""
    position = _blank(text, position)
    if not text.startswith(mark, position):
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, position)
    return position + 1


def entry_at(raw: bytes) -> object:
    """The entry that these bytes spell. Raises ValueError where they are none, or not UTF-8."""
    return json.loads(raw.decode("utf-8"))


def read_entries(path: str | Path, spans: list[Span]) -> list[object]:
    """The entries at some places of a file, in their order. Raises ValueError where there is none."""
    with open(path, "rb") as stream:
        return [entry_at(_bytes_at(stream, span)) for span in spans]


def _bytes_at(stream, span: Span) -> bytes:
    stream.seek(span.start)
    return stream.read(span.end - span.start)
