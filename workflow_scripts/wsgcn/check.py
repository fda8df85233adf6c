"""One look at every image and mask before hours are spent on them; all problems in one list."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wsgcn.dataset import read_truth
from wsgcn.files import IGNORE, read_image, read_json, read_label, write_json

Files = Sequence[tuple[str, str | None]]
"""Image paths, each with its mask's path or None."""


def check_once(files: Files, mask_values: tuple[int, ...], memory: str | Path, threads: int = 1) -> None:
    """Check what has changed since the last call that kept its notes in the file `memory`.

    Raises ValueError, one line a problem, where an image or a mask is missing, broken or of the wrong size.
    """
    known = read_json(memory) if Path(memory).is_file() else {}
    marks = {image: [_mark(image), mask, mask and _mark(mask), mask and list(mask_values)] for image, mask in files}
    changed = [pair for pair in files if known.get(pair[0]) != marks[pair[0]]]
    if not changed:
        return
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        looks = pool.map(lambda pair: problems_of(*pair, mask_values), changed)
        found = list(tqdm(looks, "checking images", len(changed), leave=False, file=sys.stderr, disable=None))
    problems = [problem for each in found for problem in each]
    masks = [mask for _, mask in files if mask]
    if not problems and masks and len(changed) == len(files) and all(map(_holds_no_class, masks)):
        problems = [f"all {len(masks)} masks hold 0 and 255 only, and 255 is ignored: write classes as 1, 2, …"]
    bad = {pair[0] for pair, each in zip(changed, found, strict=True) if each}
    write_json(memory, {} if problems and not bad else {i: mark for i, mark in marks.items() if i not in bad})
    if problems:
        raise ValueError("\n".join([f"{len(problems)} problem(s) in the data:", *problems]))


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
