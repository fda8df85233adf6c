"""A folder of images with a labels.csv: columns `image` and `classes`, the classes of an image separated by `;`."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.lists import read_list
from wsgcn.data.names import (
    Note,
    check_appearance,
    check_class_names,
    class_indices,
    clean_name,
    describe_ignored,
    nearest_name,
    unknown_class,
)
from wsgcn.data.neighbours import MAX_SUGGESTIONS, describe_others, match_masks
from wsgcn.data.readers.table import Row, read_table
from wsgcn.data.readers.tags import check_tags, split_cell, split_tags
from wsgcn.files import IGNORE
from wsgcn.text import format_count, format_examples


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The images that <root>/labels.csv lists, with masks/<id>.png where there is one; None without a readable table.

    settings: the `dataset` section of the config; `seed` and `results` are unused. A list is `all` or a file under the
    root with the id or the file of one image per line. The classes are those of the config, or if it has none those of
    the table in alphabetical order. Problems go to `note`.
    """
    root, separator = Path(settings["root"]), settings.get("separator", ";")
    table = root / "labels.csv"
    rows = read_table(table, separator, note)
    if rows is None:
        return None
    declared, ignored = (list(map(clean_name, settings.get(key, ()))) for key in ("classes", "ignore"))
    known = {*declared, *ignored}
    named = {i: split_tags(row.cell, separator, known) for i, row in rows.items()}
    tags = {i: tuple(name for name in names if name not in ignored) for i, names in named.items()}
    broken = _check_tags(tags, rows, declared, separator, table, note)
    classes = tuple(declared) or tuple(sorted({name for names in tags.values() for name in names} - broken))
    check_class_names(classes, str(table), note)
    if len(classes) >= IGNORE:
        note(f"{table}: {len(classes)} classes; a label PNG holds at most {IGNORE - 1}")
    masks, others = match_masks(root / "masks", rows, note)
    if ignored and masks and not declared:
        note("dataset.ignore: would change the numbers of the classes in masks, so name them in dataset.classes")
    images = {
        i: Image(i, str(root / row.file), class_indices(tags[i], classes), masks.get(i)) for i, row in rows.items()
    }
    lists = {name: _read_members(settings[name], root, rows, table, note) for name in LISTS}
    _check_tagged(tags, rows, lists, table, note)
    members = {name: {identifier: images[identifier] for identifier in ids} for name, ids in lists.items()}
    return Dataset(
        classes,
        **members,
        mask_values=mask_values(classes),
        numbering=classes,
        remarks=(
            *_word_remarks(rows, named, separator, known, table),
            *describe_ignored(ignored, named),
            *describe_others(root / "masks", masks, others),
        ),
    )


def _check_tagged(
    tags: Mapping[str, tuple[str, ...]], rows: Mapping[str, Row], lists: Mapping[str, Mapping], table: Path, note: Note
) -> None:
    """Report images to train on or to label without a class; images to evaluate need none."""
    for name, others in (("train", ()), ("label", lists["train"])):
        untagged = [rows[i].file for i in lists[name] if not tags[i] and i not in others]
        if len(untagged) == 1:
            note(f"{table}: image {untagged[0]} of list dataset.{name} has no class")
        elif untagged:
            note(f"{table}: {len(untagged)} images of list dataset.{name} have no class, the first {untagged[0]}")


def _check_tags(
    tags: Mapping[str, tuple[str, ...]], rows: Mapping[str, Row], declared: list[str], separator: str, table: Path,
    note: Note,
) -> set[str]:  # fmt: skip
    """Report tags that are no names, or that look alike, or are none of the declared classes; returns the first two."""
    files_by_tag: dict[str, list[str]] = {}
    for identifier, names in tags.items():
        for name in names:
            files_by_tag.setdefault(name, []).append(rows[identifier].file)
    strange = {name: files for name, files in sorted(files_by_tag.items()) if name not in declared}
    broken = check_tags(strange, separator, str(table), note)
    if declared:
        for name, files in ((name, files) for name, files in strange.items() if name not in broken):
            note(f"{table}: {format_examples(files)}: {unknown_class(name, declared)}")
    elif not declared:
        counts = {name: len(files) for name, files in files_by_tag.items()}
        broken |= check_appearance(counts, str(table), note)
    for name, count in Counter(declared).items():
        if count > 1:
            note(f"dataset.classes: {name} is listed twice")
    return broken


def _word_remarks(
    rows: Mapping[str, Row], named: Mapping[str, tuple[str, ...]], separator: str, known: Collection[str], table: Path
) -> list[str]:
    """Words that were read as no class."""
    words: Counter[str] = Counter()
    for identifier, row in rows.items():
        names = split_cell(row.cell, separator, known) or filter(None, [clean_name(row.cell)])
        words.update(name for name in names if name not in named[identifier])
    return [f"{table}: {word!r} means no class, in {format_count(count, 'image')}" for word, count in words.items()]


def _read_members(list_name: str, root: Path, rows: Mapping[str, Row], table: Path, note: Note) -> dict[str, None]:
    """The ids of a list's images, in its order, without those that the table lacks, which are reported."""
    if list_name == "all":
        return dict.fromkeys(rows)
    ids = {row.file: identifier for identifier, row in rows.items()} | {i: i for i in rows}
    by_cleaned = {clean_name(name): identifier for name, identifier in ids.items()}
    names = read_list(root / list_name, note, lambda line: ids.get(line) or by_cleaned.get(clean_name(line)))
    for index, name in enumerate(name for name in names if name not in rows):
        suggestion = nearest_name(name, rows) if index < MAX_SUGGESTIONS else ""
        note(f"{root / list_name}: image {name} is not listed in {table}{suggestion}")
    return dict.fromkeys(name for name in names if name in rows)
