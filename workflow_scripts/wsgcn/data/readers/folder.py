"""A folder of images with a labels.csv: columns `image`, `classes` and, where it has groups, `group`."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.held_out import check_groups, draw_held_out, group_key, share_of, share_problem
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
from wsgcn.data.negatives import LEFT_OUT, check_negative_tag, describe_untagged, is_negative, without_tags
from wsgcn.data.neighbours import MAX_SUGGESTIONS, describe_others, match_masks
from wsgcn.data.readers.table import Row, read_table
from wsgcn.data.readers.tags import check_tags, means_none, split_cell, split_tags
from wsgcn.files import IGNORE
from wsgcn.text import format_count, format_examples


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The images that <root>/labels.csv lists, with masks/<id>.png where there is one; None without a readable table.

    settings: the `dataset` section of the config; `results` is unused. A list is `all` or a file under the root with
    the id or the file of one image per line; `evaluate` may be a share, such as 20%, that is drawn with `seed` and held
    out of the others. The classes are those of the config, or if it has none those of the table in alphabetical order.
    Problems go to `note`.
    """
    root, separator = Path(settings["root"]), settings.get("separator", ";")
    negative, others = clean_name(settings.get("negative", "")), settings.get("others", LEFT_OUT)
    table = root / "labels.csv"
    rows = read_table(table, separator, note)
    if rows is None:
        return None
    declared, ignored = (list(map(clean_name, settings.get(key, ()))) for key in ("classes", "ignore"))
    known = {*declared, *ignored, negative} - {""}
    named = {i: split_tags(row.cell, separator, known) for i, row in rows.items()}
    given = {i: tuple(name for name in names if name not in ignored) for i, names in named.items()}
    broken = _check_tags(given, rows, declared, separator, negative, table, note)
    by_file = {rows[i].file: names for i, names in named.items()}
    choices = {"dataset.classes": declared, "dataset.ignore": ignored}
    check_negative_tag(negative, by_file, choices, str(table), note)
    tags = {i: tuple(name for name in names if name != negative) for i, names in given.items()}
    classes = tuple(declared) or tuple(sorted({name for names in tags.values() for name in names} - broken))
    check_class_names(classes, str(table), note)
    if len(classes) >= IGNORE:
        note(f"{table}: {len(classes)} classes; a label PNG holds at most {IGNORE - 1}")
    masks, strangers = match_masks(root / "masks", rows, note)
    if ignored and masks and not declared:
        note("dataset.ignore: would change the numbers of the classes in masks, so name them in dataset.classes")
    images = {}
    for i, row in rows.items():
        own = class_indices(tags[i], classes)
        path, is_known = str(root / row.file), is_negative(named[i], own, negative, others)
        group = "" if means_none(rows[i].group) else rows[i].group
        images[i] = Image(i, path, own, masks.get(i), negative=is_known, group=group)
    usable = {i: image for i, image in images.items() if tags[i] or image.negative}
    groups = {i: image.group for i, image in images.items() if image.group}
    lists, drawn = _read_lists(settings, seed, usable, groups, rows, table, note)
    _check_tagged(lists, tags, table, note)
    learnt = lists["train"] | lists["label"]
    untold = [i for i in learnt if not named[i]]
    members = {name: {i: images[i] for i in ids} for name, ids in lists.items()}
    if share_of(settings["evaluate"]) is None:
        members["evaluate"] |= without_tags(members["evaluate"], learnt, named, negative)
    return Dataset(
        classes,
        members["train"],
        members["label"],
        members["evaluate"],
        mask_values=mask_values(classes),
        numbering=classes,
        remarks=(
            *_word_remarks(rows, named, separator, known, table),
            *describe_ignored(ignored, named),
            *describe_untagged([rows[i].file for i in untold], str(table)),
            *drawn,
            *describe_others(root / "masks", masks, strangers),
        ),
    )


def _read_lists(
    settings: Mapping, seed: int, usable: Mapping[str, Image], groups: Mapping[str, str], rows: Mapping[str, Row],
    table: Path, note: Note,
) -> tuple[dict[str, dict[str, None]], list[str]]:  # fmt: skip
    """The ids of each list, and a sentence about what is drawn, and about images that are left out."""
    share = share_of(settings["evaluate"])
    named = [name for name in LISTS if name != "evaluate" or share is None]
    lists = {name: _read_members(settings[name], table.parent, rows, table, note) for name in named}
    remarks = []
    for name in ("train", "label"):
        if lost := [rows[i].file for i in lists[name] if i not in usable]:
            remarks.append(f"dataset.{name}: {format_examples(lost)}, whose tags are all in dataset.ignore, left out")
        lists[name] = {i: None for i in lists[name] if i in usable}
    if share is None:
        check_groups(lists, groups, table, note)
        return lists, remarks
    lists["evaluate"] = {}
    if problem := share_problem(settings, share):
        note(problem)
        return lists, remarks
    held = draw_held_out(usable.values(), groups, share, seed)
    if not held:
        note(
            f"dataset.evaluate: {settings['evaluate']} of {format_count(len(usable), 'image')} cannot be held out: "
            "each class is shown by one image or group alone"
        )
    rest = {i: None for i in usable if i not in held}
    keys = [{group_key(i, groups) for i in ids} for ids in (held, usable)]
    of_groups = f" ({len(keys[0])} of {len(keys[1])} groups)" if groups else ""
    remarks.append(
        f"dataset.evaluate: {settings['evaluate']} drawn with seed {seed}: {len(held)} of {len(usable)} images"
        f"{of_groups} are held out; the other {len(rest)} are trained on and labelled"
    )
    return {"train": rest, "label": rest, "evaluate": {i: None for i in usable if i in held}}, remarks


def _check_tagged(
    lists: Mapping[str, Mapping[str, None]], tags: Mapping[str, tuple[str, ...]], table: Path, note: Note
) -> None:
    """Report lists to train on or to label without a single class."""
    for name in ("train", "label") if lists["train"] != lists["label"] else ("train",):
        if lists[name] and not any(tags[i] for i in lists[name]):
            note(f"{table}: no image of list dataset.{name} has a class")


def _check_tags(
    tags: Mapping[str, tuple[str, ...]], rows: Mapping[str, Row], declared: list[str], separator: str, negative: str,
    table: Path, note: Note,
) -> set[str]:  # fmt: skip
    """Report tags that are no names, or that look alike, or are none of the declared classes; returns the first two.

    negative: the tag that stands for no class.
    """
    files_by_tag: dict[str, list[str]] = {}
    for identifier, names in tags.items():
        for name in names:
            files_by_tag.setdefault(name, []).append(rows[identifier].file)
    strange = {name: files for name, files in sorted(files_by_tag.items()) if name not in (*declared, negative)}
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
