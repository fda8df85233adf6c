"""YOLO's segmentation labels: a text file per image, a line per polygon, corners as shares of the image's sides.

https://docs.ultralytics.com/datasets/segment. The archive is laid out as CVAT's "Ultralytics YOLO Segmentation 1.0":
unpacked beside `images/train/`, it is a data set to train on. Ultralytics needs `val`, takes data.yaml's own folder
where there is no `path`, and a list's own folder for what starts with `./`.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from wsgcn.data.coco_masks import fill
from wsgcn.data.names import Note
from wsgcn.exporting.contract import Canvas, Known, LabelledImage, Returned
from wsgcn.exporting.objects import objects_of
from wsgcn.exporting.outlines import Ring, outlines
from wsgcn.files import atomic_write

NUM_DECIMALS = 7
"""Of coordinates: a thousandth of a pixel at 10,000 pixels."""


def write_yolo(
    outputs: Sequence[str], images: Sequence[LabelledImage], classes: Sequence[str], params: Mapping
) -> None:
    """Write the archive. params: settings (objects: per what an object, polygon_tolerance [pixels]). Classes count from
    0. Parts of an object that touch at most at a corner have a line each."""
    settings = params["settings"]
    content = {"train": "train.txt", "val": "train.txt", "names": dict(enumerate(classes))}
    with (
        atomic_write(outputs[0]) as path,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr("data.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
        archive.writestr("train.txt", "".join(f"./images/train/{image.name}\n" for image in images))
        for image in images:
            size = image.read_label().shape
            lines = [
                _line(found.value - 1, ring, *size)
                for found in objects_of(image, settings["objects"])
                for ring in outlines(found.mask, settings["polygon_tolerance"], found.box)
            ]
            archive.writestr(f"labels/train/{image.id}.txt", "".join(lines))


def _line(index: int, ring: Ring, height: int, width: int) -> str:
    shares = (f"{value:.{NUM_DECIMALS}f}".rstrip("0").rstrip(".") for x, y in ring for value in (x / width, y / height))
    return f"{index} {' '.join(shares)}\n"


def read_yolo(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]] | None:
    """The labels of the images that have a text file below `labels`; an empty one says that all is background."""
    texts = [name for name in returned.files if name.endswith(".txt") and "labels" in PurePosixPath(name).parts[:-1]]
    lists = [name for name in returned.files if PurePosixPath(name).name in ("data.yaml", "data.yml", "classes.txt")]
    return _labels(lists, texts, returned, known, note) if texts else None


def _labels(
    lists: Sequence[str], texts: Sequence[str], returned: Returned, known: Known, note: Note
) -> Iterator[tuple[str, np.ndarray]]:
    names = next((found for name in lists if (found := _read_names(returned.files[name]))), None)
    if names is None:
        note(f"{returned.source}: needs the names of the classes, by number and in UTF-8, in data.yaml or classes.txt")
        return
    for name in texts:
        where = returned.where(name)
        image = known.find_image(name, where, note)
        if image is None:
            continue
        height, width = known.sizes[image]
        canvas = Canvas((height, width))
        try:
            lines = returned.files[name].read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            note(f"{where}: cannot be read: {error}")
            continue
        for number, line in enumerate(lines, start=1):
            own = f"{where}: line {number}"
            index, *shares = line.split() or [""]
            if not index:
                continue
            if len(shares) == 4:
                note(f"{own}: is a box, not a polygon")
                continue
            try:
                ring = [float(share) * side for share, side in zip(shares, (width, height) * len(shares), strict=False)]
                mask = fill([ring], height, width)
                value = known.find_class(names[int(index)], own, note)
            except (ValueError, KeyError) as error:
                note(f"{own}: {f'no class {error} is named' if isinstance(error, KeyError) else error}")
                continue
            if value is not None:
                canvas.paint(mask, value)
        yield image, canvas.label()


def _read_names(path: Path) -> dict[int, str] | None:
    """The names of the classes by their number, from data.yaml or classes.txt; None where it has none or is broken."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return None
    if path.suffix == ".txt":
        return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return {index: str(name) for index, name in enumerate(names)}
    try:
        return {int(index): str(name) for index, name in names.items()} if isinstance(names, dict) else None
    except (ValueError, TypeError):
        return None
