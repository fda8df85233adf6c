"""Lists of images: text files with an image per line."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from wsgcn.data.names import Note
from wsgcn.files import why_no_file


def read_list(path: Path, note: Note, ids: Mapping[str, str] | None = None) -> list[str]:
    """Image ids, one a line, each once; ids: those of other names that may stand for them."""
    if why := why_no_file(path):
        note(f"image list {path} {why}")
        return []
    text = read_text(path, note)
    if text is None:
        return []
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        note(f"image list {path} is empty")
    found = Counter((ids or {}).get(name, name) for name in names)
    for one in (one for one, count in found.items() if count > 1):
        note(f"image list {path} names {one} twice")
    return list(found)


def mask_path(path: Path) -> str | None:
    """A mask's path, None where there is none; what is no mask is found when it is opened."""
    return None if why_no_file(path) == "does not exist" else str(path)


def read_text(path: Path, note: Note) -> str | None:
    """A UTF-8 file, with or without the mark that some programs begin it with."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        return note(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return note(f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8")
