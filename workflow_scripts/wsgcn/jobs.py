"""What every job of the workflow does around its work: a log file, progress, seconds an image, one clear error."""

import csv
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from tqdm import tqdm

from wsgcn.files import whole_file


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send what the block prints to the log file at `path`.

    An exception's traceback goes there too; the terminal gets its message in one sentence, and the process ends.
    """
    with open(path, "w", buffering=1) as log:
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        except Exception as error:
            traceback.print_exc(file=log)
            sys.exit(f"{str(error) or type(error).__name__} (more in {path})")


def each_image(ids: Sequence[str], work: Callable[[int], None], seconds: str | Path) -> None:
    """Call `work` with each id's place in turn, show progress on stderr, write a table of seconds an image.

    Raises RuntimeError, naming the image, where `work` raises.
    """
    each_group(ids, 1, lambda places: work(places[0]), seconds)


def each_group(ids: Sequence[str], size: int, work: Callable[[Sequence[int]], None], seconds: str | Path) -> None:
    """The same with the places of `size` ids at a time; each gets its share of their seconds."""
    rows = []
    with tqdm(total=len(ids), file=sys.stderr, mininterval=5) as progress:
        for start in range(0, len(ids), size):
            images, started = ids[start : start + size], time.perf_counter()
            try:
                work(range(start, start + len(images)))
            except Exception as error:
                raise RuntimeError(f"image {', '.join(images)}: {str(error) or type(error).__name__}") from error
            share = (time.perf_counter() - started) / len(images)
            rows += [(image, f"{share:.4f}") for image in images]
            progress.update(len(images))
    with whole_file(seconds) as temporary, open(temporary, "w", newline="") as stream:
        csv.writer(stream).writerows([("image", "seconds"), *rows])
