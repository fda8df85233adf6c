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
from PIL import Image
from tqdm import tqdm

from wsgcn.data.dataset import read_truth
from wsgcn.depth import orientation_of
from wsgcn.files import UNREADABLE, Skipped, load_cache, read_image, read_label, write_cache
from wsgcn.text import printable

Files = Sequence[tuple[str, str | None]]
"""Image paths, each with its mask's path or None."""

MAX_PROBLEMS_SHOWN = 50
"""Problems that are printed; the others are counted."""


class Inspection(NamedTuple):
    """The result of opening an image and its mask.

    image, mask: a sentence where it cannot be used; values: those that the mask contains, None without one; frames: how
    many pictures the image's file holds; orientation: EXIF's, 1 where the image is stored upright; grey: whether the
    three channels are equal everywhere.
    """

    image: str | None = None
    mask: str | None = None
    values: list[int] | None = None
    frames: int = 1
    orientation: int = 1
    grey: bool = False


def check_images(
    files: Files, mask_values: tuple[int, ...], cache_file: str | Path, threads: int = 1
) -> dict[str, Inspection]:
    """The inspection of each image and its mask, by the image's path: missing, broken, of wrong sizes or values.

    mask_values: as in `Dataset`. Images and masks without a problem are cached in `cache_file`; only those that have
    changed since are opened.
    """
    cache = load_cache(cache_file)
    fingerprints = {
        image: [_fingerprint(image), mask, mask and _fingerprint(mask), mask and list(mask_values)]
        for image, mask in files
    }
    looked_up = ((image, _known(cache.get(image), own)) for image, own in fingerprints.items())
    known = {image: found for image, found in looked_up if found}
    changed = [pair for pair in files if pair[0] not in known]
    inspections = dict(zip((image for image, _ in changed), _inspect_all(changed, mask_values, threads), strict=True))
    if changed:
        unchanged = {image: entry for image, entry in cache.items() if image not in inspections}
        good = {image: found for image, found in inspections.items() if not (found.image or found.mask)}
        entries = {image: {"mark": fingerprints[image], "found": own._asdict()} for image, own in good.items()}
        write_cache(cache_file, unchanged | entries)
    found = known | inspections
    return {image: found[image] for image, _ in files}


def _known(entry: object, fingerprint: list) -> Inspection | None:
    """The inspection that a cache's entry holds; None where it is of another file or of another version."""
    if not isinstance(entry, dict) or entry.get("mark") != fingerprint or not isinstance(entry.get("found"), dict):
        return None
    found = entry["found"]
    return Inspection(**found) if found.keys() == set(Inspection._fields) else None


def _inspect_all(files: Files, mask_values: tuple[int, ...], threads: int) -> list[Inspection]:
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        inspections = pool.map(lambda pair: inspect(pair[0], pair[1], mask_values), files)
        return list(tqdm(inspections, "checking images", len(files), leave=False, file=sys.stderr, disable=None))


def inspect(path: str, mask: str | None, mask_values: tuple[int, ...]) -> Inspection:
    """Open an image and its mask, if it has one."""
    try:
        pixels = read_image(path)
    except ValueError as error:
        return Inspection(image=str(error))
    height, width = pixels.shape[:2]
    with Image.open(path) as image:
        found = Inspection(orientation=orientation_of(image), grey=bool((pixels == pixels[..., :1]).all()))
        try:
            if image.format != "MPO":  # a phone's, whose further pictures are previews
                found = found._replace(frames=getattr(image, "n_frames", 1))
        except UNREADABLE:  # a broken frame after the first
            found = found._replace(frames=2)
    if mask is None:
        return found
    try:
        truth, values = read_truth(mask, mask_values), np.unique(read_label(mask)).tolist()
    except ValueError as error:
        return Inspection(mask=str(error))
    except Skipped as error:
        return Inspection(mask=f"mask {mask} is not a mask but a note why its image was skipped: {error}")
    if truth.shape != (height, width):
        turned = f", as EXIF turns it (orientation {found.orientation})" if found.orientation > 1 else ""
        size = f"{truth.shape[1]}×{truth.shape[0]}"
        return Inspection(mask=f"mask {mask} is {size}, but its image is {width}×{height}{turned}")
    return found._replace(values=values)


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
        write_cache(cache_file, cache | fingerprints)
    return list(problems)


def format_problems(problems: Sequence[str], remarks: Sequence[str] = ()) -> str:
    """One problem as it is, several as a list with their number, long lists cut after MAX_PROBLEMS_SHOWN.

    remarks: what else is worth knowing of the data, listed below the problems.
    """
    lines = [printable(problem) for problem in problems[:MAX_PROBLEMS_SHOWN]]
    if len(problems) > 1:
        lines.insert(0, f"{len(problems)} problems:")
    if len(problems) > MAX_PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - MAX_PROBLEMS_SHOWN} more")
    return "\n".join([*lines, *format_remarks(remarks)])


def format_remarks(remarks: Sequence[str]) -> list[str]:
    """A heading and a line per remark; nothing without any."""
    shown = [f"- {printable(remark)}" for remark in remarks[:MAX_PROBLEMS_SHOWN]]
    more = [f"- and {len(remarks) - MAX_PROBLEMS_SHOWN} more"] if len(remarks) > MAX_PROBLEMS_SHOWN else []
    return ["", "worth knowing:", *shown, *more] if shown else []


def _fingerprint(path: str) -> list[int]:
    """A file's size and modification time, which change with its content; empty where there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return []
    return [status.st_size, status.st_mtime_ns]
