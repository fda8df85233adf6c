"""The reader of PASCAL VOC devkits."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsgcn.data.dataset import DatasetError, read_truth
from wsgcn.data.readers.voc import VOC_CLASSES
from wsgcn.files import read_label, write_label
from wsgcn.workflow.inputs import read_dataset

NOWHERE = Path("nowhere")  # results, which this reader does not use
VOC = {
    "a": ["person", "dog", "dog"],
    "b": ["aeroplane"],
    "c": ["dog"],
    "d": ["tvmonitor", "person"],
}


@pytest.fixture
def voc(tmp_path):
    """A devkit root of four images: train a, b, c and val c, d; d has no mask."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for identifier, names in VOC.items():
        objects = "".join(f"<object><name>{n}</name><part><name>head</name></part></object>" for n in names)
        (tmp_path / f"Annotations/{identifier}.xml").write_text(f"<annotation>{objects}</annotation>")
        Image.new("RGB", (6, 4)).save(tmp_path / f"JPEGImages/{identifier}.jpg")
        if identifier != "d":
            values = [0, 255, *(1 + VOC_CLASSES.index(n) for n in names)]
            write_label(tmp_path / f"SegmentationClass/{identifier}.png", np.resize(values, (4, 6)))
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nb\nc\n")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("c\nd\n")
    return tmp_path


def read_voc(root, **changed):
    lists = {"train": "train", "label": "train", "evaluate": "val"}
    return read_dataset({"kind": "voc", "root": str(root), "classes": []} | lists | changed, 0, NOWHERE)


def test_all_classes(voc):
    data = read_voc(voc)
    assert data.classes == tuple(VOC_CLASSES) and len(data.classes) == 20
    assert list(data.train) == list(data.label) == ["a", "b", "c"] and list(data.evaluate) == ["c", "d"]
    assert list(data.images) == ["a", "b", "c", "d"]
    assert data.train["a"].classes == (12, 15)  # dog, person: each once; parts are not objects
    assert data.train["a"].path == str(voc / "JPEGImages/a.jpg")
    assert data.train["a"].mask == str(voc / "SegmentationClass/a.png")
    assert data.evaluate["d"].mask is None
    assert data.mask_values == (*range(21), *[-1] * 234, 255)


def test_a_subset_renumbers_its_classes(voc):
    data = read_voc(voc, classes=["person", "dog"])
    assert data.classes == ("person", "dog")
    assert list(data.train) == ["a", "c"]  # b shows neither: nothing to learn, nothing to label
    assert data.train["a"].classes == (1, 2) and data.train["c"].classes == (2,)
    assert list(data.evaluate) == ["c", "d"]
    assert data.mask_values[0] == 0
    assert {v: k for v, k in enumerate(data.mask_values) if k not in (0, 255, -1)} == {15: 1, 12: 2}


def test_images_without_a_class_of_the_subset_are_evaluated(voc):
    data = read_voc(voc, classes=["person"], evaluate="train")
    assert list(data.train) == ["a"]
    assert list(data.evaluate) == ["a", "b", "c"]
    assert data.evaluate["b"].classes == ()


def test_masks_ignore_classes_outside_the_subset(voc):
    data = read_voc(voc, classes=["person"])
    given = read_label(voc / "SegmentationClass/a.png")
    expected = [[{0: 0, 15: 1}.get(int(value), 255) for value in row] for row in given]
    truth = read_truth(data.train["a"].mask, data.mask_values)
    assert truth.dtype == np.uint8 and truth.tolist() == expected
    assert {0, 1, 255} == set(np.unique(truth))


def is_one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 400


def break_devkit(root, what):
    if what == "images":
        (root / "JPEGImages").rename(root / "Images")
    elif what == "list":
        (root / "ImageSets/Segmentation/val.txt").unlink()
    elif what == "empty list":
        (root / "ImageSets/Segmentation/val.txt").write_text("\n")
    elif what == "annotation":
        (root / "Annotations/b.xml").unlink()
    elif what == "broken annotation":
        (root / "Annotations/b.xml").write_text("<annotation><object>")
    elif what == "nameless object":
        (root / "Annotations/b.xml").write_text("<annotation><object><name/></object></annotation>")


@pytest.mark.parametrize(
    "what, message",
    [
        ("images", "dataset.root: {root} has no readable JPEGImages folder"),
        ("list", "image list {root}/ImageSets/Segmentation/val.txt does not exist"),
        ("empty list", "image list {root}/ImageSets/Segmentation/val.txt is empty"),
        ("annotation", "annotation {root}/Annotations/b.xml does not exist"),
        ("broken annotation", "annotation {root}/Annotations/b.xml cannot be read"),
        ("nameless object", "annotation {root}/Annotations/b.xml cannot be read"),
    ],
)
def test_errors_name_the_file(what, message, voc):
    break_devkit(voc, what)
    with pytest.raises(ValueError) as error:
        read_voc(voc)
    assert str(error.value).startswith(message.format(root=voc)) and is_one_sentence(error)


def test_an_unknown_class_gets_a_suggestion(voc):
    with pytest.raises(ValueError, match=r"dataset\.classes: unknown class Dogs; did you mean dog\?"):
        read_voc(voc, classes=["cat", "Dogs"])
    with pytest.raises(ValueError, match=r"unknown class zzz; known are aeroplane, .* tvmonitor"):
        read_voc(voc, classes=["zzz"])


def test_a_subset_that_no_training_image_shows_is_an_error(voc):
    with pytest.raises(ValueError, match="train"):
        read_voc(voc, classes=["sheep"])


@pytest.mark.parametrize("depth", ["VOC2012", "VOCdevkit/VOC2012"])
def test_the_root_of_a_devkit_is_suggested(depth, tmp_path):
    (tmp_path / depth / "JPEGImages").mkdir(parents=True)
    with pytest.raises(ValueError, match=f"not a VOC devkit root; did you mean {tmp_path}/{depth}\\?"):
        read_voc(tmp_path)


def rename_objects(voc, old, new):
    for path in (voc / "Annotations").glob("*.xml"):
        path.write_text(path.read_text().replace(f"<name>{old}</name>", f"<name>{new}</name>"))


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("Dog", "unknown class Dog; did you mean dog?"),
        ("DOG", "unknown class DOG; did you mean dog?"),
        ("dоg", "unknown class dоg; did you mean dog?"),
        ("dogs", "unknown class dogs; did you mean dog?; dataset.ignore leaves names out"),
        ("pedestrian", "unknown class pedestrian; known are aeroplane,"),
    ],
)
def test_names_that_are_no_class_are_refused_with_how_often_they_occur(name, sentence, voc):
    rename_objects(voc, "dog", name)
    with pytest.raises(DatasetError) as error:
        read_voc(voc)
    [found] = [problem for problem in error.value.problems if "unknown class" in problem]
    assert sentence in found and found.startswith(f"{voc}/Annotations: ")
    assert re.search(r"\d objects? in (image \w+|\d images, the first \w+): ", found)


@pytest.mark.parametrize("rename", [lambda path: path.with_name(f"{path.stem}_mask.png"), None])
def test_masks_under_other_names_are_said(rename, voc):
    if rename:
        for path in list((voc / "SegmentationClass").iterdir()):
            path.rename(rename(path))
        assert "SegmentationClass: 3 files of no image that is listed, the first a_mask.png" in read_voc(voc).remarks[0]
    else:
        (voc / "SegmentationClass").rename(voc / "SegmentationClassAug")
        assert read_voc(voc).remarks == (f"{voc}/SegmentationClass does not exist; did you mean SegmentationClassAug?",)


def test_a_class_of_voc_cannot_be_ignored(voc):
    with pytest.raises(DatasetError, match="dataset.ignore: dog is a class of VOC; name the others in dataset.classes"):
        read_voc(voc, ignore=["dog"])


def test_names_can_be_left_out_on_purpose(voc):
    rename_objects(voc, "dog", "pedestrian")
    data = read_voc(voc, ignore=["pedestrian", "unused"])
    assert "dataset.ignore: pedestrian is left out, in 2 images" in data.remarks
    assert "dataset.ignore: unused is left out, in 0 images" in data.remarks
    assert data.train["a"].classes == (15,) and "c" not in data.train
    assert "dataset.train: image c, without any of the classes, left out" in data.remarks


@pytest.mark.parametrize("value", [21, 128, 254])
def test_masks_may_not_hold_values_of_no_class(value, voc):
    values = read_voc(voc, classes=["dog"]).mask_values
    write_label(voc / "SegmentationClass/a.png", np.array([[0, 12, value]], np.uint8))
    with pytest.raises(ValueError, match=f"contains values of no class: {value}"):
        read_truth(voc / "SegmentationClass/a.png", values)


@pytest.mark.parametrize(
    "line", ["a.jpg", "JPEGImages/a.jpg", "/JPEGImages/a.jpg", "C:\\voc\\JPEGImages\\a.jpg", " a "]
)
def test_lists_may_name_files(line, voc):
    (voc / "ImageSets/Segmentation/train.txt").write_text(f"{line}\nb\n")
    assert list(read_voc(voc).train) == ["a", "b"]


@pytest.mark.parametrize("line", ["a  1", "a -1", "/JPEGImages/a.jpg /SegmentationClass/a.png", "a,1", "a\t0"])
def test_lists_of_several_columns_are_refused_once(line, voc):
    (voc / "ImageSets/Segmentation/train.txt").write_text(f"{line}\nb  1\nc\n")
    with pytest.raises(DatasetError) as error:
        read_voc(voc)
    assert sum("2 of 3 lines have several columns" in problem for problem in error.value.problems) == 1
    assert sum("train.txt" in problem for problem in error.value.problems) == 1
