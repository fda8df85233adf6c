"""One look at every image and mask before hours are spent on them; all problems in one list."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from wsgcn.dataset import Dataset, DatasetError, read_truth
from wsgcn.files import IGNORE, Skipped, notes_in, read_image, read_label, write_json
from wsgcn.settings import in_short

Files = Sequence[tuple[str, str | None]]
"""Image paths, each with its mask's path or None."""


MOST = 50
"""So many problems are told; the others are counted."""

LONGEST_CLASS = 100
"""MLflow takes 250 characters a metric: a list's name, to which the schema gives as many, stage, iou and class."""


class Look(NamedTuple):
    """What a look at an image and its mask has found: a sentence for each that is wrong, and whether the mask holds 0
    and 255 only, as other tools write those of one class."""

    image: str | None = None
    mask: str | None = None
    black_and_white: bool = False


def check_once(
    files: Files, mask_values: tuple[int, ...], memory: str | Path, threads: int = 1, skips: bool = False
) -> list[str]:
    """Check what has changed since the last call that kept its notes in the file `memory`.

    Raises ValueError, one line a problem, where an image or a mask is missing, broken or of the wrong size. With
    `skips`, problems of images are returned instead, as the workflow goes on without them.
    """
    known = notes_in(memory)
    marks = {image: [_mark(image), mask, mask and _mark(mask), mask and list(mask_values)] for image, mask in files}
    notes = {image: known[image] for image, mark in marks.items() if known.get(image) in _notes(mark)}
    changed = [pair for pair in files if pair[0] not in notes]
    looks = dict(zip((image for image, _ in changed), _look(changed, mask_values, threads), strict=True))
    good = {image: look for image, look in looks.items() if not (look.image or look.mask)}
    notes |= {image: _notes(marks[image])[look.black_and_white] for image, look in good.items()}
    if changed:
        write_json(memory, {image: note for image, note in known.items() if image not in looks} | notes)
    masked = [image for image, mask in files if mask]
    problems = [look.mask for look in looks.values() if look.mask]
    if masked and all(image in notes and notes[image]["black and white"] for image in masked):
        problems.append(f"all {len(masked)} masks hold 0 and 255 only, and 255 is ignored: write classes as 1, 2, …")
    of_images = [look.image for look in looks.values() if look.image]
    if problems or (of_images and not skips):
        raise ValueError(told(of_images + problems))
    return of_images


def check_networks(backbones: Sequence[tuple[str, Mapping, int]], memory: str | Path) -> None:
    """Build what has changed of the backbones since the last call that kept its notes in the file `memory`.

    backbones: where the config names each, its `name` and `weights`, and the output stride. Raises ValueError, one line
    a problem, where timm knows no such network or the weights do not fit.
    """
    marks = {
        f"{backbone['name']} at {stride}, {backbone['weights']}": _mark(backbone["weights"])
        for _, backbone, stride in backbones
    }
    known = notes_in(memory)
    if marks.items() <= known.items():
        return
    try:
        from wsgcn.backbone import build_backbone  # which takes seconds
    except ImportError:  # Snakemake's own environment need not have what the jobs' has
        return

    problems = []
    for where, backbone, stride in backbones:
        try:
            with redirect_stdout(io.StringIO()):
                build_backbone(backbone["name"], backbone["weights"], stride)
        except ValueError as error:
            problems.append(f"{where}{error}" if where else str(error))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    write_json(memory, known | marks)


def _notes(mark: list) -> list[dict]:
    """What is kept of a good image, its mask not black and white alone, and so."""
    return [{"mark": mark, "black and white": so} for so in (False, True)]


def everything_wrong(error: DatasetError, experiments: Mapping[str, Mapping], threads: int, skips: bool = False) -> str:
    """The problems of a data set's lists together with those of what is left of it: images, masks and `beside_images`.

    With `skips`, those of images are left out, as the workflow would go on without them.
    """
    problems = list(error.problems)
    if error.data:
        problems += beside_images(experiments, error.data)
        files = [(image.path, image.mask) for image in error.data.images.values()]
        for look in _look(files, error.data.mask_values, threads):
            problems += [text for text in (None if skips else look.image, look.mask) if text]
    return told(problems)


def without_missing(
    data: Dataset, experiments: Mapping[str, Mapping], skips: bool = False
) -> tuple[Dataset, dict[str, str]]:
    """The data set without the images whose files do not exist, and why each is left out, {id: a sentence}.

    Raises DatasetError, for `everything_wrong` to tell, where something is missing that cannot be left out: an image
    without `skips`, of which Snakemake would name the first alone, or what `beside_images` finds.
    """
    images = data.images.items()
    missing = {i: f"image {im.path} does not exist" for i, im in images if not Path(im.path).is_file()}
    left = data.without(missing) if skips else data
    if beside_images(experiments, left) or (missing and not skips):
        raise DatasetError([], left)
    return left, missing


def beside_images(experiments: Mapping[str, Mapping], data: Dataset) -> list[str]:
    """A sentence for each class whose name is too long for MLflow, and for each missing file of weights or CAMs."""
    problems = {
        f"class {in_short(name)}: has more than {LONGEST_CLASS} characters, too many for the names of metrics": None
        for name in data.classes
        if len(name) > LONGEST_CLASS
    }
    for settings in experiments.values():
        segmentation = settings["segmentation"]["training"]["backbone"]
        for key, backbone in (("backbone", settings["backbone"]), ("segmentation.training.backbone", segmentation)):
            path = backbone["weights"]
            if path not in ("wheel", "hub", "random") and not Path(path).is_file():
                problems[f"{key}.weights: {path} is neither wheel, hub, random nor a file"] = None
        if folder := settings["cam"]["folder"]:
            paths = [f"{folder}/{image}.npy" for image in data.train | data.label]
            missing = [path for path in paths if not Path(path).is_file()]
            problems |= {f"cam.folder: {path} does not exist": None for path in missing}
    return list(problems)


def told(problems: Sequence[str]) -> str:
    """A list of problems under its heading, or one alone."""
    if len(problems) == 1:
        return problems[0]
    rest = [f"and {len(problems) - MOST} more"] if len(problems) > MOST else []
    return "\n".join([f"{len(problems)} problems:", *problems[:MOST], *rest])


def _look(files: Files, mask_values: tuple[int, ...], threads: int) -> list[Look]:
    with ThreadPoolExecutor(threads) as pool:  # decoding releases the interpreter's lock
        looks = pool.map(lambda pair: look_at(*pair, mask_values), files)
        return list(tqdm(looks, "checking images", len(files), leave=False, file=sys.stderr, disable=None))


def look_at(path: str, mask: str | None, mask_values: tuple[int, ...]) -> Look:
    """Open an image and its mask, if any."""
    try:
        height, width = read_image(path).shape[:2]
    except ValueError as error:
        return Look(image=str(error))
    if mask is None:
        return Look()
    try:
        truth, values = read_truth(mask, mask_values), set(np.unique(read_label(mask)))
    except ValueError as error:
        return Look(mask=str(error))
    except Skipped as error:
        return Look(mask=f"mask {mask} is not one, but a note why an image was skipped: {error}")
    if truth.shape != (height, width):
        return Look(mask=f"mask {mask} is {truth.shape[1]}×{truth.shape[0]}, its image {width}×{height}")
    return Look(black_and_white=values == {0, IGNORE})


def _mark(path: str) -> list[int]:
    """What changes when a file does: its size and time."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return []
    return [status.st_size, status.st_mtime_ns]
