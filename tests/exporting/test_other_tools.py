"""What other tools write that this workflow does not: read as meant, or reported.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_other_tools.py`.
"""

import io
import json
import zipfile

import numpy as np
import pytest
from labels import CLASSES, known_of, read_back, small_labels
from PIL import Image

from wsgcn.exporting.contract import Known


def square(**changed):
    return {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [[2, 2, 8, 2, 8, 6, 2, 6]]} | changed


def coco(tmp_path, *annotations, **changed):
    content = {
        "images": [{"id": 7, "file_name": "sub/a.jpg", "height": 8, "width": 12}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "leaf rust"}, {"id": 9, "name": "dgo"}],
        "annotations": list(annotations),
    } | changed
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return read_back("coco", tmp_path / "coco.json", known_of(small_labels()))


def test_coco_of_other_tools(tmp_path):
    (found, problems) = coco(tmp_path, square(iscrowd=1))
    assert not problems
    np.testing.assert_array_equal(found["a"], small_labels()["a"])
    counts = np.diff(np.flatnonzero(np.diff(small_labels()["a"].ravel(order="F"), prepend=2, append=2))).tolist()
    found, problems = coco(tmp_path, square(segmentation={"size": [8, 12], "counts": counts}))
    assert not problems
    np.testing.assert_array_equal(found["a"], small_labels()["a"])


def test_pixels_of_two_classes_stay_open(tmp_path):
    found, problems = coco(tmp_path, square(), square(category_id=2, segmentation=[[7, 2, 12, 2, 12, 6, 7, 6]]))
    assert not problems
    expected = small_labels()["a"]
    expected[2:6, 7:] = 2
    expected[2:6, 7] = 255
    np.testing.assert_array_equal(found["a"], expected)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"category_id": 9}, "unknown class dgo; known are cat, leaf rust, Größe"),
        ({"segmentation": []}, "has no segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "a polygon has 4 coordinates"),
        ({"segmentation": {"size": [5, 5], "counts": [25]}}, "its mask is 5×5, but its image is 12×8"),
        ({"segmentation": {"size": [8, 12], "counts": [5, 5]}}, "its run lengths do not fill the image"),
        ({"segmentation": {"size": [8, 12], "counts": "PPPP00"}}, "its run lengths do not fill the image"),
        ({"segmentation": {"size": [8, 12], "counts": "P"}}, "its segmentation cannot be read"),
        ({"segmentation": {"size": [8, 12]}}, "its segmentation cannot be read: 'counts'"),
        ({"segmentation": [["x"] * 6]}, "could not convert string to float"),
        ({"category_id": [1]}, "unhashable type"),
        ({"image_id": 8}, "annotation 1 is of image 8, which is not listed"),
    ],
)
def test_broken_coco_is_reported(changed, problem, tmp_path):
    _, [found] = coco(tmp_path, square(**changed))
    assert found.startswith("coco.json: annotation 1") and problem in found


def test_coco_of_unknown_images_and_sizes(tmp_path):
    entries = [
        {"id": 1, "file_name": "nobody.jpg", "height": 8, "width": 12},
        {"id": 2, "file_name": "a.jpg", "height": 12, "width": 8},
        {"id": 3, "file_name": "c.jpg"},
        {"id": 4, "file_name": "b.jpg", "height": 8, "width": 12},
        {"id": 5, "file_name": "other/b.png", "height": 8, "width": 12},
    ]
    found, problems = coco(tmp_path, images=entries)
    assert list(found) == ["c", "b"] and not found["b"].any()
    assert problems == [
        "coco.json: image nobody.jpg: no image to label is named nobody",
        "coco.json: image a.jpg: is 8×12, but image a is 12×8",
        "coco.json: image other/b.png: image b comes back twice, first in coco.json: image b.jpg",
    ]
    _, problems = coco(tmp_path, categories=[{"id": 1}])
    assert problems == ["coco.json: an entry lacks 'name', which COCO's format has"]


def tasks(tmp_path, *results, **changed):
    """Label Studio's export of one task with these regions."""
    task = {"id": 5, "data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"}, "annotations": [{"result": list(results)}]}
    (tmp_path / "tasks.json").write_text(json.dumps([task | changed]))
    return read_back("label-studio", tmp_path / "tasks.json", known_of(small_labels()))


def region(kind="polygonlabels", **changed):
    points = [[x / 12 * 100, y / 8 * 100] for x, y in ((2, 2), (8, 2), (8, 6), (2, 6))]
    value = {"points": points, "closed": True, kind: ["cat"]}
    return {"id": "r", "type": kind, "original_width": 12, "original_height": 8, "value": value} | changed


def test_polygons_of_label_studio(tmp_path):
    for kind in ("polygonlabels", "labels"):
        found, problems = tasks(tmp_path, region(kind), {"type": "choices", "value": {"choices": ["x"]}})
        assert not problems
        np.testing.assert_array_equal(found["a"], small_labels()["a"])


@pytest.mark.parametrize(
    "file",
    ["a", "a.png", "sub/a.tif", "http://x/0a1b2c3d-a.jpg?X-Amz=1", "/data/local-files/?d=photos/a.jpg", "C:\\a.png"],
)
def test_a_task_s_image_is_found_by_its_name(file, tmp_path):
    found, problems = tasks(tmp_path, region(), data={"note": "of Monday", "image": file, "size": 3})
    assert list(found) == ["a"] and not problems


def test_names_with_a_per_cent_sign_are_taken_as_they_are():
    known = Known(dict.fromkeys(("a%20b", "50%25", "c d"), (1, 1)), CLASSES)
    files = ("sub/a%20b.png", "50%25.jpg", "http://x/c%20d.png", "a%2520b.png")
    assert [known.match(file) for file in files] == ["a%20b", "50%25", "c d", "a%20b"]


def test_tasks_without_a_submitted_annotation_say_nothing(tmp_path):
    assert tasks(tmp_path, annotations=[]) == ({}, [])
    assert tasks(tmp_path, annotations=[{"result": [], "was_cancelled": True}]) == ({}, [])
    found, problems = tasks(tmp_path)
    assert not problems and not found["a"].any()


def test_what_is_said_of_a_region_is_no_mask(tmp_path):
    said = [region(type=kind, value={"points": [[1, 2]], kind: ["x"]}) for kind in ("choices", "textarea", "taxonomy")]
    found, problems = tasks(tmp_path, region(), *said)
    assert not problems
    np.testing.assert_array_equal(found["a"], small_labels()["a"])


def test_broken_tasks_are_reported(tmp_path):
    assert tasks(tmp_path, annotations=None) == ({}, [])
    assert tasks(tmp_path, annotations=[{"result": None}])[1] == []
    for broken in ([1], [{"result": [1]}], 1):
        found, [problem] = tasks(tmp_path, annotations=broken)
        assert not found and problem.startswith("tasks.json: task 5: is not as Label Studio writes it: ")


def test_of_several_annotations_one_must_be_the_truth(tmp_path):
    several = [{"result": [region()]}, {"result": []}]
    _, problems = tasks(tmp_path, annotations=several)
    assert problems == ["tasks.json: task 5: has 2 annotations; mark one of them as ground truth, or delete the others"]
    several[0]["ground_truth"] = True
    found, problems = tasks(tmp_path, annotations=several)
    assert not problems and found["a"].any()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"value": {"x": 1, "rectanglelabels": ["cat"]}, "type": "rectanglelabels"}, "only brushes and polygons"),
        ({"value": {"rle": [1, 2], "brushlabels": ["cat"]}}, "its brush code is not that of 12×8 pixels"),
        ({"original_width": 13}, "is 13×8, but image a is 12×8"),
        ({"original_height": None}, "needs both original_width and original_height"),
        ({"value": None}, "only brushes and polygons"),
        ({"image_rotation": 90}, "the image is turned by 90°"),
        ({"value": region()["value"] | {"polygonlabels": ["cta"]}}, "unknown class cta; did you mean cat?"),
        ({"value": region()["value"] | {"polygonlabels": []}}, "has 0 labels; a region needs one"),
        ({"value": {"points": [[1, 2]], "polygonlabels": ["cat"]}}, "a polygon has 2 coordinates"),
    ],
)
def test_broken_regions_are_reported(changed, problem, tmp_path):
    _, [found] = tasks(tmp_path, region(**changed))
    assert found.startswith("tasks.json: task 5: region r of a: ") and problem in found


def cvat(tmp_path, label_map, colours):
    stream = io.BytesIO()
    Image.fromarray(np.array(colours, np.uint8)).save(stream, format="PNG")
    with zipfile.ZipFile(tmp_path / "cvat.zip", "w") as archive:
        archive.writestr("labelmap.txt", label_map)
        archive.writestr("SegmentationClass/a.png", stream.getvalue())
    return read_back("cvat", tmp_path / "cvat.zip", Known({"a": (1, 3)}, CLASSES))


def test_cvat_s_own_colours(tmp_path):
    label_map = (
        "# label:color_rgb:parts:actions\nleaf rust:1,2,3::\nBackground:0,0,0::\ncat:250,50,83::\nother:9,9,9::\n"
    )
    found, problems = cvat(tmp_path, label_map, [[[250, 50, 83], [0, 0, 0], [1, 2, 3]]])
    assert (found["a"].tolist(), problems) == ([[1, 0, 2]], [])
    _, problems = cvat(tmp_path, label_map, [[[250, 50, 83], [9, 9, 9], [224, 224, 192]]])
    assert [problem.partition(";")[0] for problem in problems] == [
        "cvat.zip: SegmentationClass/a.png: unknown class other",
        "cvat.zip: SegmentationClass/a.png: 1 pixel of colour (224, 224, 192), which labelmap.txt lacks",
    ]
    _, problems = cvat(tmp_path, "cat;1\nbackground:0,0,0::", [[[0, 0, 0]] * 3])
    assert problems == ["cvat.zip: labelmap.txt: line 1 is not name:red,green,blue:parts:actions"]


def yolo(tmp_path, text, names="names: [cat, leaf rust, dgo]", file="data.yaml"):
    (tmp_path / "yolo/labels").mkdir(parents=True, exist_ok=True)
    (tmp_path / "yolo" / file).write_text(names)
    (tmp_path / "yolo/labels/a.txt").write_text(text)
    return read_back("yolo", tmp_path / "yolo", known_of(small_labels()))


SQUARE = "0.16666667 0.25 0.66666667 0.25 0.66666667 0.75 0.16666667 0.75"


@pytest.mark.parametrize(("file", "names"), [("data.yaml", "names: {0: cat}"), ("classes.txt", "cat\nleaf rust\n")])
def test_yolo_of_other_tools(file, names, tmp_path):
    found, problems = yolo(tmp_path, f"0 {SQUARE}\n\n", names, file)
    assert not problems
    np.testing.assert_array_equal(found["a"], small_labels()["a"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.1 0.1 0.2 0.2", "is a box, not a polygon"),
        ("0 0.1 0.1 0.2", "a polygon has 3 coordinates"),
        (f"2 {SQUARE}", "unknown class dgo"),
        (f"5 {SQUARE}", "no class 5 is named"),
        ("0 a b c d e f", "could not convert string to float: 'a'"),
    ],
)
def test_broken_lines_of_yolo_are_reported(line, problem, tmp_path):
    _, [found] = yolo(tmp_path, line)
    assert found.startswith("yolo: labels/a.txt: line 1: ") and problem in found


def test_yolo_without_names_is_refused(tmp_path):
    for names in ("path: .", "names: {cat: 0}", "names: {0: [", "names: 3"):
        _, problems = yolo(tmp_path, "", names)
        assert problems == ["yolo: needs the names of the classes, by number and in UTF-8, in data.yaml or classes.txt"]


def test_texts_that_are_not_utf_8_are_reported(tmp_path):
    yolo(tmp_path, "")
    (tmp_path / "yolo/labels/a.txt").write_bytes(b"\xff")
    found, [problem] = read_back("yolo", tmp_path / "yolo", known_of(small_labels()))
    assert not found and problem.startswith("yolo: labels/a.txt: cannot be read: ")
    found, [problem] = cvat(tmp_path, b"gr\xfcn:0,0,0::", [[[0, 0, 0]] * 3])
    assert not found and problem.startswith("cvat.zip: labelmap.txt: cannot be read: ")
