"""A folder of images with a labels.csv: `image,classes`, classes separated by `;`."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.lists import mask_path, read_list, read_text
from wsgcn.data.names import Note, check_class_names, nearest_name, pattern_problem, problem_of_id, unknown_class
from wsgcn.files import IGNORE, why_no_file

MAX_HINTS = 20
"""So many unknown images of a list are told the nearest known one, which takes a tenth of a second among thousands."""


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """A folder of images with labels.csv (`image,classes`, classes separated by `;`); masks/<id>.png optional."""
    root = Path(settings["root"])
    table = root / "labels.csv"
    rows = _read_table(table, note)
    if rows is None:
        return None
    classes = tuple(settings["classes"]) or tuple(sorted({name for _, names in rows.values() for name in names}))
    check_class_names(classes, str(table), note)
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
            mask_path(root / "masks" / f"{identifier}.png"),
        )
    for name, files in sorted(unknown.items()):
        where = f"image {files[0]}" if len(files) == 1 else f"{len(files)} images, the first {files[0]}"
        note(f"{table}: {where}: {unknown_class(name, classes)}")
    ids = {file: identifier for identifier, (file, _) in rows.items()}  # a list may name files or ids
    lists = {}
    for name in LISTS:
        asked = list(rows) if settings[name] == "all" else read_list(root / settings[name], note, ids)
        for place, one in enumerate(one for one in asked if one not in images):
            near = nearest_name(one, images) if place < MAX_HINTS else ""
            note(f"{root / settings[name]}: names image {one}, which {table} does not list{near}")
        lists[name] = {one: images[one] for one in asked if one in images}
    for one in lists["train"] | lists["label"]:  # images to evaluate on need no tags
        if not rows[one][1]:
            name = "train" if one in lists["train"] else "label"
            note(f"{table}: image {rows[one][0]} of list dataset.{name} has no class")
    return Dataset(classes, **lists, mask_values=mask_values(classes), numbering=classes)


def _read_table(table: Path, note: Note) -> dict[str, tuple[str, tuple[str, ...]]] | None:
    """A labels.csv as {id: (file, class names)}; None where it cannot be read at all."""
    if why := why_no_file(table):
        return note(f"dataset.root: {table} {why}; a folder data set needs it")
    text = read_text(table, note)
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
            wrong = (
                "leads out of the data set's folder" if outside else problem_of_id(identifier) or pattern_problem(file)
            )
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
