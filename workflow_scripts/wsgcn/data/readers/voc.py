"""A PASCAL VOC devkit: JPEGImages, Annotations, SegmentationClass and ImageSets/Segmentation under one root."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image
from wsgcn.data.held_out import share_of
from wsgcn.data.lists import read_list
from wsgcn.data.names import Note, appearance, class_indices, clean_name, describe_ignored, id_problem, unknown_class
from wsgcn.data.negatives import LEFT_OUT, check_negative_tag, drop_unusable, is_negative
from wsgcn.data.neighbours import describe_others, match_masks
from wsgcn.data.readers.annotation import read_objects
from wsgcn.files import IGNORE
from wsgcn.text import format_count, format_examples

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """A devkit's images, with `dataset.classes` (all 20 if empty) as classes; None where the root is not a devkit.

    settings: the `dataset` section of the config; `seed` and `results` are unused. Images to train on or to label that
    show other objects alone are left out, unless `others` says that they are negatives; in masks, other classes are
    ignored (255). Problems go to `note`.
    """
    root = Path(settings["root"])
    negative, others = clean_name(settings.get("negative", "")), settings.get("others", LEFT_OUT)
    if not os.path.isdir(root / "JPEGImages"):
        inside = sorted(path.parent for depth in ("*", "*/*") for path in root.glob(f"{depth}/JPEGImages"))
        meant = f"; did you mean {inside[0]}?" if inside else ""
        note(f"dataset.root: {root} has no readable JPEGImages folder, so it is not a VOC devkit root{meant}")
        return None
    requested = settings["classes"] or VOC_CLASSES
    for name in requested:
        if name not in VOC_CLASSES:
            note(f"dataset.classes: {unknown_class(name, VOC_CLASSES)}")
    classes = tuple(name for name in requested if name in VOC_CLASSES)
    if share_of(settings["evaluate"]) is not None:
        note(f"dataset.evaluate: {settings['evaluate']} is drawn in data of kind folder alone; name a list")
        return None
    paths = {name: root / "ImageSets/Segmentation" / f"{settings[name]}.txt" for name in LISTS}
    find = _id_finder(root)
    ids = {name: read_list(path, note, find) for name, path in paths.items()}
    objects = _read_annotations(
        root / "Annotations", {i: paths[name] for name in reversed(LISTS) for i in ids[name]}, note
    )
    ignored = list(map(clean_name, settings.get("ignore", ())))
    for name in (name for name in ignored if name in VOC_CLASSES):
        note(f"dataset.ignore: {name} is a class of VOC; name the others in dataset.classes instead")
    _check_objects(objects, [*ignored, negative], root / "Annotations", note)
    if negative in VOC_CLASSES:
        note(f"dataset.negative: {negative} is a class of VOC; it must name what shows none of them")
    else:
        check_negative_tag(negative, objects, {"dataset.ignore": ignored}, str(root / "Annotations"), note)
    masks, strangers = match_masks(root / "SegmentationClass", objects, note)
    images = {}
    for i, names in objects.items():
        path, own = str(root / "JPEGImages" / f"{i}.jpg"), class_indices(names, classes)
        images[i] = Image(i, path, own, masks.get(i), negative=is_negative(names, own, negative, others))
    lists = {name: {i: images[i] for i in ids[name] if i in images} for name in LISTS}
    remarks = describe_ignored(ignored, objects)
    if not masks:  # else the others are of images in other lists
        remarks += describe_others(root / "SegmentationClass", masks, strangers)
    remarks += drop_unusable(lists, settings, classes, note)
    values = _mask_values(classes)
    return Dataset(
        classes,
        lists["train"],
        lists["label"],
        lists["evaluate"],
        mask_values=values,
        numbering=tuple(VOC_CLASSES),
        remarks=tuple(remarks),
    )


def _id_finder(root: Path) -> Callable[[str], str | None]:
    """Finds the id of an image or an annotation by its name in any composition of letters."""
    folders = [folder for folder in (root / "JPEGImages", root / "Annotations") if folder.is_dir()]
    ids = {os.path.splitext(file)[0] for folder in folders for file in os.listdir(folder)}
    cleaned = {clean_name(identifier): identifier for identifier in ids}
    return lambda name: name if name in ids else cleaned.get(clean_name(name))


def _read_annotations(folder: Path, lists: Mapping[str, Path], note: Note) -> dict[str, list[str]]:
    """The names of each image's objects, without the images whose name or annotation is wrong.

    lists: the file that lists an image, by its id.
    """
    found = {}
    for identifier, image_list in lists.items():
        if problem := id_problem(identifier):
            note(f"image list {image_list}: image {identifier} {problem}")
            continue
        try:
            found[identifier] = read_objects(folder / f"{identifier}.xml")
        except ValueError as error:
            note(str(error))
    return found


def _check_objects(objects: Mapping[str, Sequence[str]], ignored: Sequence[str], folder: Path, note: Note) -> None:
    """Report the names of objects that are neither classes of VOC nor left out by the config, each once."""
    by_appearance = {appearance(name): name for name in VOC_CLASSES}
    counts = Counter(name for names in objects.values() for name in names)
    for name in sorted(counts.keys() - set(VOC_CLASSES) - set(ignored)):
        images = [identifier for identifier, names in objects.items() if name in names]
        meant = by_appearance.get(appearance(name))
        problem = f"unknown class {name}; did you mean {meant}?" if meant else unknown_class(name, VOC_CLASSES)
        way_out = "" if meant else "; dataset.ignore leaves names out"
        note(f"{folder}: {format_count(counts[name], 'object')} in {format_examples(images)}: {problem}{way_out}")


def _mask_values(classes: Sequence[str]) -> tuple[int, ...]:
    """VOC's numbers of classes, 1..20, as indices into `classes`, or ignored; others but 0 and 255 are not allowed."""
    values = [0, *[IGNORE] * len(VOC_CLASSES), *[-1] * (IGNORE - 1 - len(VOC_CLASSES)), IGNORE]
    for index, name in enumerate(classes, start=1):
        values[1 + VOC_CLASSES.index(name)] = index
    return tuple(values)
