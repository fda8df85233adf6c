"""A PASCAL VOC devkit."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image
from wsgcn.data.lists import mask_path, read_list
from wsgcn.data.names import Note, problem_of_id, unknown_class
from wsgcn.files import IGNORE

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """A PASCAL VOC devkit root; classes outside the subset are ignored (255) in the masks."""
    root = Path(settings["root"])
    if not os.path.isdir(root / "JPEGImages"):
        return note(f"dataset.root: {root} holds no JPEGImages folder that can be read, so it is no VOC devkit root")
    asked = settings["classes"] or VOC_CLASSES
    for name in asked:
        if name not in VOC_CLASSES:
            note(f"dataset.classes: {unknown_class(name, VOC_CLASSES)}")
    classes = tuple(name for name in asked if name in VOC_CLASSES)
    found: dict[str, Image | None] = {}

    def image(identifier: str, where: str) -> Image | None:
        if identifier not in found:
            wrong = problem_of_id(identifier)
            names = None if wrong else _annotated_classes(root / "Annotations" / f"{identifier}.xml", note)
            if wrong:
                note(f"{where}: image {identifier} {wrong}")
            if names is None:
                found[identifier] = None
            else:
                found[identifier] = Image(
                    identifier,
                    str(root / "JPEGImages" / f"{identifier}.jpg"),
                    tuple(sorted(1 + classes.index(name) for name in names & set(classes))),
                    mask_path(root / "SegmentationClass" / f"{identifier}.png"),
                )
        return found[identifier]

    lists = {}
    for name in LISTS:
        path = root / "ImageSets/Segmentation" / f"{settings[name]}.txt"
        images = [image(identifier, f"image list {path}") for identifier in read_list(path, note)]
        lists[name] = {image.id: image for image in images if image}
        if name != "evaluate":  # an image with none of the classes teaches no class and needs no label
            shown = {i: image for i, image in lists[name].items() if image.classes}
            if lists[name] and not shown:
                note(f"dataset.{name}: no image of list {settings[name]} shows any of {', '.join(classes)}")
            lists[name] = shown
    values = [IGNORE] * 256
    values[0] = 0
    for index, name in enumerate(classes, start=1):
        values[1 + VOC_CLASSES.index(name)] = index
    return Dataset(classes, **lists, mask_values=tuple(values), numbering=tuple(VOC_CLASSES))


def _annotated_classes(path: Path, note: Note) -> set[str] | None:
    """The class names of a VOC annotation's objects."""
    try:
        return {element.text.strip() for element in ElementTree.parse(path).iterfind("object/name")}
    except FileNotFoundError:
        return note(f"annotation {path} does not exist")
    except (ElementTree.ParseError, AttributeError, ValueError, OSError) as error:
        return note(f"annotation {path} cannot be read: {error}")
