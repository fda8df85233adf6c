"""The reader of COCO's instances, the index of its JSON, and the jobs that paint masks.

Run alone: `.venv/bin/python -m pytest tests/data/test_coco_reader.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_coco import CATEGORIES, HEIGHT, OBJECTS, WIDTH, coco_json, edit, rectangle

from wsgcn.data import coco_index
from wsgcn.data.coco_index import load_index, read_index
from wsgcn.data.coco_json import read_entries, scan_arrays
from wsgcn.data.coco_painting import paint_masks
from wsgcn.data.dataset import painting_digest, read_truth
from wsgcn.files import read_label

NAMES = tuple(CATEGORIES.values())
SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"


# What is read


def test_categories_with_gaps_become_classes(read, root, results):
    data = read()
    assert data.classes == data.numbering == NAMES
    assert data.mask_values == (0, 1, 2, 3, 4, *[-1] * 250, 255)
    assert {i: image.classes for i, image in data.images.items()} == {
        "train_1": (1, 3),
        "train_2": (2,),
        "train_3": (4,),
        "train_4": (),
        "val_1": (3,),
        "val_2": (1,),  # a crowd shows its class, too
    }
    assert list(data.train) == list(data.label) == ["train_1", "train_2", "train_3", "train_4"]
    assert list(data.evaluate) == ["val_1", "val_2"]
    assert [i for i, image in data.images.items() if image.negative] == ["train_4"]
    assert data.train["train_1"].path == str(root / "train/train_1.jpg")
    assert data.train["train_1"].mask == str(results / "data/masks/train_1.png")
    assert data.sources == tuple(str(root / f"annotations/instances_{split}.json") for split in ("train", "val"))
    assert data.remarks == ()


def test_lists_may_be_files(read, root):
    (root / "annotations/instances_val.json").rename(root / "held.json")
    for path in (root / "val").iterdir():
        path.rename(root / path.name)
    data = read(evaluate="held.json")
    assert list(data.evaluate) == ["val_1", "val_2"] and data.evaluate["val_1"].path == str(root / "val_1.jpg")


@pytest.mark.parametrize("folder", ["images/train", "annotations", "images", "."])
def test_images_are_found_in_other_layouts(folder, read, root):
    (root / "train").rename(root / "moved")
    (root / folder).mkdir(parents=True, exist_ok=True)
    for path in (root / "moved").iterdir():
        path.rename(root / folder / path.name)
    assert all(Path(image.path).is_file() for image in read().train.values())


def test_a_subset_ignores_the_others(read, root):
    data = read(classes=["dog", "person"])
    assert data.classes == ("dog", "person") and data.numbering == NAMES
    assert data.mask_values[:6] == (0, 2, 255, 1, 255, -1)
    assert data.train["train_1"].classes == (1, 2)
    assert list(data.train) == ["train_1", "train_4"]  # 2 and 3 show other things, 4 shows nothing
    assert "dataset.train: 2 images, the first train_2, without any of the classes, left out" in data.remarks
    assert [i for i, image in read(classes=["dog"], others="negative").train.items() if image.negative] == [
        *("train_2", "train_3", "train_4")
    ]


def test_categories_are_left_out_or_stand_for_negatives(read):
    data = read(ignore=["car"], negative="toothbrush")
    assert data.classes == ("person", "dog")
    assert data.mask_values[:6] == (0, 1, 255, 2, 0, -1)
    assert data.train["train_3"].negative and data.train["train_3"].classes == ()
    assert "train_2" not in data.train


def test_objects_without_segmentation_give_no_mask(read, root):
    def strip(content):
        content["annotations"][0]["segmentation"] = []
        del content["annotations"][2]["segmentation"]
        content["annotations"][-1]["segmentation"].append([1, 2, 3, 4])

    edit(root, strip)
    data = read()
    assert [i for i, image in data.train.items() if image.mask] == ["train_3", "train_4"]
    assert data.train["train_1"].classes == (1, 3)
    json_file = root / "annotations/instances_train.json"
    assert data.remarks == (
        f"{json_file}: 2 images with objects without segmentation, so without a mask",
        f"{json_file}: 1 polygon of fewer than three corners, which cover no pixel",
    )


def test_two_lists_may_share_images(read, root):
    """Also where their JSONs are formatted differently."""
    part = coco_json({"train_2": OBJECTS["train_2"]})
    (root / "annotations/instances_part.json").write_text(json.dumps(part, indent=2))
    data = read(label="part", train="train")
    assert data.label == {"train_2": data.train["train_2"]}


# Painting


def paint(data, images, folder):
    outputs = [data.images[image].mask for image in images]
    digests = [data.images[image].painted.digest for image in images]
    paint_masks(outputs, {"sources": data.sources, "digest": painting_digest(data.numbering, digests)})
    return [read_label(output) for output in outputs]


def test_masks_are_painted_of_all_lists(read, results):
    data = read()
    one, two, empty, crowd = paint(data, ["train_1", "train_2", "train_4", "val_2"], results)
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[5:30, 5:40], expected[10:20, 10:20] = 1, 3
    np.testing.assert_array_equal(one, expected)
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[2:30, 2:30], expected[4:12, 4:20] = 255, 2
    np.testing.assert_array_equal(two, expected)
    assert not empty.any() and empty.shape == (HEIGHT, WIDTH)
    assert set(np.unique(crowd)) == {0, 255}


def test_a_mask_means_what_its_data_set_says(read, results):
    data = read(classes=["dog"])
    paint(data, ["train_1"], results)
    truth = read_truth(data.images["train_1"].mask, data.mask_values)
    assert (truth[15, 15], truth[25, 30], truth[0, 0]) == (1, 255, 0)


def test_thin_rings_cover_nothing(read, root, results):
    edit(root, lambda content: content["annotations"][0]["segmentation"].append([1, 2, 3, 4]))
    edit(root, lambda content: content["annotations"][1].update(segmentation=[[1, 2]]))
    [label] = paint(read(), ["train_1"], results)
    assert set(np.unique(label)) == {0, 1}


def test_a_json_that_changes_in_mid_run_is_refused(read, root, results):
    data = read()
    edit(root, lambda content: content["annotations"][0].update(category_id=3))
    with pytest.raises(ValueError, match="instances_train.json, .*instances_val.json: changed since this run was plan"):
        paint(data, ["train_1"], results)
    assert paint(data, ["train_3"], results)  # whose objects are the same


# The index


def test_a_json_is_parsed_once(read, root, results, monkeypatch):
    data = read()
    monkeypatch.setattr(coco_index, "read_index", None)
    assert read() == data
    paint(data, ["train_2"], results)
    monkeypatch.undo()
    edit(root, lambda content: content["annotations"].pop())
    assert read() != data


def test_digests_change_with_what_is_painted_alone(root, results):
    path = root / "annotations/instances_train.json"
    before = read_index(path).digests
    edit(root, lambda content: content["images"].reverse() or content["annotations"][0].update(area=7, id=999))
    assert read_index(path).digests == before[::-1]
    for change in (
        {"iscrowd": 1},
        {"category_id": 3},
        {"segmentation": [rectangle(5, 5, 40, 31)]},
    ):
        edit(root, lambda content, change=change: content["annotations"][0].update(change))
        changed = read_index(path).digests
        assert changed[:-1] == before[:0:-1] and changed[-1] != before[0]
        before = changed[::-1]


def test_an_index_comes_back_from_its_cache(root, tmp_path):
    path = root / "annotations/instances_train.json"
    new, cached = load_index(path, tmp_path), load_index(path, tmp_path)
    for name in new.__dataclass_fields__:
        np.testing.assert_equal(getattr(cached, name), getattr(new, name))
    annotations = json.loads(path.read_text())["annotations"]
    assert read_entries(path, new.objects_of(0)) == annotations[:2] and new.objects_of(3) == []


def test_entries_are_those_of_json(tmp_path):
    content = coco_json() | {"images": [{"file_name": "Käfer \u4e2d.jpg", "a": [{"]": "}"}, '\\"']}, 5, None, []]}
    for text in (
        json.dumps(content),
        json.dumps(content, ensure_ascii=False, indent=3),
        json.dumps(content, indent="\t"),
    ):
        for mark in (b"", b"\xef\xbb\xbf"):
            (tmp_path / "a.json").write_bytes(raw := mark + text.encode())
            spans = {name: [] for name in ("images", "categories", "annotations", "absent")}
            takers = {name: lambda _, *span, own=own: own.append(span) for name, own in spans.items()}
            assert scan_arrays(raw, takers) == {"images", "categories", "annotations"}
            for name, own in spans.items():
                entries = [json.loads(raw[start:end]) for start, end in own]
                assert entries == content.get(name, [])


def test_names_in_any_script(read, root):
    def rename(content):
        content["images"][0]["file_name"] = f"Käfer {content['images'][0]['file_name'][0]}.jpg"
        content["categories"][2]["name"] = "犬"

    for split in ("train", "val"):
        edit(root, rename, split)
    (root / "train/train_1.jpg").rename(root / "train/Käfer t.jpg")
    escaped = read()
    path = root / "annotations/instances_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False), encoding="utf-8")
    assert read() == escaped and escaped.classes[2] == "犬" and "Käfer t" in escaped.train


def test_ids_may_be_text_of_any_script(read, root):
    def rename(content):
        ids = {image["id"]: f"犬 {image['id']}" for image in content["images"]}
        for image in content["images"]:
            image["id"] = ids[image["id"]]
        for annotation in content["annotations"]:
            annotation["image_id"] = ids[annotation["image_id"]]

    numbered = read()
    edit(root, rename)
    path = root / "annotations/instances_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False), encoding="utf-8")
    assert read() == numbered


def test_reading_imports_no_torch():
    code = "import sys, wsgcn.data.readers.coco; print(*{'torch', 'mlflow', 'scipy', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
