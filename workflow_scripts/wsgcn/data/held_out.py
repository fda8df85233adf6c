"""Images that are held out for evaluation: a share drawn by group, and lists that must not split a group."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from wsgcn.data.dataset import Image
from wsgcn.data.names import Note
from wsgcn.text import format_count

PERCENTAGE = re.compile(r"([0-9]+\.?[0-9]*) ?%")


def share_of(list_name: str) -> float | None:
    """The share, in 0..1, that the name of a list asks for, such as 20%; None where it names a list."""
    found = PERCENTAGE.fullmatch(list_name)
    return float(found[1]) / 100 if found else None


def split_name(list_name: str) -> str:
    """What a list is called in metrics: the file's name without its extension, `held_out` where a share is drawn."""
    return Path(list_name).stem if share_of(list_name) is None else "held_out"


def share_problem(settings: Mapping, share: float) -> str | None:
    """Why a share cannot be held out, as a sentence; None where it can. settings: the section `dataset`."""
    if not 0 < share < 1:
        return f"dataset.evaluate: {settings['evaluate']} must be above 0% and below 100%"
    if named := [name for name in ("train", "label") if settings[name] != "all"]:
        return (
            f"dataset.evaluate: {settings['evaluate']} is drawn from all images, so dataset.{named[0]} must be all, "
            f"not {settings[named[0]]}"
        )
    return None


def draw_held_out(images: Iterable[Image], groups: Mapping[str, str], share: float, seed: int) -> set[str]:
    """The ids of about a share, in 0..1, of the images, whole groups of them, the same in whatever order they come.

    groups: the group of an image's id; images without one stand alone. Stratified greedily, after Sechidis et al.
    (ECML 2011): the class, or lack of one, that the fewest groups show is dealt with first; its groups are taken in the
    order of their hashes while that brings its share nearer. Whatever two groups show is held out at least once, and
    its last group never, unless a rarer class has decided about them.
    """
    members: dict[tuple[str, str], list[Image]] = {}
    for image in images:
        members.setdefault(group_key(image.id, groups), []).append(image)
    order = sorted(members, key=lambda key: hashlib.sha256("\0".join([str(seed), *key]).encode()).digest())
    counts = {key: _count_labels(members[key]) for key in order}  # images by label; 0: those without a class
    by_label: dict[int, list[tuple[str, str]]] = {}
    for key in order:
        for label in counts[key]:
            by_label.setdefault(label, []).append(key)
    taken: dict[tuple[str, str], bool] = {}
    for label, keys in sorted(by_label.items(), key=lambda item: (len(item[1]), item[0])):
        free = [key for key in keys if key not in taken]
        held = sum(counts[key][label] for key in keys if taken.get(key))
        wanted = share * sum(counts[key][label] for key in keys)
        left = len(keys) - sum(taken.get(key, False) for key in keys)
        for key in free:
            taken[key] = left > 1 and held + counts[key][label] / 2 <= wanted
            held, left = held + taken[key] * counts[key][label], left - taken[key]
        if free and len(keys) > 1 and not held:
            taken[min(free, key=lambda key: len(members[key]))] = True
    return {image.id for key, taking in taken.items() if taking for image in members[key]}


def _count_labels(images: Iterable[Image]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for image in images:
        for label in image.classes or (0,):
            counts[label] = counts.get(label, 0) + 1
    return counts


def group_key(image: str, groups: Mapping[str, str]) -> tuple[str, str]:
    """What an image is drawn with: its group, or itself alone."""
    return ("group", groups[image]) if image in groups else ("image", image)


def check_groups(lists: Mapping[str, Collection[str]], groups: Mapping[str, str], table: Path, note: Note) -> None:
    """Report groups of which some images are held out for evaluation and others are trained on or labelled.

    lists: ids by list. Nothing is held out where a list holds all images that are evaluated.
    """
    for name in ("train", "label") if set(lists["train"]) != set(lists["label"]) else ("train",):
        first = {groups[i]: i for i in reversed([*lists[name]]) if i in groups}
        split = {
            groups[i]: (i, first[groups[i]])
            for i in lists["evaluate"]
            if i not in lists[name] and groups.get(i) in first
        }
        if split:
            group, (held, other) = next(iter(split.items()))
            note(
                f"{table}: {format_count(len(split), 'group')} in dataset.{name} and in dataset.evaluate, the first "
                f"{group} (images {other} and {held}); no group may be in both"
            )
