"""What the reader of COCO's instances refuses, and the sentences that say why.

Run alone: `.venv/bin/python -m pytest tests/data/test_bad_coco.py`.
"""

import json
from pathlib import Path

import pytest
from PIL import Image
from small_coco import CATEGORIES, HEIGHT, OBJECTS, WIDTH, coco_json, edit, problems_of

from wsgcn.workflow.images import open_images

NAMES = tuple(CATEGORIES.values())
SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"


def change_entry(array, index, **changed):
    return lambda content: content[array][index].update(changed)


def remove(array, index, key):
    return lambda content: content[array][index].pop(key)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda c: c.pop("annotations"), "{json} has no list annotations, so it is no JSON of COCO's instances"),
        (lambda c: c["images"].clear(), "{json} lists no images"),
        (remove("images", 0, "height"), "{json}: image {{"),
        (change_entry("images", 0, file_name="a\0b"), "{json}: image {{"),
        (change_entry("images", 0, width=0), "{json}: image {{"),
        (change_entry("images", 1, id=100), "{json}: image id 100 is listed twice"),
        (
            change_entry("images", 1, file_name="sub/train_1.png"),
            "{json}: images {root}/train/train_1.jpg and {root}/tr",
        ),
        (change_entry("images", 1, file_name="a*.png"), "{json}: image a*.png has '*' in its name"),
        (remove("categories", 0, "name"), "{json}: category {{"),
        (change_entry("categories", 0, id="1"), "{json}: category {{"),
        (change_entry("categories", 1, name="person"), "{json}: category 3, person, is listed twice"),
        (change_entry("categories", 0, name="human"), "{val}: category 1 is person, but human in another list's JSON"),
        (remove("annotations", 0, "image_id"), "{json}: annotation {{"),
        (change_entry("annotations", 0, image_id=5), "{json}: 1 annotation of images that are not listed"),
        (change_entry("annotations", 0, image_id=[]), "{json}: annotation {{"),
        (change_entry("annotations", 0, category_id=[1]), "{json}: annotation {{"),
        (change_entry("annotations", 0, iscrowd="0"), "{json}: annotation {{"),
        (
            change_entry("annotations", 0, segmentation={"size": [40, 56], "counts": [0.5, 2239.5]}),
            "{json}: annotation 0 of train_1.jpg: its run lengths do not fill the image",
        ),
        (change_entry("annotations", 0, segmentation=[[10**400] * 6]), "{json}: has polygons that are no list of x, y"),
        (change_entry("annotations", 0, category_id=7), "{json}: 1 annotation of category 7, which is not listed"),
        (change_entry("annotations", 0, segmentation=[[1, 2, 3]]), "{json}: has polygons that are no list of x, y"),
        (change_entry("annotations", 0, segmentation=[["1", 2]]), "{json}: has polygons that are no list of x, y"),
        (change_entry("annotations", 0, segmentation=[7]), "{json}: has polygons that are no list of x, y"),
        (
            change_entry("annotations", 0, segmentation={"size": [3, 3], "counts": [9]}),
            "{json}: annotation 0 of train_1.jpg: its mask is 3×3, but its image is 56×40",
        ),
        (change_entry("annotations", 0, segmentation={"size": 1}), "{json}: annotation 0 of train_1.jpg: its segment"),
    ],
)
def test_a_wrong_json_is_one_sentence(change, sentence, read, root):
    edit(root, change)
    found = problems_of(read)
    start = sentence.format(
        json=root / "annotations/instances_train.json", root=root, val=root / "annotations/instances_val.json"
    )
    assert [problem for problem in found if problem.startswith(start)], found
    assert all(len(problem) < 400 for problem in found)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "is no JSON object, which begins with {"),
        ("[1, 2]", "is no JSON object, which begins with {"),
        ('{"images": [', "is no JSON: Expecting value in line 1, column 13"),
        ('{"images": [{}\n {}]}', "is no JSON: Expecting ',' in line 2, column 2"),
        ('{"images": [], "annotations": [NaN]}', "NaN is no number of JSON"),
        ('{"a":' + "[" * 100_000, "is no JSON of COCO: it is nested too deeply"),
    ],
)
def test_what_is_no_json_is_one_sentence(text, why, read, root):
    path = root / "annotations/instances_train.json"
    path.write_text(text)
    assert problems_of(read) == [f"{path} {why}"]


def test_lists_and_settings_that_are_not_there(read, root):
    annotations = root / "annotations"
    assert problems_of(read, train="trian") == [
        f"dataset.train: {annotations}/instances_trian.json does not exist; did you mean instances_train.json?"
    ]
    assert problems_of(read, evaluate="annotations/val.json") == [
        f"dataset.evaluate: {annotations}/val.json does not exist"
    ]
    assert problems_of(read, evaluate="20%") == [
        "dataset.evaluate: 20% is drawn in data of kind folder alone; name a list"
    ]
    [problem] = problems_of(read, classes=["dogs", "dog"])
    assert problem == "dataset.classes: unknown class dogs; did you mean dog?"
    assert problems_of(read, classes=["dog"], ignore=["dog", "hat"]) == [
        "dataset.ignore: dog is also in dataset.classes",
        "dataset.ignore: unknown class hat; known are person, car, dog, toothbrush",
    ]
    assert "dataset.negative: no image of" in problems_of(read, negative="hat")[0]


def test_an_image_in_two_json_with_different_objects(read, root):
    part = coco_json({"train_2": OBJECTS["train_1"], "train_3": OBJECTS["train_3"]})
    (root / "annotations/instances_part.json").write_text(json.dumps(part))
    [problem] = problems_of(read, label="part")
    assert problem == (
        f"{root}/annotations/instances_train.json and {root}/annotations/instances_part.json have different files or "
        "objects for image train_2"
    )


def test_a_category_named_background(read, root):
    for split in ("train", "val"):
        edit(root, change_entry("categories", 0, name="Background"), split)
    files = ", ".join(f"{root}/annotations/instances_{split}.json" for split in ("train", "val"))
    assert problems_of(read) == [
        f"{files}: class Background is reserved for value 0 of the masks and must not be a tag"
    ]


def test_too_many_categories_for_a_mask(read, root):
    more = [{"id": 1000 + k, "name": f"thing {k}"} for k in range(251)]
    edit(root, lambda content: content["categories"].extend(more))
    assert problems_of(read)[0].endswith("255 categories; a label PNG holds at most 254")


def test_images_of_another_size_are_reported_at_the_start(read, root, results):
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(root / "train/train_2.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "train/train_3.jpg", exif=exif)
    found = open_images(read(), results, 1, skips=False)
    assert found.problems == [
        f"image {root}/train/train_2.jpg is {WIDTH + 1}×{HEIGHT}, but its annotations are of {WIDTH}×{HEIGHT}",
        f"image {root}/train/train_3.jpg is {HEIGHT}×{WIDTH}, but its annotations are of {WIDTH}×{HEIGHT}, before EXIF "
        "turns it",
    ]
