"""`njit`: functions that numba compiles once, kept where every later process finds them.

numba notices when the file of a compiled function changes, but not when a function of another file that it calls does.
So the folder of the compiled code bears a hash of the sources of all compiled functions.
"""

import functools
import hashlib
import tempfile
from pathlib import Path

import numba

PACKAGE = Path(__file__).parent
MARKS = (b"numba", b"wsgcn.compiled")
"""Whatever is compiled, or is called by what is, has one of these in its source."""


def sources_hash(package: Path) -> str:
    """A hash of the files of `package` that are compiled: twelve hexadecimal digits."""
    texts = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    return hashlib.sha256(b"".join(text for text in texts if any(mark in text for mark in MARKS))).hexdigest()[:12]


def cache_folder(package: Path = PACKAGE) -> Path | None:
    """The folder for the compiled code, made if need be: beside the sources, where these can be written.

    Else in `.snakemake` of the working directory, which all jobs of a workflow share, or among the user's caches, or
    among the machine's temporary files. None where nothing can be written; then each process compiles for itself.
    """
    name = f"numba-{sources_hash(package)}"
    notes = Path(".snakemake").absolute()
    for home in (package / "__pycache__", *([notes] if notes.is_dir() else []), *_personal_folders()):
        try:
            (home / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=home / name).close()
            return home / name
        except OSError:
            continue
    return None


def _personal_folders() -> list[Path]:
    try:
        return [Path.home() / ".cache" / "wsgcn", Path(tempfile.gettempdir()) / "wsgcn"]
    except (RuntimeError, OSError):  # a user without a home
        return []


if not numba.config.CACHE_DIR:  # NUMBA_CACHE_DIR goes first
    numba.config.CACHE_DIR = str(cache_folder() or "")

njit = functools.partial(
    numba.njit,
    cache=bool(numba.config.CACHE_DIR),
    nogil=True,
    error_model="numpy",
)
"""numba's decorator: `@njit` or, with more of its options, `@njit(fastmath={"contract"})`."""
