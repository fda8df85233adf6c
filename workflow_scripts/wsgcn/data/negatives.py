"""Images without a class: those that show none of the classes, and those that nobody knows about."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from wsgcn.data.dataset import Image
from wsgcn.data.names import Note, nearest_name
from wsgcn.text import format_examples

LEFT_OUT = "left_out"
"""The value of `dataset.others` that leaves images out whose tags are all of other things than the classes."""


def check_negative_tag(
    negative: str,
    names_by_image: Mapping[str, Sequence[str]],
    choices: Mapping[str, Collection[str]],
    where: str,
    note: Note,
) -> None:
    """Report a tag of `dataset.negative` that no image has, that other settings name, too, or that is beside a class.

    names_by_image: all tags of each image; choices: the names in `dataset.classes` and `dataset.ignore`, by these keys;
    where: the start of a sentence.
    """
    if not negative:
        return
    for key in (key for key, names in choices.items() if negative in names):
        note(f"dataset.negative: {negative} is also in {key}")
    tagged = {image: names for image, names in names_by_image.items() if negative in names}
    if not tagged:
        known = sorted({name for names in names_by_image.values() for name in names})
        note(f"dataset.negative: no image of {where} has the tag {negative}{nearest_name(negative, known)}")
    beside = {image: set(names) - {negative, *choices["dataset.ignore"]} for image, names in tagged.items()}
    if wrong := [image for image, names in beside.items() if names]:
        other = sorted(beside[wrong[0]])[0]
        note(f"{where}: {format_examples(wrong)}: tag {negative}, which stands for no class, beside {other}")


def is_negative(names: Sequence[str], classes: Sequence[int], negative: str, others: str) -> bool:
    """Whether an image is known to show none of the classes.

    names: all its tags; classes: those that are classes; negative, others: of the section `dataset`. An image without
    any tag shows none of them; one with tags of other things alone counts as `others` says.
    """
    return not classes and (not names or negative in names or others != LEFT_OUT)


def without_tags(
    evaluated: Mapping[str, Image], learnt: Collection[str], names_by_image: Mapping[str, Sequence[str]], negative: str
) -> dict[str, Image]:
    """Images without a tag that are only evaluated, as no negatives where perhaps nobody has tagged them.

    That is where `dataset.negative` names a tag for negatives, or where none of these images has a tag. evaluated:
    images by id; learnt: ids of those that are trained on or labelled.
    """
    alone = [i for i in evaluated if i not in learnt]
    if not negative and any(names_by_image[i] for i in alone):
        return {}
    return {i: replace(evaluated[i], negative=False) for i in alone if not names_by_image[i]}


def describe_untagged(images: Sequence[str], where: str) -> list[str]:
    """A sentence about images without any tag that are trained on or labelled, if there are any."""
    return [f"{where}: {format_examples(images)} without a tag: taken to show none of the classes"] if images else []


def drop_unusable(
    lists: dict[str, dict[str, Image]], settings: Mapping, classes: Sequence[str], note: Note
) -> list[str]:
    """Take images that neither show a class nor are negatives out of the lists to train on and to label.

    Returns a sentence about each list that had some. A list that shows no class at all is reported to `note`.
    """
    remarks = []
    for name in ("train", "label"):
        used = {identifier: image for identifier, image in lists[name].items() if image.classes or image.negative}
        if lists[name] and not any(image.classes for image in used.values()):
            note(f"dataset.{name}: no image of list {settings[name]} shows any of {', '.join(classes)}")
        elif others_alone := [identifier for identifier in lists[name] if identifier not in used]:
            remarks.append(f"dataset.{name}: {format_examples(others_alone)}, without any of the classes, left out")
        lists[name] = used
    return remarks
