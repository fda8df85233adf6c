"""The reader of PASCAL VOC devkits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsgcn.data.dataset import read_truth
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
    assert data.mask_values == (*range(21), *[255] * 235)


def test_a_subset_renumbers_its_classes(voc):
    data = read_voc(voc, classes=["person", "dog"])
    assert data.classes == ("person", "dog")
    assert list(data.train) == ["a", "c"]  # b shows neither: nothing to learn, nothing to label
    assert data.train["a"].classes == (1, 2) and data.train["c"].classes == (2,)
    assert list(data.evaluate) == ["c", "d"]
    assert data.mask_values[0] == 0
    assert {v: k for v, k in enumerate(data.mask_values) if k not in (0, 255)} == {15: 1, 12: 2}


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
