"""The file, ZIP archive or folder that came back from another tool."""

import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wsgcn.exporting.contract import Returned

MAX_FILES = 100_000
MAX_BYTES = 4 * 10**9
"""Of an unpacked archive: more would fill the disk, and is no set of labels."""


@contextmanager
def open_returned(source: str | Path) -> Iterator[Returned]:
    """The files of a source; an archive is unpacked into a temporary folder, which goes at the end of the block.

    Raises ValueError, naming the source, where it does not exist, or is a broken archive or one of more than
    `MAX_FILES` or `MAX_BYTES`.
    """
    path = Path(source)
    if path.is_dir():
        yield Returned(str(source), _files_below(path))
    elif not path.exists():
        raise ValueError(f"{source} does not exist")
    elif zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory() as folder:
            try:
                with zipfile.ZipFile(path) as archive:
                    _check_size(source, archive.infolist())
                    archive.extractall(folder)
            except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError) as error:
                raise ValueError(f"{source} cannot be unpacked: {error}") from None
            yield Returned(str(source), _files_below(Path(folder)))
    else:
        yield Returned(str(source), {path.name: path})


def _check_size(source: str | Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ValueError where an archive is too large; zipfile unpacks no more of a file than its entry states."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or total > MAX_BYTES:
        raise ValueError(
            f"{source} unpacks to {len(entries):,} files of {total / 1e9:.1f} GB; "
            f"at most {MAX_FILES:,} files and {MAX_BYTES / 1e9:g} GB are taken"
        )


def _files_below(folder: Path) -> dict[str, Path]:
    """All files below a folder by their path from there, without hidden ones and what macOS adds to archives."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in paths.items() if not name.startswith((".", "__MACOSX/")) and "/." not in name}


def read_json_files(returned: Returned) -> dict[str, object]:
    """The content of each .json file, by its name; without those that are none."""
    found = {}
    for name, path in returned.files.items():
        if path.suffix.lower() == ".json":
            try:
                found[name] = json.loads(path.read_text(encoding="utf-8-sig"))
            except (ValueError, OSError):
                continue
    return found
