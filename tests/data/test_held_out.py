"""Shares of the images that are held out, by group, and lists that split one."""

import random
from collections import Counter
from pathlib import Path

import pytest

from wsgcn.data.dataset import Image
from wsgcn.data.held_out import check_groups, draw_held_out, share_of, split_name


def make_images(tags: dict[str, tuple[int, ...]]) -> list[Image]:
    return [Image(i, f"{i}.png", own, None) for i, own in tags.items()]


def random_images(seed: int) -> tuple[list[Image], dict[str, str]]:
    """300 images of three classes, one of them rare, half without any, some in groups of up to five."""
    r = random.Random(seed)
    tags = {f"i{k}": tuple(c for c, p in ((1, 0.3), (2, 0.2), (3, 0.02)) if r.random() < p) for k in range(300)}
    tags["i0"], tags["i1"] = (3,), (3, 1)
    groups = {f"i{k}": f"g{r.randrange(80)}" for k in range(300) if k > 1 and r.random() < 0.7}
    return make_images(tags), groups


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_of_every_class_is_held_out_and_no_group_is_split(share, seed):
    images, groups = random_images(seed)
    held = draw_held_out(images, groups, share, seed)
    assert not {groups[i.id] for i in images if i.id in held and i.id in groups} & {
        groups[i.id] for i in images if i.id not in held and i.id in groups
    }
    assert abs(len(held) - share * len(images)) <= 0.05 * len(images)
    for label in range(4):
        of_label = [image.id for image in images if (label in image.classes if label else not image.classes)]
        found = sum(i in held for i in of_label)
        assert 0 < found < len(of_label)
        assert abs(found - share * len(of_label)) <= max(5, 0.1 * len(of_label))


def test_the_order_of_the_table_does_not_matter_and_the_seed_does():
    images, groups = random_images(0)
    held = draw_held_out(images, groups, 0.2, 7)
    shuffled = random.Random(1).sample(images, len(images))
    assert draw_held_out(shuffled, dict(reversed(groups.items())), 0.2, 7) == held
    assert draw_held_out(images, groups, 0.2, 8) != held


@pytest.mark.parametrize("count", range(2, 12))
def test_equal_images_are_drawn_to_the_nearest_number(count):
    held = draw_held_out(make_images({f"i{k}": (1,) for k in range(count)}), {}, 0.3, 0)
    assert len(held) == max(1, int(0.3 * count + 0.5))


def test_what_one_group_alone_shows_is_learnt():
    images = make_images({"a": (1,), "b": (1,), "c": (2,), "d": (2,), "e": (2,)})
    held = draw_held_out(images, {"a": "x", "b": "x"}, 0.5, 0)
    assert not held & {"a", "b"} and held
    assert draw_held_out(images[:1], {}, 0.5, 0) == set()


def test_every_group_is_as_likely():
    images = make_images({f"i{k}": (1,) for k in range(10)})
    counts = Counter(i for seed in range(500) for i in draw_held_out(images, {}, 0.2, seed))
    assert len(counts) == 10 and max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize(
    "name, share, split",
    [("20%", 0.2, "held_out"), ("12.5 %", 0.125, "held_out"), ("lists/val.txt", None, "val"), ("%", None, "%")],
)
def test_shares_and_lists_are_told_apart(name, share, split):
    assert (share_of(name), split_name(name)) == (share, split)


def notes(train: str, label: str, evaluate: str, groups: dict[str, str]) -> list[str]:
    found: list[str] = []
    check_groups({"train": train, "label": label, "evaluate": evaluate}, groups, Path("labels.csv"), found.append)
    return found


def test_groups_that_lists_split_are_reported():
    groups = {"a": "p", "b": "p", "c": "q", "d": "q"}
    sentence = (
        "labels.csv: 1 group in dataset.train and in dataset.evaluate, the first p (images a and b); no group may"
    )
    assert notes("ac", "e", "be", groups) == [f"{sentence} be in both"]
    assert len(notes("ac", "c", "bd", groups)) == 2 and len(notes("ac", "ca", "bd", groups)) == 1
    assert "2 groups" in notes("ac", "ac", "bd", groups)[0]


def test_lists_that_hold_nothing_out_split_no_group():
    groups = {"a": "p", "b": "p", "c": "q", "d": "q"}
    assert notes("abcd", "abcd", "abcd", groups) == notes("abcd", "abcd", "ac", groups) == []
    assert notes("ab", "ab", "cd", groups) == notes("ac", "ac", "bd", {}) == []
