"""COCO's instances: a JSON per list under annotations/, images in a folder per list, masks that are painted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wsgcn.data.coco_index import CocoError, CocoIndex, load_index
from wsgcn.data.coco_painting import image_id, index_folder, mask_path, numbered_categories
from wsgcn.data.dataset import LISTS, Dataset, Image, Painted
from wsgcn.data.held_out import share_of
from wsgcn.data.names import Note, check_class_names, clean_name, id_problem, unknown_class
from wsgcn.data.negatives import LEFT_OUT, check_negative_tag, drop_unusable, is_negative
from wsgcn.data.neighbours import beside
from wsgcn.files import IGNORE, why_no_file
from wsgcn.text import format_count, format_examples

PREFIX = "instances_"


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The images that the JSONs of the three lists name; None where one cannot be read.

    settings: the `dataset` section of the config; `seed` is unused. A list is a split, such as train2014, of
    <root>/annotations/instances_train2014.json, or a .json below the root. Classes are the categories of all JSONs in
    the order of their ids, or those of the config; an image without any object is a negative, and crowds count as
    objects. Masks are painted by jobs into `results`, numbered by all categories; those that are no class are ignored
    (255). The index of each JSON is cached there, too. Problems go to `note`.
    """
    root = Path(settings["root"])
    if share_of(settings["evaluate"]) is not None:
        note(f"dataset.evaluate: {settings['evaluate']} is drawn in data of kind folder alone; name a list")
        return None
    paths = {name: _json_path(root, settings[name]) for name in LISTS}
    indices = _load_indices(paths, index_folder(results), note)
    if len(indices) < len(set(paths.values())):
        return None
    try:
        values = numbered_categories({str(path): index.categories for path, index in indices.items()})
    except CocoError as error:
        note(str(error))
        return None
    ignored, negative = list(map(clean_name, settings.get("ignore", ()))), clean_name(settings.get("negative", ""))
    classes = _choose_classes(settings, list(values), {*ignored, negative}, ", ".join(map(str, indices)), note)
    names_by_path = {path: _names_of_images(index) for path, index in indices.items()}
    files = {path: _image_files(root, path, index.files) for path, index in indices.items()}
    tags = {files[path][k]: own for path, names in names_by_path.items() for k, own in enumerate(names)}
    for name in (name for name in ignored if name not in values):
        note(f"dataset.ignore: {unknown_class(name, list(values))}")
    choices = {"dataset.classes": settings["classes"], "dataset.ignore": ignored}
    check_negative_tag(negative, tags, choices, ", ".join(map(str, indices)), note)
    numbers, others = {name: k for k, name in enumerate(classes, start=1)}, settings.get("others", LEFT_OUT)
    by_path: dict[Path, dict[str, Image]] = {}
    for path, index in indices.items():
        by_path[path] = {}
        for k, names in enumerate(names_by_path[path]):
            file = files[path][k]
            identifier = image_id(file)
            if problem := id_problem(identifier):
                note(f"{path}: image {index.files[k]} {problem}")
                continue
            if identifier in by_path[path]:
                first = by_path[path][identifier].path
                note(f"{path}: images {first} and {file} have the same name without extension, which must be unique")
                continue
            own = tuple(sorted(numbers[name] for name in names if name in numbers))
            height, width = index.sizes[k].tolist()
            painted = None if index.without_mask[k] else Painted(height, width, index.digests[k])
            mask = mask_path(results, identifier) if painted else None
            is_known = is_negative(names, own, negative, others)
            by_path[path][identifier] = Image(identifier, file, own, mask, negative=is_known, painted=painted)
    _check_shared(by_path, note)
    lists = {name: dict(by_path[path]) for name, path in paths.items()}
    remarks = _object_remarks(indices)
    remarks += drop_unusable(lists, settings, classes, note)
    mask_values = [0, *(0 if name == negative else numbers.get(name, IGNORE) for name in values)]
    mask_values += [*[-1] * (IGNORE - len(mask_values)), IGNORE]
    return Dataset(
        classes,
        lists["train"],
        lists["label"],
        lists["evaluate"],
        mask_values=tuple(mask_values),
        numbering=tuple(values),
        remarks=tuple(remarks),
        sources=tuple(map(str, indices)),
    )


def _json_path(root: Path, name: str) -> Path:
    return root / name if name.endswith(".json") else root / "annotations" / f"{PREFIX}{name}.json"


def _load_indices(paths: Mapping[str, Path], folder: Path, note: Note) -> dict[Path, CocoIndex]:
    """The index of each JSON, without those that cannot be used, which are reported."""
    indices = {}
    for path, name in {path: name for name, path in reversed(list(paths.items()))}.items():
        if why := why_no_file(path):
            note(f"dataset.{name}: {path} {why}{beside(path) if why == 'does not exist' else ''}")
            continue
        try:
            indices[path] = load_index(path, folder)
        except CocoError as error:
            for problem in str(error).splitlines():
                note(problem)
    return {path: indices[path] for path in dict.fromkeys(paths.values()) if path in indices}


def _choose_classes(
    settings: Mapping, names: Sequence[str], without: set[str], where: str, note: Note
) -> tuple[str, ...]:
    """The classes of the config that are categories, or all categories but those that stand for no class."""
    requested = list(map(clean_name, settings["classes"]))
    for name in (name for name in requested if name not in names):
        note(f"dataset.classes: {unknown_class(name, names)}")
    for name in (name for name in requested if name in map(clean_name, settings.get("ignore", ()))):
        note(f"dataset.ignore: {name} is also in dataset.classes")
    classes = tuple(name for name in requested or names if name in names and (requested or name not in without))
    check_class_names(classes, where, note)
    return classes


def _names_of_images(index: CocoIndex) -> list[tuple[str, ...]]:
    """The names of each image's categories, by their ids."""
    return [tuple(index.categories[category] for category in shown) for shown in index.shown]


def _image_files(root: Path, path: Path, files: Sequence[str]) -> list[str]:
    """The path of each image: in the folder of its split, or the first other one that holds the first image."""
    split = path.stem.removeprefix(PREFIX)
    folders = [root / split, root / "images" / split, path.parent, root / "images", root]
    folders += sorted(folder for parent in (root, root / "images") for folder in parent.glob("*/"))
    holding = [folder for folder in folders if not why_no_file(folder / files[0])]
    folder = next((folder for folder in (*holding, *filter(Path.is_dir, folders))), folders[0])
    return [f"{folder}/{file}" for file in files]


def _check_shared(by_path: Mapping[Path, Mapping[str, Image]], note: Note) -> None:
    """Report names that two JSONs give to different files, and images of which they say different things."""
    first: dict[str, tuple[Path, Image]] = {}
    different: dict[tuple[Path, Path], list[str]] = {}
    for path, images in by_path.items():
        for identifier, image in images.items():
            other, known = first.setdefault(identifier, (path, image))
            if known != image:
                different.setdefault((other, path), []).append(identifier)
    for (one, other), shared in different.items():
        note(f"{one} and {other} have different files or objects for {format_examples(shared)}")


def _object_remarks(indices: Mapping[Path, CocoIndex]) -> list[str]:
    """Objects that have no mask, and rings that cover nothing."""
    lacking = {path: int(index.without_mask.sum()) for path, index in indices.items()}
    return [
        *(
            f"{path}: {format_count(count, 'image')} with objects without segmentation, so without a mask"
            for path, count in lacking.items()
            if count
        ),
        *(
            f"{path}: {format_count(index.thin, 'polygon')} of fewer than three corners, which cover no pixel"
            for path, index in indices.items()
            if index.thin
        ),
    ]
