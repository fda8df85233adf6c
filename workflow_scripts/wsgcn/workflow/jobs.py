"""What every job of the workflow does around its work: a log file, progress, seconds an image, one clear error."""

import csv
import errno
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wsgcn.data.augment import resize_label
from wsgcn.files import Skipped, atomic_write, write_skipped
from wsgcn.workflow.provenance import environment_tags
from wsgcn.workflow.recovery import keep_lock

MACHINE_ERRORS = {
    getattr(errno, name) for name in "ENOSPC EDQUOT EFBIG EIO EROFS EMFILE ENFILE ENOMEM ESTALE ETIMEDOUT".split()
}
"""Numbers of errors that are no image's fault."""

TORCH_MACHINE_ERROR = re.compile(
    "out of memory|not enough memory|allocate memory|bad_alloc|find an engine|"
    "cuda (driver |unknown )?error|no cuda gpus|nvidia driver|cu(blas|dnn|solver|sparse)|nvrtc|nvml",
    re.IGNORECASE,
)
"""What PyTorch says, in a RuntimeError, where memory is short or a GPU has failed."""


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send what the block prints to the log file at `path`.

    An exception's traceback goes there too; the terminal gets its message in one sentence, and the process ends. While
    it lives no other workflow thinks that this one is dead, should Snakemake alone have been killed.
    """
    keep_lock(Path(".snakemake"))
    with open(path, "w", buffering=1) as log:
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        except Exception as error:
            with suppress(OSError):  # where the disk is full, the sentence below is what is left
                traceback.print_exc(file=log)
            sys.exit(f"{str(error) or type(error).__name__} (more in {path})")


def each_image(job, work: Callable[[int], None]) -> None:
    """Call `work` with the place of each of a job's images in turn, show progress, write a table of seconds an image.

    job: Snakemake's, with `params.ids`, `output.seconds` and lists of one file an image as its other outputs. Where
    `work` raises, `on_error` of the config decides: `stop` ends the job with a RuntimeError that names the image;
    `skip` writes files that say why and goes on. What an earlier stage skipped stays skipped in either case.
    """
    each_group(job, 1, lambda places: work(places[0]))


def each_group(job, size: int, work: Callable[[Sequence[int]], None]) -> None:
    """The same with the places of `size` images at a time; each gets its share of their seconds, skipped ones none.

    Beside the seconds stands what each image was computed by, `provenance.environment_tags`.
    """
    ids, rows, made_by = job.params.ids, [], environment_tags(job)
    with tqdm(total=len(ids), file=sys.stderr, mininterval=5) as progress:
        for start in range(0, len(ids), size):
            places, started = range(start, min(start + size, len(ids))), time.perf_counter()
            done = _work_or_skip(job, places, work)
            seconds = time.perf_counter() - started
            rows += [(ids[k], f"{seconds / len(done):.4f}", *made_by.values()) for k in done]
            progress.update(len(places))
    with atomic_write(job.output.seconds) as temporary, open(temporary, "w", newline="") as stream:
        csv.writer(stream).writerows([("image", "seconds", *made_by), *rows])


def _work_or_skip(job, places: Sequence[int], work: Callable[[Sequence[int]], None]) -> list[int]:
    """The places of the images that were not skipped."""
    try:
        work(places)
        return list(places)
    except Exception as error:
        images = [job.params.ids[k] for k in places]
        skipped = isinstance(error, Skipped)
        if not skipped and (job.config["on_error"] != "skip" or _is_machine_error(error)):
            raise RuntimeError(f"image {', '.join(images)}: {str(error) or type(error).__name__}") from error
        if len(places) == 1:
            why = str(error) if skipped else f"{job.rule}: {str(error) or type(error).__name__}"
            print(f"skipped image {images[0]} ({why})")
            for name, files in job.output.items():
                if name != "seconds":
                    write_skipped(files[places[0]], why)
            return []
    # one of them is bad: the others are not to suffer
    return [done for place in places for done in _work_or_skip(job, [place], work)]


def _is_machine_error(error: Exception) -> bool:
    """Whether an error is the machine's, so that the next image would meet it too."""
    while error:
        if getattr(error, "errno", None) in MACHINE_ERRORS or isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError) and TORCH_MACHINE_ERROR.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def at_full_size(label: np.ndarray, params: Mapping, place: int) -> np.ndarray:
    """A label, uint8 [h, w], of the image at a place of a job: [H, W] where a smaller copy stands for the image.

    params: the job's; `full_sizes`, if there, has (H, W) or None for each of its images.
    """
    sizes = params.get("full_sizes")
    return resize_label(label, *sizes[place]) if sizes and sizes[place] else label
