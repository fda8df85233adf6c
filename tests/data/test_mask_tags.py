"""Masks against the tags of their images.

Run alone: `.venv/bin/python -m pytest tests/data/test_mask_tags.py`.
"""

from dataclasses import replace

import pytest

from wsgcn.data.dataset import Dataset, Image, mask_values
from wsgcn.data.mask_tags import mask_problems, mask_remarks, masked_images

CLASSES = ("cat", "dog", "owl")


def dataset(tags_and_values):
    """A data set and its masks' values; tags None: an image without a mask."""
    images = {
        f"i{k}": Image(f"i{k}", f"i{k}.jpg", tags, None if values is None else f"i{k}.png")
        for k, (tags, values) in enumerate(tags_and_values)
    }
    data = Dataset(CLASSES, images, images, images, mask_values(CLASSES), CLASSES)
    values = {f"i{k}.jpg": values for k, (_, values) in enumerate(tags_and_values) if values is not None}
    return data, masked_images(data, values)


GOOD = [((1,), [0, 1]), ((2,), [0, 2, 255]), ((1, 3), [0, 1, 3])]


def test_masks_that_agree_are_not_mentioned():
    data, masked = dataset(GOOD)
    assert mask_problems(masked) == mask_remarks(data, masked) == []


@pytest.mark.parametrize(
    "values, start",
    [
        ([[0, 255], [0, 255], [255]], "all 3 masks contain only 0 and 255, and 255 is ignored"),
        ([[0, 255], [0, 255], [0]], "2 of 3 masks contain only 0 and 255"),
        ([[0], [0], [0, 255]], "1 of 3 masks contain only 0 and 255"),
        ([[0, 255], [0, 255], [0, 1, 3]], "2 of 3 masks show none of the classes"),  # one good mask hides nothing
    ],
)
def test_black_and_white_masks_are_refused(values, start):
    _, masked = dataset([(tags, own) for (tags, _), own in zip(GOOD, values, strict=True)])
    [problem] = mask_problems(masked)
    assert problem.startswith(start)


@pytest.mark.parametrize(
    "values",
    [
        [[0, 2], [0, 1], [0, 2]],  # another order of the classes
        [[0, 3], [0, 3], [0, 2]],  # one value for all
        [[0, 2], [0, 1, 3], [2]],  # numbers of instances
    ],
)
def test_masks_of_another_numbering_are_refused(values):
    data, masked = dataset([(tags, own) for (tags, _), own in zip(GOOD, values, strict=True)])
    [problem] = mask_problems(masked)
    assert "masks show none of the classes that their image's tags name" in problem and "i0.jpg" in problem
    assert mask_remarks(data, masked) == []


def test_a_few_disagreements_are_reported_not_refused():
    data, masked = dataset([*GOOD, *GOOD, ((1,), [0, 2]), ((1, 2), [0, 1]), ((2,), [0, 2, 3])])
    assert mask_problems(masked) == []
    [remark] = mask_remarks(data, masked)
    assert remark.startswith("masks and tags disagree in 3 of 9 images, the first i6.jpg (")
    for part in ("no cat in the mask, but in the tags: 1", "no dog in the mask, but in the tags: 1",
                 "dog in the mask, but not in the tags: 1", "owl in the mask, but not in the tags: 1"):  # fmt: skip
        assert part in remark


def test_images_to_evaluate_need_no_tags():
    data, masked = dataset([((), [0, 1]), ((), [0, 2]), ((1,), [0, 1])])
    assert mask_problems(masked) == mask_remarks(data, masked) == []


def test_a_list_without_any_of_the_masks_is_named():
    data, masked = dataset([*GOOD, ((1,), None)])
    data = replace(data, label={"i0": data.train["i0"]}, evaluate={"i3": data.train["i3"]})
    assert mask_remarks(data, masked) == ["dataset.evaluate: none of 1 images have a mask"]


@pytest.mark.parametrize("masked_count", [1, 2])
def test_lists_with_some_masks_are_named(masked_count):
    rows = [*GOOD[:masked_count], *[((1,), None)] * (3 - masked_count)]
    data, masked = dataset(rows)
    assert mask_remarks(data, masked) == [
        f"dataset.{name}: {masked_count} of 3 images have a mask; only these are evaluated"
        for name in ("label", "evaluate")
    ]


def test_a_mask_that_shows_a_class_contradicts_a_negative():
    data, masked = dataset([*GOOD, ((), [0, 2]), ((), [0])])
    assert mask_remarks(data, masked) == []  # without tags, nothing is contradicted
    masked = [replace(image, negative=not image.tags) for image in masked]
    [remark] = mask_remarks(data, masked)
    assert "in 1 of 5 images, the first i3.jpg (dog in the mask, but not in the tags: 1)" in remark
    assert mask_problems(masked) == []
