"""One look at every image and mask before hours are spent on them; all problems in one list."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wsgcn.dataset import DatasetError, read_truth
from wsgcn.files import IGNORE, read_image, read_json, read_label, write_json

Files = Sequence[tuple[str, str | None]]
"""Image paths, each with its mask's path or None."""


MOST = 50
"""So many problems are told; the others are counted."""


def check_once(
    files: Files, mask_values: tuple[int, ...], memory: str | Path, threads: int = 1, skips: bool = False
) -> list[str]:
    """Check what has changed since the last call that kept its notes in the file `memory`.

    Raises ValueError, one line a problem, where an image or a mask is missing, broken or of the wrong size. With
    `skips`, problems of images are returned instead, as the workflow goes on without them.
    """
    known = read_json(memory) if Path(memory).is_file() else {}
    marks = {image: [_mark(image), mask, mask and _mark(mask), mask and list(mask_values)] for image, mask in files}
    changed = [pair for pair in files if known.get(pair[0]) != marks[pair[0]]]
    if not changed:
        return []
    found = _look(changed, mask_values, threads)
    problems = [problem for each in found for problem in each]
    masks = [mask for _, mask in files if mask]
    if not problems and masks and len(changed) == len(files) and all(map(_holds_no_class, masks)):
        problems = [f"all {len(masks)} masks hold 0 and 255 only, and 255 is ignored: write classes as 1, 2, …"]
    bad = {pair[0] for pair, each in zip(changed, found, strict=True) if each}
    write_json(memory, {} if problems and not bad else {i: mark for i, mark in marks.items() if i not in bad})
    stopping = [problem for problem in problems if not (skips and problem.startswith("image "))]
    if stopping:
        raise ValueError(told(problems))
    return problems


def check_networks(backbones: Sequence[tuple[str, Mapping, int]], memory: str | Path) -> None:
    """Build what has changed of the backbones since the last call that kept its notes in the file `memory`.

    backbones: where the config names each, its `name` and `weights`, and the output stride. Raises ValueError, one line
    a problem, where timm knows no such network or the weights do not fit.
    """
    marks = {
        f"{where}: {backbone['name']} at {stride}": [backbone["weights"], _mark(backbone["weights"])]
        for where, backbone, stride in backbones
    }
    if Path(memory).is_file() and read_json(memory) == marks:
        return
    from wsgcn.backbone import build_backbone  # which takes seconds

    problems = []
    for where, backbone, stride in backbones:
        try:
            with redirect_stdout(io.StringIO()):
                build_backbone(backbone["name"], backbone["weights"], stride)
        except ValueError as error:
            problems.append(f"{where}{error}" if where else str(error))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    write_json(memory, marks)


def everything_wrong(error: DatasetError, threads: int) -> str:
    """The problems of a data set's lists together with those of the images that are left of it."""
    problems = list(error.problems)
    if error.data:
        files = [(image.path, image.mask) for image in error.data.images.values()]
        problems += [problem for each in _look(files, error.data.mask_values, threads) for problem in each]
    return told(problems)


def told(problems: Sequence[str]) -> str:
    """A list of problems under its heading, or one alone."""
    if len(problems) == 1:
        return problems[0]
    rest = [f"and {len(problems) - MOST} more"] if len(problems) > MOST else []
    return "\n".join([f"{len(problems)} problems in the data:", *problems[:MOST], *rest])


def _look(files: Files, mask_values: tuple[int, ...], threads: int) -> list[list[str]]:
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        looks = pool.map(lambda pair: problems_of(*pair, mask_values), files)
        return list(tqdm(looks, "checking images", len(files), leave=False, file=sys.stderr, disable=None))


def problems_of(path: str, mask: str | None, mask_values: tuple[int, ...]) -> list[str]:
    """Open an image and its mask, if any; a sentence for each that is missing, broken or of the wrong size."""
    try:
        height, width = read_image(path).shape[:2]
        if mask is None:
            return []
        truth = read_truth(mask, mask_values)
    except ValueError as error:
        return [str(error)]
    if truth.shape != (height, width):
        return [f"mask {mask} is {truth.shape[1]}×{truth.shape[0]}, its image {width}×{height}"]
    return []


def _holds_no_class(mask: str) -> bool:
    """Whether a mask is black and white, as other tools write those of one class."""
    return set(np.unique(read_label(mask))) == {0, IGNORE}


def _mark(path: str) -> list[int]:
    """What changes when a file does: its size and time."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return []
    return [status.st_size, status.st_mtime_ns]
