"""Data sets behind one interface: image ids, paths, image-level classes, optional masks, three lists.

Read each time the workflow is parsed, so it opens lists and annotations only, never an image; wsgcn.check opens them.
"""

import csv
import difflib
import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from wsgcn import demo
from wsgcn.files import IGNORE, read_label

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()

LISTS = ("train", "label", "evaluate")


@dataclass(frozen=True)
class Image:
    """One image: its id, its file, its image-level classes (indices from 1, ascending), its mask if it has one."""

    id: str
    path: str
    classes: tuple[int, ...]
    mask: str | None


@dataclass(frozen=True)
class Dataset:
    """Foreground class names (class k is `classes[k - 1]`), the three lists, and what a mask's values mean.

    `mask_values[v]` is the class of a mask's value v: 0, 1..C, or 255 where the value is ignored. `numbering` lists the
    classes as files of other methods count them, from 0: VOC's twenty where the data are a subset of VOC.
    """

    classes: tuple[str, ...]
    train: dict[str, Image]
    label: dict[str, Image]
    evaluate: dict[str, Image]
    mask_values: tuple[int, ...]
    numbering: tuple[str, ...]

    @cached_property
    def images(self) -> dict[str, Image]:
        """All images of the three lists, each once."""
        return self.train | self.label | self.evaluate


def read_dataset(settings: Mapping, seed: int, results: Path) -> Dataset:
    """The data set that the `dataset` section of the config describes.

    Raises ValueError with one sentence naming the file or class at fault.
    """
    readers = {"demo": _read_demo, "voc": _read_voc, "folder": _read_folder}
    return readers[settings["kind"]](settings, seed, results)


def _read_demo(settings: Mapping, seed: int, results: Path) -> Dataset:
    """The drawn demo, in VOC layout under results/: its classes are planned from the seed, not read back."""
    root = results / "voc"

    def images(name: str) -> dict[str, Image]:
        split = settings[name]
        if split not in ("train", "val"):
            raise ValueError(f"dataset.{name}: the demo's lists are train and val, not {split}")
        return {
            image: Image(
                image,
                str(root / "JPEGImages" / f"{image}.jpg"),
                tuple(1 + demo.CLASSES.index(name) for name in names),
                str(root / "SegmentationClass" / f"{image}.png"),
            )
            for image, names in demo.plan(split, settings[f"demo_{split}"], seed).items()
        }

    return Dataset(
        demo.CLASSES,
        **{name: images(name) for name in LISTS},
        mask_values=_mask_values(demo.CLASSES),
        numbering=demo.CLASSES,
    )


def _read_voc(settings: Mapping, seed: int, results: Path) -> Dataset:
    """A PASCAL VOC devkit root; classes outside the subset are ignored (255) in the masks."""
    root = Path(settings["root"])
    if not (root / "JPEGImages").is_dir():
        raise ValueError(f"dataset.root: {root} holds no JPEGImages folder, so it is no VOC devkit root")
    classes = tuple(settings["classes"]) or tuple(VOC_CLASSES)
    for name in classes:
        _known(name, VOC_CLASSES, "dataset.classes")

    def image(identifier: str) -> Image:
        names = _annotated_classes(root / "Annotations" / f"{identifier}.xml")
        mask = root / "SegmentationClass" / f"{identifier}.png"
        return Image(
            identifier,
            str(root / "JPEGImages" / f"{identifier}.jpg"),
            tuple(sorted(1 + classes.index(name) for name in names & set(classes))),
            str(mask) if mask.is_file() else None,
        )

    lists = {
        name: {i: image(i) for i in _read_list(root / "ImageSets/Segmentation" / f"{settings[name]}.txt")}
        for name in LISTS
    }
    for name in ("train", "label"):  # an image with none of the classes teaches no class and needs no label
        lists[name] = {i: image for i, image in lists[name].items() if image.classes}
        if not lists[name]:
            raise ValueError(f"dataset.{name}: no image of list {settings[name]} shows any of {', '.join(classes)}")
    values = [IGNORE] * 256
    values[0] = 0
    for index, name in enumerate(classes, start=1):
        values[1 + VOC_CLASSES.index(name)] = index
    return Dataset(classes, **lists, mask_values=tuple(values), numbering=tuple(VOC_CLASSES))


def _read_folder(settings: Mapping, seed: int, results: Path) -> Dataset:
    """A folder of images with labels.csv (`image,classes`, classes separated by `;`); masks/<id>.png optional."""
    root = Path(settings["root"])
    table = root / "labels.csv"
    if not table.is_file():
        raise ValueError(f"dataset.root: {table} does not exist; a folder data set needs it")
    rows: dict[str, tuple[str, tuple[str, ...]]] = {}
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is not UTF-8: {error}") from None
    with io.StringIO(text, newline="") as stream:
        reader = csv.DictReader(stream)
        if not {"image", "classes"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{table}: the header must name the columns image and classes")
        for row in reader:
            if not (row["image"] or "").strip():
                raise ValueError(f"{table}: line {reader.line_num} names no image")
            identifier = Path(row["image"]).stem
            names = tuple(name.strip() for name in (row["classes"] or "").split(";") if name.strip())
            if identifier in rows:
                raise ValueError(f"{table}: image {identifier} stands there twice")
            if not re.fullmatch(r"[^{}*?\\:\"<>|]+", identifier):
                raise ValueError(f'{table}: image name {row["image"]} holds one of {{ }} * ? \\ : " < > |')
            rows[identifier] = row["image"], names
    if not rows:
        raise ValueError(f"{table}: lists no image")
    classes = tuple(settings["classes"]) or tuple(sorted({name for _, names in rows.values() for name in names}))
    if len(classes) >= IGNORE:
        raise ValueError(f"{table}: {len(classes)} classes; a label PNG holds at most {IGNORE - 1}")
    for _, names in rows.values():
        for name in names:
            _known(name, classes, str(table))

    ids = {file: identifier for identifier, (file, _) in rows.items()}

    def image(identifier: str) -> Image:
        identifier = ids.get(identifier, identifier)  # a list may name files or ids
        if identifier not in rows:
            raise ValueError(f"{table}: does not list image {identifier}")
        file, names = rows[identifier]
        mask = root / "masks" / f"{identifier}.png"
        return Image(
            identifier,
            str(root / file),
            tuple(sorted({1 + classes.index(name) for name in names})),
            str(mask) if mask.is_file() else None,
        )

    lists = {
        name: {im.id: im for im in map(image, rows if settings[name] == "all" else _read_list(root / settings[name]))}
        for name in LISTS
    }
    for name in ("train", "label"):  # images to evaluate on need no tags
        for image in lists[name].values():
            if not image.classes:
                raise ValueError(f"{table}: image {rows[image.id][0]} of list dataset.{name} has no class")
    return Dataset(classes, **lists, mask_values=_mask_values(classes), numbering=classes)


def _annotated_classes(path: Path) -> set[str]:
    """The class names of a VOC annotation's objects."""
    try:
        return {element.text.strip() for element in ElementTree.parse(path).iterfind("object/name")}
    except FileNotFoundError:
        raise ValueError(f"annotation {path} does not exist") from None
    except (ElementTree.ParseError, AttributeError) as error:
        raise ValueError(f"annotation {path} cannot be read: {error}") from None


def _read_list(path: Path) -> list[str]:
    """Image ids, one a line."""
    if not path.is_file():
        raise ValueError(f"image list {path} does not exist")
    ids = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not ids:
        raise ValueError(f"image list {path} is empty")
    return ids


def _known(name: str, names: Iterable[str], where: str) -> None:
    """Raise ValueError, with the nearest known name, where `name` is unknown."""
    names = list(names)
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(names)}"
        raise ValueError(f"{where}: unknown class {name}{hint}")


def _mask_values(classes: Iterable[str]) -> tuple[int, ...]:
    """Masks that hold 0..C and 255 as they stand; other values are marked -1, an error in `check`."""
    count = len(tuple(classes))
    return tuple([*range(count + 1), *[-1] * (IGNORE - count - 1), IGNORE])


def read_truth(mask: str | Path, mask_values: tuple[int, ...]) -> np.ndarray:
    """A mask as classes of the data set, uint8 [H, W], 255 ignored. Raises ValueError on a value of no class."""
    values = np.asarray(mask_values)
    truth = values[read_label(mask)]
    if (truth < 0).any():
        wrong = sorted(set(np.unique(read_label(mask))) - set(np.flatnonzero(values >= 0)))
        raise ValueError(f"mask {mask} holds values of no class: {', '.join(map(str, wrong))}")
    return truth.astype(np.uint8)


def batches(ids: Iterable[str], size: int) -> dict[str, list[str]]:
    """Deal ids into batches of about `size` (at most 1.5 times it) by the bits of their names' hashes.

    A batch is a leaf of a binary trie over the hash bits that splits when it overflows, so another id changes
    the batch that it falls into and no other. Keys are the leaves' bits ("all" where one batch holds everything).
    """

    def split(members: list[str], bits: str) -> dict[str, list[str]]:
        if len(members) <= max(1, size * 3 // 2):
            return {bits or "all": members} if members else {}
        halves: dict[str, list[str]] = {"0": [], "1": []}
        for member in members:
            halves[hashed[member][len(bits)]].append(member)
        return split(halves["0"], bits + "0") | split(halves["1"], bits + "1")

    unique = sorted(set(ids))
    hashed = {i: f"{int(hashlib.sha256(i.encode()).hexdigest(), 16):0256b}" for i in unique}
    return split(unique, "")
