"""Three kinds of data sets in one form: the drawn demo, a PASCAL VOC devkit, a folder of images with labels.csv.

Read each time the workflow is parsed, so lists and tags only are opened, never an image. A problem ends no reading:
each is noted, and all are told together.
"""

import csv
import difflib
import io
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from wsgcn import demo
from wsgcn.dataset import LISTS, Dataset, DatasetError, Image, mask_values, metric_part
from wsgcn.files import IGNORE, why_no_file

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()

CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""What no name holds, as names stand in lines and are not to turn what stands beside them."""

FORBIDDEN = re.compile(rf"""[/\\{{}}*?:"<>|]|{CONTROL.pattern}""")
"""What no image id holds, as it names files too."""

LONGEST = 200
"""Bytes of an image id: file systems take 255 a name, and ours have something before and after it."""

HINTS = 20
"""So many unknown images of a list are told the nearest known one, which takes a tenth of a second among thousands."""

Note = Callable[[str], None]
"""Takes down a problem."""


def read_dataset(settings: Mapping, seed: int, results: Path) -> Dataset:
    """The data set that the `dataset` section of the config describes.

    Raises DatasetError with a sentence for each problem, naming the file, line or class at fault.
    """
    problems: list[str] = []
    if settings["kind"] == "demo":
        data = _read_demo(settings, seed, results, problems.append)
    elif wrong := _wildcard(settings["root"]):
        raise DatasetError([f"dataset.root: {settings['root']} {wrong}"])
    else:
        read = {"voc": _read_voc, "folder": _read_folder}[settings["kind"]]
        data = read(settings, Path(settings["root"]), problems.append)
    if problems:
        raise DatasetError(problems, data)
    return data


def _read_demo(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The drawn demo, in VOC layout under results/: its classes are planned from the seed, not read back."""
    root = results / "voc"
    wrong = [name for name in LISTS if settings[name] not in ("train", "val")]
    for name in wrong:
        note(f"dataset.{name}: the demo's lists are train and val, not {settings[name]}")
    if wrong:
        return None

    def images(split: str) -> dict[str, Image]:
        return {
            image: Image(
                image,
                str(root / "JPEGImages" / f"{image}.jpg"),
                tuple(1 + demo.CLASSES.index(name) for name in names),
                str(root / "SegmentationClass" / f"{image}.png"),
            )
            for image, names in demo.plan(split, settings[f"demo_{split}"], seed).items()
        }

    lists = {name: images(settings[name]) for name in LISTS}
    return Dataset(demo.CLASSES, **lists, mask_values=mask_values(demo.CLASSES), numbering=demo.CLASSES)


def _read_voc(settings: Mapping, root: Path, note: Note) -> Dataset | None:
    """A PASCAL VOC devkit root; classes outside the subset are ignored (255) in the masks."""
    if not os.path.isdir(root / "JPEGImages"):
        return note(f"dataset.root: {root} holds no JPEGImages folder that can be read, so it is no VOC devkit root")
    asked = settings["classes"] or VOC_CLASSES
    for name in asked:
        if name not in VOC_CLASSES:
            note(f"dataset.classes: {_unknown(name, VOC_CLASSES)}")
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
                    _mask(root / "SegmentationClass" / f"{identifier}.png"),
                )
        return found[identifier]

    lists = {}
    for name in LISTS:
        path = root / "ImageSets/Segmentation" / f"{settings[name]}.txt"
        images = [image(identifier, f"image list {path}") for identifier in _read_list(path, note)]
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


def _read_folder(settings: Mapping, root: Path, note: Note) -> Dataset | None:
    """A folder of images with labels.csv (`image,classes`, classes separated by `;`); masks/<id>.png optional."""
    table = root / "labels.csv"
    rows = _read_table(table, note)
    if rows is None:
        return None
    classes = tuple(settings["classes"]) or tuple(sorted({name for _, names in rows.values() for name in names}))
    _check_names(classes, str(table), note)
    if len(classes) >= IGNORE:
        note(f"{table}: {len(classes)} classes; a label PNG holds at most {IGNORE - 1}")
    images, unknown = {}, {}
    for identifier, (file, names) in rows.items():
        known = [name for name in names if name in classes]
        for name in set(names) - set(known):
            unknown.setdefault(name, []).append(file)
        images[identifier] = Image(
            identifier,
            str(root / file),
            tuple(sorted({1 + classes.index(name) for name in known})),
            _mask(root / "masks" / f"{identifier}.png"),
        )
    for name, files in sorted(unknown.items()):
        where = f"image {files[0]}" if len(files) == 1 else f"{len(files)} images, the first {files[0]}"
        note(f"{table}: {where}: {_unknown(name, classes)}")
    ids = {file: identifier for identifier, (file, _) in rows.items()}  # a list may name files or ids
    lists = {}
    for name in LISTS:
        asked = list(rows) if settings[name] == "all" else _read_list(root / settings[name], note, ids)
        for place, one in enumerate(one for one in asked if one not in images):
            near = _hint(one, images) if place < HINTS else ""
            note(f"{root / settings[name]}: names image {one}, which {table} does not list{near}")
        lists[name] = {one: images[one] for one in asked if one in images}
    for one in lists["train"] | lists["label"]:  # images to evaluate on need no tags
        if not rows[one][1]:
            name = "train" if one in lists["train"] else "label"
            note(f"{table}: image {rows[one][0]} of list dataset.{name} has no class")
    return Dataset(classes, **lists, mask_values=mask_values(classes), numbering=classes)


def _check_names(classes: Sequence[str], where: str, note: Note) -> None:
    if "background" in classes:
        note(f"{where}: class background: that is what is left, value 0 of every mask, and no tag")
    metrics = {}
    for name in classes:
        if CONTROL.search(name):
            note(f"{where}: class {ascii(name)} holds a character that cannot be printed")
        if wrong := _wildcard(name, "name"):
            note(f"{where}: class {name} {wrong}")
        first = metrics.setdefault(metric_part(name), name)
        if first != name:
            note(f"{where}: classes {first} and {name} would both be {metric_part(name)} among the metrics")


def _read_table(table: Path, note: Note) -> dict[str, tuple[str, tuple[str, ...]]] | None:
    """A labels.csv as {id: (file, class names)}; None where it cannot be read at all."""
    if why := why_no_file(table):
        return note(f"dataset.root: {table} {why}; a folder data set needs it")
    text = _read_text(table, note)
    if text is None:
        return None
    reader, rows, lines = csv.DictReader(io.StringIO(text, newline="")), {}, 0
    try:
        header = reader.fieldnames or ()
        if [header.count(name) for name in ("image", "classes")] != [1, 1]:
            return note(
                f"{table}: the header must name the columns image and classes, separated by a comma;"
                f" it is {','.join(header) or 'empty'}"
            )
        for row in reader:
            lines += 1
            file = (row["image"] or "").strip()
            if not file:
                note(f"{table}: line {reader.line_num} names no image")
                continue
            identifier = PurePosixPath(file).stem
            if None in row:
                note(f"{table}: line {reader.line_num} has more fields than the header; separate classes by ;")
            outside = PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts
            wrong = "leads out of the data set's folder" if outside else problem_of_id(identifier) or _wildcard(file)
            if wrong:
                note(f"{table}: line {reader.line_num}: image {file} {wrong}")
            elif identifier in rows:
                other = rows[identifier][0]
                note(
                    f"{table}: image {file} stands there twice"
                    if other == file
                    else f"{table}: images {other} and {file} have the same name, which is to tell them apart"
                )
            else:
                names = [name.strip() for name in (row["classes"] or "").split(";")]
                rows[identifier] = file, tuple(name for name in names if name)
    except csv.Error as error:
        return note(f"{table}: line {reader.line_num} cannot be read: {error}")
    if not lines:
        note(f"{table}: lists no image")
    return rows or None


def problem_of_id(identifier: str) -> str | None:
    """Why an image id cannot name files of ours, as the end of a sentence; None where it can."""
    if found := FORBIDDEN.search(identifier):
        return f'has {ascii(found[0])} in its name; not allowed are / \\ {{ }} * ? : " < > | and control characters'
    if identifier.startswith(".") or identifier != identifier.strip():
        return "has a name that begins with a dot, or begins or ends with a blank"
    if not 0 < len(identifier.encode(errors="surrogatepass")) <= LONGEST:
        return f"has a name of no or more than {LONGEST} bytes"
    return None


def _wildcard(text: str, what: str = "path") -> str | None:
    """What Snakemake would take for a pattern, as the end of a sentence."""
    return f"has {{ or }} in its {what}, which Snakemake takes for a pattern" if set(text) & set("{}") else None


def _annotated_classes(path: Path, note: Note) -> set[str] | None:
    """The class names of a VOC annotation's objects."""
    try:
        return {element.text.strip() for element in ElementTree.parse(path).iterfind("object/name")}
    except FileNotFoundError:
        return note(f"annotation {path} does not exist")
    except (ElementTree.ParseError, AttributeError, ValueError, OSError) as error:
        return note(f"annotation {path} cannot be read: {error}")


def _read_list(path: Path, note: Note, ids: Mapping[str, str] | None = None) -> list[str]:
    """Image ids, one a line, each once; ids: those of other names that may stand for them."""
    if why := why_no_file(path):
        note(f"image list {path} {why}")
        return []
    text = _read_text(path, note)
    if text is None:
        return []
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        note(f"image list {path} is empty")
    found = Counter((ids or {}).get(name, name) for name in names)
    for one in (one for one, count in found.items() if count > 1):
        note(f"image list {path} names {one} twice")
    return list(found)


def _mask(path: Path) -> str | None:
    """A mask's path, None where there is none; what is no mask is found when it is opened."""
    return None if why_no_file(path) == "does not exist" else str(path)


def _read_text(path: Path, note: Note) -> str | None:
    """A UTF-8 file, with or without the mark that some programs begin it with."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        return note(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return note(f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8")


def _unknown(name: str, names: Sequence[str]) -> str:
    return f"unknown class {name}" + (_hint(name, names) or f"; known are {', '.join(names)}")


def _hint(name: str, names: Iterable[str]) -> str:
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""
