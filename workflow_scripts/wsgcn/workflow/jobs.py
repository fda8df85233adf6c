"""What every job does around its work: a log file, progress, seconds per image, errors as one sentence."""

import csv
import errno
import os
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
from wsgcn.labels.crf import use_backend
from wsgcn.workflow.provenance import environment_tags
from wsgcn.workflow.recovery import keep_lock

MACHINE_ERRORS = {
    getattr(errno, name) for name in "ENOSPC EDQUOT EFBIG EIO EROFS EMFILE ENFILE ENOMEM ESTALE ETIMEDOUT".split()
}
"""Error numbers that no image causes."""

TORCH_MACHINE_ERROR = re.compile(
    "out of memory|not enough memory|allocate memory|bad_alloc|find an engine|"
    "cuda (driver |unknown )?error|no cuda gpus|nvidia driver|cu(blas|dnn|solver|sparse)|nvrtc|nvml",
    re.IGNORECASE,
)
"""What PyTorch's RuntimeErrors say where memory is short or a GPU has failed."""


UNLOGGED_VARIABLE = "WSGCN_UNLOGGED"
"""The environment variable that leaves a job's output and errors to whoever runs its script."""


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send the block's output to the log file at `path`.

    An exception ends the process: its traceback goes to the log, its message in one sentence to the terminal. The
    process shares the workflow's lock: as long as it runs, no other workflow takes this one for crashed, even if
    Snakemake was killed. In a debugger (`workflow.debug`) all of this would be in the way.
    """
    if os.environ.get(UNLOGGED_VARIABLE):
        yield
        return
    keep_lock(Path(".snakemake"))
    with open(path, "w", buffering=1) as log:
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        except Exception as error:
            with suppress(OSError):  # a full disk: the sentence below still appears
                traceback.print_exc(file=log)
            sys.exit(f"{str(error) or type(error).__name__} (more in {path})")


def each_image(job, work: Callable[[int], None], indices: Sequence[int] | None = None) -> None:
    """Call `work` with the index of each of a job's images in turn, show progress, write a table of seconds per image.

    job: Snakemake's, with `params.ids`, `output.seconds` and, as its other outputs, lists of one file per image. Where
    `work` raises, `on_error` of the config decides: `stop` ends the job with a RuntimeError that names the image;
    `skip` writes files that say why and continues. What an earlier stage skipped stays skipped in either case.
    indices: of the only images that have output files, where others have none, see `labelled_indices`.
    """
    each_group(job, 1, lambda indices: work(indices[0]), indices)


def labelled_indices(ids: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The indices of the images, among `ids`, that a job's output files `labels`, <id>.png, belong to.

    A batch keeps its images as parameters and inputs when one is corrected, so that it need not run again; the
    corrected label is a file of another job alone.
    """
    index = {image: k for k, image in enumerate(ids)}
    return [index[Path(path).stem] for path in labels]


def each_group(job, size: int, work: Callable[[Sequence[int]], None], indices: Sequence[int] | None = None) -> None:
    """As `each_image`, with the indices of `size` images at a time, which share their seconds equally.

    The table has a row per image that was not skipped, with the tags of `provenance.environment_tags`.
    """
    ids, rows, tags = job.params.ids, [], environment_tags(job)
    todo = range(len(ids)) if indices is None else indices
    outputs = {k: position for position, k in enumerate(todo)}
    if "crf" in tags:
        use_backend(tags["crf"])
    with tqdm(total=len(todo), file=sys.stderr, mininterval=5) as progress:
        for start in range(0, len(todo), size):
            group, started = todo[start : start + size], time.perf_counter()
            done = _work_or_skip(job, group, work, outputs)
            seconds = time.perf_counter() - started
            rows += [(ids[k], f"{seconds / len(done):.4f}", *tags.values()) for k in done]
            progress.update(len(group))
    with atomic_write(job.output.seconds) as temporary, open(temporary, "w", newline="") as stream:
        csv.writer(stream).writerows([("image", "seconds", *tags), *rows])


def _work_or_skip(
    job, indices: Sequence[int], work: Callable[[Sequence[int]], None], outputs: Mapping[int, int]
) -> list[int]:
    """Call `work` with some images, one by one if it fails with all; the indices of those that were not skipped.

    outputs: the position of each image's files among the output files.
    """
    try:
        work(indices)
        return list(indices)
    except Exception as error:
        images = [job.params.ids[k] for k in indices]
        skipped = isinstance(error, Skipped)
        if not skipped and (job.config["on_error"] != "skip" or _is_machine_error(error)):
            raise RuntimeError(f"image {', '.join(images)}: {str(error) or type(error).__name__}") from error
        if len(indices) == 1:
            why = str(error) if skipped else f"{job.rule}: {str(error) or type(error).__name__}"
            print(f"skipped image {images[0]} ({why})")
            for name, files in job.output.items():
                if name != "seconds":
                    write_skipped(files[outputs[indices[0]]], why)
            return []
    # one of them failed: the others must not be skipped with it
    return [done for index in indices for done in _work_or_skip(job, [index], work, outputs)]


def _is_machine_error(error: BaseException | None) -> bool:
    """Whether the machine caused an error, so that the next image would fail too."""
    while error:
        if getattr(error, "errno", None) in MACHINE_ERRORS or isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError) and TORCH_MACHINE_ERROR.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def at_full_size(label: np.ndarray, params: Mapping, index: int) -> np.ndarray:
    """Resize the label, uint8 [h, w], of a job's image to the image's full size [H, W] if a smaller copy was processed.

    So is its confidence: nearest as well, so that each pixel keeps the probability of the very class that it has.

    params: the job's; `full_sizes`, if present, is (H, W) or None for each of its images.
    """
    sizes = params.get("full_sizes")
    return resize_label(label, *sizes[index]) if sizes and sizes[index] else label
