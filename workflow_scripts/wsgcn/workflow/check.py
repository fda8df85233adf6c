"""One look at every image, mask and network before hours are spent on them."""

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from wsgcn.data.dataset import read_truth
from wsgcn.files import IGNORE, Skipped, load_cache, read_image, read_label, write_json
from wsgcn.text import printable

Files = Sequence[tuple[str, str | None]]
"""Image paths, each with its mask's path or None."""


MAX_PROBLEMS_SHOWN = 50
"""So many problems are told; the others are counted."""


class Inspection(NamedTuple):
    """What a look at an image and its mask has found: a sentence for each that is wrong, and whether the mask holds 0
    and 255 only, as other tools write those of one class."""

    image: str | None = None
    mask: str | None = None
    black_and_white: bool = False


def check_images(
    files: Files, mask_values: tuple[int, ...], memory: str | Path, threads: int = 1
) -> tuple[dict[str, str], list[str]]:
    """What is wrong with images, {path: a sentence}, and with masks, a sentence each: missing, broken, wrong sizes.

    Only what has changed is opened since the last call that kept its notes in the file `memory`.
    """
    known = load_cache(memory)
    marks = {
        image: [_fingerprint(image), mask, mask and _fingerprint(mask), mask and list(mask_values)]
        for image, mask in files
    }
    notes = {image: known[image] for image, mark in marks.items() if known.get(image) in _notes(mark)}
    changed = [pair for pair in files if pair[0] not in notes]
    looks = dict(zip((image for image, _ in changed), _inspect_all(changed, mask_values, threads), strict=True))
    good = {image: look for image, look in looks.items() if not (look.image or look.mask)}
    notes |= {image: _notes(marks[image])[look.black_and_white] for image, look in good.items()}
    if changed:
        write_json(memory, {image: note for image, note in known.items() if image not in looks} | notes)
    masked = [image for image, mask in files if mask and (image in notes or image in good)]
    of_masks = [look.mask for look in looks.values() if look.mask]
    if masked and all(image in notes and notes[image]["black and white"] for image in masked):
        of_masks.append(f"all {len(masked)} masks hold 0 and 255 only, and 255 is ignored: write classes as 1, 2, …")
    return {image: look.image for image, look in looks.items() if look.image}, of_masks


def check_networks(backbones: Iterable[tuple[str, Mapping, int]], memory: str | Path) -> list[str]:
    """Build what has changed of the backbones since the last call that kept its notes in the file `memory`.

    backbones: where the config names each, its `name` and `weights`, and the output stride. Returns a sentence for each
    that timm does not know or whose weights do not fit.
    """
    backbones = list(backbones)
    marks = {
        f"{backbone['name']} at {stride}, {backbone['weights']}": _fingerprint(backbone["weights"])
        for _, backbone, stride in backbones
    }
    known = load_cache(memory)
    if marks.items() <= known.items():
        return []
    try:
        from wsgcn.networks.backbone import build_backbone  # which takes seconds
    except ImportError:  # Snakemake's own environment need not have what the jobs' has
        return []

    problems = {}
    for where, backbone, stride in backbones:
        try:
            with redirect_stdout(io.StringIO()):
                build_backbone(backbone["name"], backbone["weights"], stride)
        except ValueError as error:
            problems[f"{where}{error}"] = None
    if not problems:
        write_json(memory, known | marks)
    return list(problems)


def _notes(mark: list) -> list[dict]:
    """What is kept of a good image, its mask not black and white alone, and so."""
    return [{"mark": mark, "black and white": so} for so in (False, True)]


def format_problems(problems: Sequence[str]) -> str:
    """A list of problems under its heading, or one alone."""
    lines = [printable(problem) for problem in problems[:MAX_PROBLEMS_SHOWN]]
    if len(problems) == 1:
        return lines[0]
    rest = [f"and {len(problems) - MAX_PROBLEMS_SHOWN} more"] if len(problems) > MAX_PROBLEMS_SHOWN else []
    return "\n".join([f"{len(problems)} problems:", *lines, *rest])


def _inspect_all(files: Files, mask_values: tuple[int, ...], threads: int) -> list[Inspection]:
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        looks = pool.map(lambda pair: inspect(*pair, mask_values), files)
        return list(tqdm(looks, "checking images", len(files), leave=False, file=sys.stderr, disable=None))


def inspect(path: str, mask: str | None, mask_values: tuple[int, ...]) -> Inspection:
    """Open an image and its mask, if any."""
    try:
        height, width = read_image(path).shape[:2]
    except ValueError as error:
        return Inspection(image=str(error))
    if mask is None:
        return Inspection()
    try:
        truth, values = read_truth(mask, mask_values), set(np.unique(read_label(mask)))
    except ValueError as error:
        return Inspection(mask=str(error))
    except Skipped as error:
        return Inspection(mask=f"mask {mask} is not one, but a note why an image was skipped: {error}")
    if truth.shape != (height, width):
        return Inspection(mask=f"mask {mask} is {truth.shape[1]}×{truth.shape[0]}, its image {width}×{height}")
    return Inspection(black_and_white=values == {0, IGNORE})


def _fingerprint(path: str) -> list[int]:
    """What changes when a file does: its size and time."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return []
    return [status.st_size, status.st_mtime_ns]
