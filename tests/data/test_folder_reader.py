"""The reader of folders with a labels.csv."""

from pathlib import Path

import numpy as np
import pytest

from wsgcn.files import write_label
from wsgcn.workflow.inputs import read_dataset

NOWHERE = Path("nowhere")  # results, which this reader does not use


def is_one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 400


@pytest.fixture
def folder(tmp_path):
    """Three images, one mask, and a list of two."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "labels.csv").write_text("image,classes\nx.png,leaf\nsub/y.jpg,root; leaf\nz.tiff,stem\n")
    (tmp_path / "some.txt").write_text("z\nx\n")
    write_label(tmp_path / "masks/y.png", np.zeros((3, 3), np.uint8))
    return tmp_path


def read_folder(root, **changed):
    lists = {"train": "all", "label": "all", "evaluate": "some.txt"}
    return read_dataset({"kind": "folder", "root": str(root), "classes": []} | lists | changed, 0, NOWHERE)


def test_images_classes_and_masks(folder):
    data = read_folder(folder)
    assert data.classes == ("leaf", "root", "stem")
    assert list(data.train) == list(data.label) == ["x", "y", "z"] and list(data.evaluate) == ["z", "x"]
    assert data.train["y"].path == str(folder / "sub/y.jpg")
    assert [image.classes for image in data.train.values()] == [(1,), (1, 2), (3,)]
    assert [image.mask for image in data.train.values()] == [None, str(folder / "masks/y.png"), None]
    assert data.mask_values == (0, 1, 2, 3, *[-1] * 251, 255)


def test_lists_may_contain_files_or_ids(folder):
    (folder / "some.txt").write_text("z.tiff\nsub/y.jpg\nx\n")
    assert list(read_folder(folder).evaluate) == ["z", "y", "x"]


def test_classes_can_be_ordered(folder):
    data = read_folder(folder, classes=["stem", "root", "leaf"])
    assert data.classes == ("stem", "root", "leaf")
    assert [image.classes for image in data.train.values()] == [(3,), (2, 3), (1,)]


def test_one_class_and_no_masks(tmp_path):
    (tmp_path / "labels.csv").write_text("image,classes\na.jpg,cell\n")
    data = read_folder(tmp_path, evaluate="all")
    assert data.classes == ("cell",) and data.evaluate["a"].mask is None


@pytest.mark.parametrize(
    "table",
    [
        "\ufeffimage,classes\na.jpg,cell\n",
        "image,classes\r\na.jpg,cell\r\n",
        "classes,image,note\ncell,a.jpg,x\n",
        "image,classes\na.jpg, cell ; cell;\n",
        'image,classes\n"a.jpg","cell"\n\n',
    ],
    ids=["byte order mark", "CRLF", "other columns", "spaces and repeats", "quotes"],
)
def test_tables_written_by_spreadsheets(table, tmp_path):
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8", newline="")
    data = read_folder(tmp_path, evaluate="all")
    assert data.classes == ("cell",) and data.train["a"].classes == (1,)


@pytest.mark.parametrize(
    "table, message",
    [
        (None, "dataset.root: {table} does not exist"),
        ("file,tags\na.jpg,cell\n", "{table}: the header must name the columns image and classes"),
        ("", "{table}: the header must name the columns image and classes"),
        ("image,classes\n", "{table}: lists no images"),
        (
            "image,classes\na.jpg,cell\na.png,cell\n",
            "{table}: images a.jpg and a.png have the same name without extension",
        ),
        ("image,classes\na.jpg,\nb.jpg\n", "{table}: no image of list dataset.train has a class"),
        ("image,group,classes,group\na.jpg,1,cell,2\n", "{table}: the header names the column group twice"),
        ("image,classes\n ,cell\n", "{table}: line 2 has no image name"),
        ("classes,image\ncell\n", "{table}: line 2 has no image name"),
        (
            "image,classes\na.jpg," + ";".join(map(str, range(300))),
            "{table}: 300 classes; a label PNG holds at most 254",
        ),
        ("image,classes\na.jpg,background;cell\n", "{table}: class background is reserved for value 0 of the masks"),
        ("image,classes\na.jpg,a/b;a.b\n", "{table}: classes a.b and a/b have the same metric name, a_b"),
        ("image,classes\na{0}.jpg,cell\n", "{table}: line 2: image a{0}.jpg has '{' in its name; not allowed are"),
    ],
)
def test_errors_name_the_table(table, message, tmp_path):
    if table is not None:
        (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(ValueError) as error:
        read_folder(tmp_path, evaluate="all")
    assert str(error.value).startswith(message.replace("{table}", str(tmp_path / "labels.csv"))) and is_one_sentence(
        error
    )


def test_a_table_that_is_not_utf8_is_an_error(tmp_path):
    (tmp_path / "labels.csv").write_bytes("image,classes\na.jpg,Blüte\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"labels\.csv"):
        read_folder(tmp_path)


def test_errors_name_lists_ids_and_classes(folder):
    with pytest.raises(ValueError, match=r"^image list .*none\.txt does not exist$"):
        read_folder(folder, label="none.txt")
    (folder / "some.txt").write_text("x\nw\n")
    with pytest.raises(ValueError, match=r"^.*some\.txt: image w is not listed in .*labels\.csv$"):
        read_folder(folder)
    (folder / "some.txt").write_text("x\n")
    message = r"^.*labels\.csv: 2 images, the first x\.png: unknown class leaf; did you mean leaves\?$"
    with pytest.raises(ValueError, match=message):
        read_folder(folder, classes=["leaves", "root", "stem"])


def test_ids_may_contain_spaces(tmp_path):
    (tmp_path / "labels.csv").write_text("image,classes\nmy cat.jpg,cat\n")
    (tmp_path / "some.txt").write_text("my cat\n")
    assert list(read_folder(tmp_path).evaluate) == ["my cat"]


def test_what_is_ignored_does_not_renumber_masks(folder):
    with pytest.raises(ValueError, match="dataset.ignore: would change the numbers of the classes in masks"):
        read_folder(folder, ignore=["leaf"])
    (folder / "labels.csv").write_text("image,classes\nx.png,leaf;stem\nsub/y.jpg,root; leaf\nz.tiff,stem\n")
    data = read_folder(folder, ignore=["leaf", "laef"], classes=["stem", "root"])
    assert [image.classes for image in data.train.values()] == [(1,), (2,), (1,)]
    assert data.remarks[:2] == (
        "dataset.ignore: leaf is left out, in 2 images",
        "dataset.ignore: laef is left out, in 0 images",
    )
