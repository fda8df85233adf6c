"""`njit`: functions that numba compiles once, kept where every later process finds them.

numba notices when the file of a compiled function changes, but not when a function of another file that it calls does.
So the name of the folder of compiled code has a hash of the sources of all compiled functions.
"""

import functools
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba

PACKAGE = Path(__file__).parent
SOURCE_MARKERS = (b"numba", b"wsgcn.compiled")
"""Whatever is compiled, or is called by what is, has one of these in its source."""


def sources_hash(package: Path) -> str:
    """A hash of the files of `package` that are compiled: twelve hexadecimal digits."""
    texts = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    marked = (text for text in texts if any(marker in text for marker in SOURCE_MARKERS))
    return hashlib.sha256(b"".join(marked)).hexdigest()[:12]


def cache_folder(package: Path = PACKAGE, chosen: str = "") -> Path | None:
    """Make the folder for the compiled code: in the `chosen` one, or beside the sources, if these are writable.

    Else in `.snakemake` of the working directory, which all jobs of a workflow share, or among the user's caches.
    Returns None where nothing can be written; then each process compiles for itself.
    """
    name = f"numba-{sources_hash(package)}"
    for parent in _parents(package, chosen):
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=parent / name).close()
            return parent / name
        except OSError:
            continue
    return None


def _parents(package: Path, chosen: str) -> Iterator[Path]:
    if chosen:
        yield Path(chosen).absolute()
    yield package / "__pycache__"
    snakemake_folder = Path(".snakemake").absolute()
    if snakemake_folder.is_dir():
        yield snakemake_folder
    try:
        yield Path.home() / ".cache" / "wsgcn"
    except RuntimeError:  # a user without a home
        return


numba.config.CACHE_DIR = str(cache_folder(chosen=numba.config.CACHE_DIR) or "")  # at first NUMBA_CACHE_DIR

njit = functools.partial(numba.njit, cache=bool(numba.config.CACHE_DIR), nogil=True, error_model="numpy")
"""numba's decorator: `@njit` or, with more of its options, `@njit(fastmath={"contract"})`."""
