"""Check every image, mask and backbone before the first job."""

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
"""Problems that are printed; the others are counted."""


class Inspection(NamedTuple):
    """The result of opening an image and its mask.

    image, mask: a sentence where it cannot be used; black_and_white: whether the mask contains only 0 and 255, as other
    tools write masks of one class.
    """

    image: str | None = None
    mask: str | None = None
    black_and_white: bool = False


def check_images(
    files: Files, mask_values: tuple[int, ...], cache_file: str | Path, threads: int = 1
) -> tuple[dict[str, str], list[str]]:
    """Problems of images, {path: a sentence}, and of masks, one sentence each: missing, broken, wrong sizes or values.

    mask_values: as in `Dataset`. Images and masks without a problem are cached in `cache_file`; only those that have
    changed since are opened.
    """
    cache = load_cache(cache_file)
    fingerprints = {
        image: [_fingerprint(image), mask, mask and _fingerprint(mask), mask and list(mask_values)]
        for image, mask in files
    }
    entries = {image: cache[image] for image, own in fingerprints.items() if cache.get(image) in _entries(own)}
    changed = [pair for pair in files if pair[0] not in entries]
    inspections = dict(zip((image for image, _ in changed), _inspect_all(changed, mask_values, threads), strict=True))
    good = {image: found for image, found in inspections.items() if not (found.image or found.mask)}
    entries |= {image: _entries(fingerprints[image])[found.black_and_white] for image, found in good.items()}
    if changed:
        unchanged = {image: entry for image, entry in cache.items() if image not in inspections}
        write_json(cache_file, unchanged | entries)
    mask_problems = [found.mask for found in inspections.values() if found.mask]
    masked = [image for image, mask in files if mask and image in entries]
    if masked and all(entries[image]["black and white"] for image in masked):
        mask_problems.append(
            f"all {len(masked)} masks contain only 0 and 255, and 255 is ignored; write classes as 1, 2, …"
        )
    return {image: found.image for image, found in inspections.items() if found.image}, mask_problems


def _entries(fingerprint: list) -> list[dict]:
    """The two cache entries that a good image can have, by whether its mask is black and white."""
    return [{"mark": fingerprint, "black and white": black_and_white} for black_and_white in (False, True)]


def _inspect_all(files: Files, mask_values: tuple[int, ...], threads: int) -> list[Inspection]:
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        inspections = pool.map(lambda pair: inspect(pair[0], pair[1], mask_values), files)
        return list(tqdm(inspections, "checking images", len(files), leave=False, file=sys.stderr, disable=None))


def inspect(path: str, mask: str | None, mask_values: tuple[int, ...]) -> Inspection:
    """Open an image and its mask, if it has one."""
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
        return Inspection(mask=f"mask {mask} is not a mask but a note why its image was skipped: {error}")
    if truth.shape != (height, width):
        return Inspection(mask=f"mask {mask} is {truth.shape[1]}×{truth.shape[0]}, but its image is {width}×{height}")
    return Inspection(black_and_white=values == {0, IGNORE})


def check_networks(backbones: Iterable[tuple[str, Mapping, int]], cache_file: str | Path) -> list[str]:
    """Build the backbones, unless `cache_file` says that they were built before; a sentence for each that fails.

    backbones: per backbone the prefix of its keys in messages, its section of the config (`name` and `weights`) and its
    output stride. Returns nothing where PyTorch is not installed, as in an environment for Snakemake alone.
    """
    backbones = list(backbones)
    fingerprints = {
        f"{backbone['name']} at {stride}, {backbone['weights']}": _fingerprint(backbone["weights"])
        for _, backbone, stride in backbones
    }
    cache = load_cache(cache_file)
    if fingerprints.items() <= cache.items():
        return []
    try:
        from wsgcn.networks.backbone import build_backbone  # imports torch, which takes seconds
    except ImportError:
        return []

    problems: dict[str, None] = {}
    for prefix, backbone, stride in backbones:
        try:
            with redirect_stdout(io.StringIO()):
                build_backbone(backbone["name"], backbone["weights"], stride)
        except ValueError as error:
            problems[f"{prefix}{error}"] = None
    if not problems:
        write_json(cache_file, cache | fingerprints)
    return list(problems)


def format_problems(problems: Sequence[str]) -> str:
    """One problem as it is, several as a list with their number, long lists cut after MAX_PROBLEMS_SHOWN."""
    lines = [printable(problem) for problem in problems[:MAX_PROBLEMS_SHOWN]]
    if len(problems) == 1:
        return lines[0]
    more = [f"and {len(problems) - MAX_PROBLEMS_SHOWN} more"] if len(problems) > MAX_PROBLEMS_SHOWN else []
    return "\n".join([f"{len(problems)} problems:", *lines, *more])


def _fingerprint(path: str) -> list[int]:
    """A file's size and modification time, which change with its content; empty where there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return []
    return [status.st_size, status.st_mtime_ns]
