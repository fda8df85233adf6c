"""CVAT's "Segmentation mask 1.1": PASCAL VOC's folders of class and object masks, with their colours in labelmap.txt.

https://docs.cvat.ai/docs/dataset_management/formats/format-smask. CVAT refuses a mask with a colour or value that
labelmap.txt lacks, such as VOC's 255 (cvat-ai/cvat 7847), black without a `background` (8995), an object's colour that
is none of VOC's (5137), and an object in several pieces (7458).
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from wsgcn.data.names import Note
from wsgcn.exporting.contract import BACKGROUND, Known, LabelledImage, Returned
from wsgcn.exporting.objects import objects_of
from wsgcn.files import UNREADABLE, atomic_write, voc_palette
from wsgcn.text import format_count

LABEL_MAP, CLASS_FOLDER, OBJECT_FOLDER = "labelmap.txt", "SegmentationClass", "SegmentationObject"
MAX_OBJECTS = 254
"""Colours for the objects of an image; further ones, the smallest, share one per class."""


def write_cvat(
    outputs: Sequence[str], images: Sequence[LabelledImage], classes: Sequence[str], params: Mapping
) -> None:
    """Write the archive, and the labels that the task needs as CVAT's "raw" constructor takes them. No params."""
    colours = voc_palette()
    names = [BACKGROUND, *classes]
    lines = [f"{name}:{','.join(map(str, colours[value]))}::\n" for value, name in enumerate(names)]
    with (
        atomic_write(outputs[0]) as path,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(LABEL_MAP, "# label:color_rgb:parts:actions\n" + "".join(lines))
        archive.writestr("ImageSets/Segmentation/default.txt", "".join(f"{image.id}\n" for image in images))
        for image in images:
            archive.writestr(f"{CLASS_FOLDER}/{image.id}.png", _png(image.read_label()))
            archive.writestr(f"{OBJECT_FOLDER}/{image.id}.png", _png(_number_objects(image)))
    entries = [
        {"name": name, "color": "#" + bytes(colours[value]).hex(), "type": "mask", "attributes": []}
        for value, name in enumerate(classes, start=1)
    ]
    with atomic_write(outputs[1]) as path:
        path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _number_objects(image: LabelledImage) -> np.ndarray:
    """The numbers of an image's objects, uint8 [H, W] from 1, 0 where there is none."""
    found = sorted(objects_of(image, "component"), key=lambda own: -int(own.mask.sum()))
    values = sorted({own.value for own in found})
    alone = len(found) if len(found) <= MAX_OBJECTS else MAX_OBJECTS - len(values)
    numbers = np.zeros_like(image.read_label())
    for index, own in enumerate(found):
        numbers[own.box][own.mask] = 1 + (index if index < alone else alone + values.index(own.value))
    return numbers


def _png(values: np.ndarray) -> bytes:
    """A palette PNG in VOC's colours: read as indices or as colours, it says the same."""
    image = Image.fromarray(values).convert("P")
    image.putpalette(voc_palette().ravel().tolist())
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def read_cvat(returned: Returned, known: Known, note: Note) -> Iterator[tuple[str, np.ndarray]] | None:
    """The labels of the class masks, by their colours; of the object masks nothing is needed."""
    maps = [name for name in returned.files if Path(name).name == LABEL_MAP]
    masks = [name for name in returned.files if f"/{CLASS_FOLDER}/" in f"/{name}" and name.lower().endswith(".png")]
    return _labels(maps[0], masks, returned, known, note) if maps and masks else None


def _labels(
    label_map: str, masks: Sequence[str], returned: Returned, known: Known, note: Note
) -> Iterator[tuple[str, np.ndarray]]:
    try:
        names = _read_label_map(returned.files[label_map], returned.where(label_map), note)
    except (UnicodeDecodeError, OSError) as error:
        note(f"{returned.where(label_map)}: cannot be read: {error}")
        return
    for name in masks:
        where = returned.where(name)
        image = known.find_image(name, where, note)
        try:
            with Image.open(returned.files[name]) as opened:
                pixels = np.array(opened.convert("RGB")).astype(np.int32)
        except UNREADABLE as error:
            note(f"{where}: cannot be read: {error}")
            continue
        if image is None or not known.check_size(image, pixels.shape[:2], where, note):
            continue
        codes, indices, counts = np.unique(_code(pixels), return_inverse=True, return_counts=True)
        values = []
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            if code in names:
                values.append(known.find_class(names[code], where, note))
            else:
                colour = f"({code >> 16}, {code >> 8 & 255}, {code & 255})"
                note(f"{where}: {format_count(count, 'pixel')} of colour {colour}, which {LABEL_MAP} lacks")
                values.append(None)
        if None not in values:
            yield image, np.array(values, np.uint8)[indices].reshape(pixels.shape[:2])


def _code(colours: np.ndarray) -> np.ndarray:
    """A number for each colour [..., 3]."""
    return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def _read_label_map(path: Path, where: str, note: Note) -> dict[int, str]:
    """Names by the number of their colour."""
    names = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                name, colour, *_ = line.split(":")
                names[int(_code(np.array([int(part) for part in colour.split(",")])))] = name.strip()
            except (ValueError, IndexError):
                note(f"{where}: line {number} is not name:red,green,blue:parts:actions")
    return names
