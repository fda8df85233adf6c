"""What came back from other tools becomes corrections: all of it, or nothing with all problems in one list.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_corrections.py`.
"""

import json
import shutil
import zipfile

import numpy as np
import pytest
from labels import CLASSES, export, known_of, read_back, small_labels, write_images, zip_folder
from PIL import Image

from wsgcn.exporting.contract import Known
from wsgcn.exporting.corrections import fingerprint, import_corrections, record_exported
from wsgcn.exporting.masks import read_masks
from wsgcn.files import read_label, voc_palette, write_label
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS

READERS = {row.title: load(row.read) for row in EXPORTERS.values()} | {"a folder of label PNGs": read_masks}


def corrected():
    """The same with a part of b's and c's object added."""
    found = small_labels()
    found["b"][6, 3] = 2
    found["c"][0, 0] = 1
    return found


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "own", small_labels(), confident=False)


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
    known = known or known_of(small_labels())
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
    blank = small_labels() | {key: np.zeros((8, 12), np.uint8) for key in "bc"}
    back = come_back(tmp_path / "back", name, blank)
    known = {key: label.shape for key, label in small_labels().items()}
    done = take(back, folder, known=Known(known, CLASSES, ("a", "b")))
    assert (done.problems, done.written, done.without_objects) == ([], ["a", "c"], ["b"])
    assert "1 image came back without any object" in done.describe(str(folder))[1]
    done = take(back, folder, keep_unchanged=True, known=Known(known, CLASSES, ("a", "b")))
    assert (done.written, done.present) == (["b"], ["a", "c"])


def test_another_correction_is_replaced_only_on_request(folder, tmp_path):
    write_label(folder / "b.png", small_labels()["b"])
    write_label(folder / "c.png", corrected()["c"])
    back = come_back(tmp_path / "back", "coco", corrected())
    done = take(back, folder)
    assert done.problems == [f"{folder}/b.png is another correction of b; exchange.overwrite: true replaces it"]
    assert sorted(path.name for path in folder.iterdir()) == ["b.png", "c.png"]
    np.testing.assert_array_equal(read_label(folder / "b.png"), small_labels()["b"])
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
    bad = small_labels() | {"d": small_labels()["a"]}
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
