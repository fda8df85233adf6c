"""A PASCAL VOC devkit: JPEGImages, Annotations, SegmentationClass and ImageSets/Segmentation under one root."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image
from wsgcn.data.lists import mask_path, read_list
from wsgcn.data.names import Note, id_problem, unknown_class
from wsgcn.files import IGNORE

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """A devkit's images, with `dataset.classes` (all 20 if empty) as classes; None where the root is not a devkit.

    settings: the `dataset` section of the config; `seed` and `results` are unused. Images to train on or to label that
    show none of the classes are left out; in masks, other classes are ignored (255). Problems go to `note`.
    """
    root = Path(settings["root"])
    if not os.path.isdir(root / "JPEGImages"):
        note(f"dataset.root: {root} has no readable JPEGImages folder, so it is not a VOC devkit root")
        return None
    requested = settings["classes"] or VOC_CLASSES
    for name in requested:
        if name not in VOC_CLASSES:
            note(f"dataset.classes: {unknown_class(name, VOC_CLASSES)}")
    classes = tuple(name for name in requested if name in VOC_CLASSES)
    found: dict[str, Image | None] = {}
    lists = {}
    for name in LISTS:
        path = root / "ImageSets/Segmentation" / f"{settings[name]}.txt"
        for identifier in (ids := read_list(path, note)):
            if identifier not in found:  # a problem of an image in several lists is reported once
                found[identifier] = _read_image(root, identifier, classes, path, note)
        lists[name] = {identifier: image for identifier in ids if (image := found[identifier])}
        if name != "evaluate":  # an image without the classes teaches none of them and needs no label
            tagged = {identifier: image for identifier, image in lists[name].items() if image.classes}
            if lists[name] and not tagged:
                note(f"dataset.{name}: no image of list {settings[name]} shows any of {', '.join(classes)}")
            lists[name] = tagged
    return Dataset(classes, **lists, mask_values=_mask_values(classes), numbering=tuple(VOC_CLASSES))


def _read_image(root: Path, identifier: str, classes: Sequence[str], image_list: Path, note: Note) -> Image | None:
    """An image of a list; None where its name or its annotation is wrong."""
    if problem := id_problem(identifier):
        note(f"image list {image_list}: image {identifier} {problem}")
        return None
    names = _annotated_classes(root / "Annotations" / f"{identifier}.xml", note)
    if names is None:
        return None
    return Image(
        identifier,
        str(root / "JPEGImages" / f"{identifier}.jpg"),
        tuple(sorted(1 + classes.index(name) for name in names & set(classes))),
        mask_path(root / "SegmentationClass" / f"{identifier}.png"),
    )


def _annotated_classes(path: Path, note: Note) -> set[str] | None:
    """The class names of the objects in an annotation; None where it cannot be read."""
    try:
        objects = ElementTree.parse(path).iterfind("object/name")
        return {element.text.strip() for element in objects}  # type: ignore[union-attr]  # no text: an error as well
    except FileNotFoundError:
        note(f"annotation {path} does not exist")
        return None
    except (ElementTree.ParseError, AttributeError, ValueError, OSError) as error:
        note(f"annotation {path} cannot be read: {error}")
        return None


def _mask_values(classes: Sequence[str]) -> tuple[int, ...]:
    """VOC's numbers of classes, 1..20, as indices into `classes`; all other values but 0 are ignored."""
    values = [IGNORE] * 256
    values[0] = 0
    for index, name in enumerate(classes, start=1):
        values[1 + VOC_CLASSES.index(name)] = index
    return tuple(values)
