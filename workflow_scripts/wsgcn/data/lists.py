"""Lists of images: text files with one image per line."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from wsgcn.data.names import Note
from wsgcn.files import why_no_file


def read_list(path: Path, note: Note, ids: Mapping[str, str] | None = None) -> list[str]:
    """The image ids of a list, each once; empty where the list cannot be read.

    ids: {another name that a list may use: image id}. Problems go to `note`.
    """
    if why := why_no_file(path):
        note(f"image list {path} {why}")
        return []
    text = read_text(path, note)
    if text is None:
        return []
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        note(f"image list {path} is empty")
    counts = Counter((ids or {}).get(name, name) for name in names)
    for identifier in (identifier for identifier, count in counts.items() if count > 1):
        note(f"image list {path}: image {identifier} is listed twice")
    return list(counts)


def mask_path(path: Path) -> str | None:
    """The path of an image's mask; None where no such file exists. A file that is not a mask fails when opened."""
    return None if why_no_file(path) == "does not exist" else str(path)


def read_text(path: Path, note: Note) -> str | None:
    """The text of a UTF-8 file, with or without a byte order mark; None where it cannot be read."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        note(f"{path} cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        note(f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8")
        return None
