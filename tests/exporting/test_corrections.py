"""What came back from other tools becomes corrections: all of it, or nothing with all problems in one list.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_corrections.py`.
"""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from labels import CLASSES, export, known_of, read_back, write_images, zip_folder
from PIL import Image

from wsgcn.exporting.contract import Known
from wsgcn.exporting.corrections import fingerprint, import_corrections, record_exported
from wsgcn.exporting.masks import read_masks
from wsgcn.files import read_label, voc_palette, write_label
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS

READERS = {row.title: load(row.read) for row in EXPORTERS.values()} | {"a folder of label PNGs": read_masks}


def labels():
    """Three labels of 8×12 pixels."""
    found = {name: np.zeros((8, 12), np.uint8) for name in "abc"}
    for k, label in enumerate(found.values(), start=1):
        label[2:6, 2:8] = k
    return found


def corrected():
    """The same with a part of b's and c's object added."""
    found = labels()
    found["b"][6, 3] = 2
    found["c"][0, 0] = 1
    return found


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "own", labels(), confident=False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data/corrections"


def come_back(folder, name, contents, **changed):
    """Files of a format with these labels, as its tool gives them back."""
    path = export(folder, name, write_images(folder, contents, confident=False), **changed)[0]
    if name == "label-studio":
        tasks = json.loads(path.read_text())
        for task in tasks:
            task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
        path.write_text(json.dumps(tasks))
    return path


def take(source, folder, exported=(), keep_unchanged=False, overwrite=False, known=None):
    known = known or known_of(labels())
    return import_corrections(str(source), known, str(folder), READERS, exported, keep_unchanged, overwrite)


def record(tmp_path, name, images, **changed):
    path = export(tmp_path / "export", name, images, **changed)[0]
    record_exported(str(tmp_path / "unchanged.json"), str(path), images, CLASSES, load(EXPORTERS[name].read))
    return [tmp_path / "unchanged.json", tmp_path / "none.json"]


@pytest.mark.parametrize("name", EXPORTERS)
def test_what_was_changed_becomes_a_correction(name, images, folder, tmp_path):
    exported = record(tmp_path, name, images)
    done = take(come_back(tmp_path / "back", name, corrected()), folder, exported)
    assert (done.problems, done.written, done.unchanged) == ([], ["b", "c"], ["a"])
    assert sorted(path.name for path in folder.iterdir()) == ["b.png", "c.png"]
    for image in "bc":
        np.testing.assert_array_equal(read_label(folder / f"{image}.png"), corrected()[image])
        with Image.open(folder / f"{image}.png") as png:
            assert png.mode == "P" and png.getpalette() == voc_palette().ravel().tolist()
    assert "2 images written" in done.describe(str(folder))[0] and "keep_unchanged" in done.describe(str(folder))[1]


def test_polygons_with_fewer_corners_come_back_unchanged(tmp_path, folder):
    y, x = np.mgrid[:40, :50]
    disc = {name: ((y - 20) ** 2 + (x - 25) ** 2 < 150 + k).astype(np.uint8) for k, name in enumerate("abc")}
    images = write_images(tmp_path / "own", disc, confident=False)
    changed = {"coco": "polygons", "polygon_tolerance": 1.5}
    exported = record(tmp_path, "coco", images, **changed)
    back = export(tmp_path / "back", "coco", images, **changed)[0]
    assert not all(np.array_equal(read_back("coco", back, known_of(disc))[0][name], disc[name]) for name in disc)
    assert take(back, folder, exported, known=known_of(disc)).unchanged == ["a", "b", "c"]
    exact = export(tmp_path / "exact", "coco", images)[0]
    assert take(exact, folder, exported, known=known_of(disc)).unchanged == ["a", "b", "c"]


def test_checked_images_are_corrections_too(images, folder, tmp_path):
    exported = record(tmp_path, "coco", images)
    back = come_back(tmp_path / "back", "coco", corrected())
    assert take(back, folder, exported, keep_unchanged=True).written == ["a", "b", "c"]
    shutil.rmtree(folder)
    assert take(back, folder).written == ["a", "b", "c"]  # of what was never exported, nobody knows what is unchanged


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_tagged_image_without_objects_was_not_annotated(name, folder, tmp_path):
    """COCO and YOLO list every image of a task, and Label Studio submits empty annotations."""
    blank = labels() | {key: np.zeros((8, 12), np.uint8) for key in "bc"}
    back = come_back(tmp_path / "back", name, blank)
    known = {key: label.shape for key, label in labels().items()}
    done = take(back, folder, known=Known(known, CLASSES, ("a", "b")))
    assert (done.problems, done.written, done.without_objects) == ([], ["a", "c"], ["b"])
    assert "1 image came back without any object" in done.describe(str(folder))[1]
    done = take(back, folder, keep_unchanged=True, known=Known(known, CLASSES, ("a", "b")))
    assert (done.written, done.present) == (["b"], ["a", "c"])


def test_another_correction_is_replaced_only_on_request(folder, tmp_path):
    write_label(folder / "b.png", labels()["b"])
    write_label(folder / "c.png", corrected()["c"])
    back = come_back(tmp_path / "back", "coco", corrected())
    done = take(back, folder)
    assert done.problems == [f"{folder}/b.png is another correction of b; exchange.overwrite: true replaces it"]
    assert sorted(path.name for path in folder.iterdir()) == ["b.png", "c.png"]
    np.testing.assert_array_equal(read_label(folder / "b.png"), labels()["b"])
    done = take(back, folder, overwrite=True)
    assert (done.written, done.present, done.problems) == (["a", "b"], ["c"], [])
    np.testing.assert_array_equal(read_label(folder / "b.png"), corrected()["b"])


def test_a_folder_of_masks_may_say_nothing_of_pixels(folder, tmp_path):
    partial = np.full((8, 12), 255, np.uint8)
    partial[3, 4:6] = 0, 2
    write_label(tmp_path / "masks/a.png", partial)
    write_label(tmp_path / "masks/b.png", np.full((8, 12), 255))
    done = take(tmp_path / "masks", folder)
    assert (done.written, done.empty, done.open_pixels) == (["a"], ["b"], 94)
    np.testing.assert_array_equal(read_label(folder / "a.png"), partial)
    archive = zip_folder(tmp_path / "masks", tmp_path / "masks.zip")
    assert take(archive, folder).present == ["a"]


def test_nothing_is_written_where_anything_is_wrong(folder, tmp_path):
    bad = labels() | {"d": labels()["a"]}
    bad["c"] = bad["c"][:5]
    done = take(come_back(tmp_path / "back", "yolo", bad), folder)
    assert len(done.problems) == 1 and "labels/train/d.txt: no image to label is named d" in done.problems[0]
    assert not folder.exists()
    done = take(come_back(tmp_path / "more", "cvat", bad), folder)
    assert len(done.problems) == 2
    assert "SegmentationClass/c.png: is 12×5, but image c is 12×8" in done.problems[0]
    assert not folder.exists()


def test_what_is_of_no_format_is_refused(folder, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match="notes.txt is of no known format; known are COCO, CVAT's"):
        take(tmp_path / "notes.txt", folder)
    with pytest.raises(ValueError, match="none.json does not exist"):
        take(tmp_path / "none.json", folder)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match="broken.json is of no known format"):
        take(tmp_path / "broken.json", folder)


def test_fingerprints_know_the_shape():
    assert fingerprint(np.zeros((2, 3))) != fingerprint(np.zeros((3, 2)))
    assert fingerprint(np.zeros((2, 3))) == fingerprint(np.zeros((2, 3), np.uint8))


# What tools write that this workflow does not


def square(**changed):
    return {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [[2, 2, 8, 2, 8, 6, 2, 6]]} | changed


def coco(tmp_path, *annotations, **changed):
    content = {
        "images": [{"id": 7, "file_name": "sub/a.jpg", "height": 8, "width": 12}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "leaf rust"}, {"id": 9, "name": "dgo"}],
        "annotations": list(annotations),
    } | changed
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return read_back("coco", tmp_path / "coco.json", known_of(labels()))


def test_coco_of_other_tools(tmp_path):
    (found, problems) = coco(tmp_path, square(iscrowd=1))
    assert not problems
    np.testing.assert_array_equal(found["a"], labels()["a"])
    counts = np.diff(np.flatnonzero(np.diff(labels()["a"].ravel(order="F"), prepend=2, append=2))).tolist()
    found, problems = coco(tmp_path, square(segmentation={"size": [8, 12], "counts": counts}))
    assert not problems
    np.testing.assert_array_equal(found["a"], labels()["a"])


def test_pixels_of_two_classes_stay_open(tmp_path):
    found, problems = coco(tmp_path, square(), square(category_id=2, segmentation=[[7, 2, 12, 2, 12, 6, 7, 6]]))
    assert not problems
    expected = labels()["a"]
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
    return read_back("label-studio", tmp_path / "tasks.json", known_of(labels()))


def region(kind="polygonlabels", **changed):
    points = [[x / 12 * 100, y / 8 * 100] for x, y in ((2, 2), (8, 2), (8, 6), (2, 6))]
    value = {"points": points, "closed": True, kind: ["cat"]}
    return {"id": "r", "type": kind, "original_width": 12, "original_height": 8, "value": value} | changed


def test_polygons_of_label_studio(tmp_path):
    for kind in ("polygonlabels", "labels"):
        found, problems = tasks(tmp_path, region(kind), {"type": "choices", "value": {"choices": ["x"]}})
        assert not problems
        np.testing.assert_array_equal(found["a"], labels()["a"])


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
    np.testing.assert_array_equal(found["a"], labels()["a"])


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
    return read_back("yolo", tmp_path / "yolo", known_of(labels()))


SQUARE = "0.16666667 0.25 0.66666667 0.25 0.66666667 0.75 0.16666667 0.75"


@pytest.mark.parametrize(("file", "names"), [("data.yaml", "names: {0: cat}"), ("classes.txt", "cat\nleaf rust\n")])
def test_yolo_of_other_tools(file, names, tmp_path):
    found, problems = yolo(tmp_path, f"0 {SQUARE}\n\n", names, file)
    assert not problems
    np.testing.assert_array_equal(found["a"], labels()["a"])


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
    found, [problem] = read_back("yolo", tmp_path / "yolo", known_of(labels()))
    assert not found and problem.startswith("yolo: labels/a.txt: cannot be read: ")
    found, [problem] = cvat(tmp_path, b"gr\xfcn:0,0,0::", [[[0, 0, 0]] * 3])
    assert not found and problem.startswith("cvat.zip: labelmap.txt: cannot be read: ")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 1), ("MAX_BYTES", 4_999_999)])
def test_an_archive_that_is_too_large_is_refused_unopened(limit, value, folder, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "back.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels/a.txt", bytes(5_000_000))
        archive.writestr("labels/b.txt", b"")
    monkeypatch.setattr(f"wsgcn.exporting.returned.{limit}", value)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    with pytest.raises(ValueError, match=r"back.zip unpacks to 2 files of 0.0 GB; at most [\d,]+ files and [\d.]+ GB"):
        take(tmp_path / "back.zip", folder)


def test_a_damaged_archive_is_refused(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "back.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(range(256)) * 40)
    damaged = bytearray((tmp_path / "back.zip").read_bytes())
    damaged[40:60] = b"\xff" * 20
    (tmp_path / "back.zip").write_bytes(damaged)
    with pytest.raises(ValueError, match="back.zip cannot be unpacked"):
        take(tmp_path / "back.zip", folder)


def test_masks_of_other_values_or_modes_are_reported(folder, tmp_path):
    write_label(tmp_path / "masks/a.png", np.full((8, 12), 7))
    Image.new("RGB", (12, 8)).save(tmp_path / "masks/b.png")
    done = take(tmp_path / "masks", folder)
    assert [problem.rpartition("masks: ")[2] for problem in done.problems] == [
        "a.png: contains values of no class: 7",
        "b.png: label b.png has mode RGB; class indices need a palette (P) or grey (L) PNG",
    ]
