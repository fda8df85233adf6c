"""Three readers behind one interface, the masks' values, and batches that stay put."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsgcn.data import demo_scenes as demo
from wsgcn.data.dataset import batches, read_truth
from wsgcn.data.readers.voc import VOC_CLASSES
from wsgcn.files import read_label, write_label
from wsgcn.workflow.inputs import read_dataset

NOWHERE = Path("nowhere")  # results, which only the demo looks at


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 400


# The demo


DEMO = {"kind": "demo", "train": "train", "label": "train", "evaluate": "val"}


def test_demo_is_laid_out_under_results():
    settings = DEMO | {"demo_train": 6, "demo_val": 3}
    data = read_dataset(settings, 5, Path("out"))
    assert data.classes == demo.CLASSES
    assert list(data.train) == list(data.label) == [f"train_{k:04d}" for k in range(6)]
    assert list(data.evaluate) == [f"val_{k:04d}" for k in range(3)]
    assert list(data.images) == [*data.train, *data.evaluate]
    for name, names in demo.plan("train", 6, 5).items():
        image = data.train[name]
        assert (image.id, image.path) == (name, f"out/voc/JPEGImages/{name}.jpg")
        assert image.mask == f"out/voc/SegmentationClass/{name}.png"
        assert {data.classes[k - 1] for k in image.classes} == set(names)
        assert list(image.classes) == sorted(image.classes)


def test_adding_demo_images_changes_no_other():
    small, large = (read_dataset(DEMO | {"demo_train": n, "demo_val": 3}, 5, NOWHERE) for n in (6, 9))
    assert small.train.items() <= large.train.items()
    assert small.evaluate == large.evaluate


def test_the_demo_has_two_lists():
    settings = DEMO | {"demo_train": 6, "demo_val": 3, "label": "val"}
    assert list(read_dataset(settings, 5, NOWHERE).label) == [f"val_{k:04d}" for k in range(3)]
    with pytest.raises(ValueError, match="^dataset.evaluate: the demo's lists are train and val, not test$"):
        read_dataset(settings | {"evaluate": "test"}, 5, NOWHERE)


# PASCAL VOC

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


def test_voc_in_full(voc):
    data = read_voc(voc)
    assert data.classes == tuple(VOC_CLASSES) and len(data.classes) == 20
    assert list(data.train) == list(data.label) == ["a", "b", "c"] and list(data.evaluate) == ["c", "d"]
    assert list(data.images) == ["a", "b", "c", "d"]
    assert data.train["a"].classes == (12, 15)  # dog, person: each once, parts are no objects
    assert data.train["a"].path == str(voc / "JPEGImages/a.jpg")
    assert data.train["a"].mask == str(voc / "SegmentationClass/a.png")
    assert data.evaluate["d"].mask is None
    assert data.mask_values == (*range(21), *[255] * 235)


def test_voc_subset_renumbers_its_classes(voc):
    data = read_voc(voc, classes=["person", "dog"])
    assert data.classes == ("person", "dog")
    assert list(data.train) == ["a", "c"]  # b shows none of them: nothing to learn, no label to make
    assert data.train["a"].classes == (1, 2) and data.train["c"].classes == (2,)
    assert list(data.evaluate) == ["c", "d"]
    assert data.mask_values[0] == 0
    assert {v: k for v, k in enumerate(data.mask_values) if k not in (0, 255)} == {15: 1, 12: 2}


def test_voc_evaluates_images_without_the_subset_s_classes(voc):
    data = read_voc(voc, classes=["person"], evaluate="train")
    assert list(data.train) == ["a"]
    assert list(data.evaluate) == ["a", "b", "c"]
    assert data.evaluate["b"].classes == ()


def test_voc_subset_s_truth_ignores_other_classes(voc):
    data = read_voc(voc, classes=["person"])
    given = read_label(voc / "SegmentationClass/a.png")
    expected = [[{0: 0, 15: 1}.get(int(value), 255) for value in row] for row in given]
    truth = read_truth(data.train["a"].mask, data.mask_values)
    assert truth.dtype == np.uint8 and truth.tolist() == expected
    assert {0, 1, 255} == set(np.unique(truth))


def spoil_voc(root, what):
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
        ("images", "dataset.root: {root} holds no JPEGImages folder"),
        ("list", "image list {root}/ImageSets/Segmentation/val.txt does not exist"),
        ("empty list", "image list {root}/ImageSets/Segmentation/val.txt is empty"),
        ("annotation", "annotation {root}/Annotations/b.xml does not exist"),
        ("broken annotation", "annotation {root}/Annotations/b.xml cannot be read"),
        ("nameless object", "annotation {root}/Annotations/b.xml cannot be read"),
    ],
)
def test_voc_errors_name_the_file(what, message, voc):
    spoil_voc(voc, what)
    with pytest.raises(ValueError) as error:
        read_voc(voc)
    assert str(error.value).startswith(message.format(root=voc)) and one_sentence(error)


def test_voc_unknown_class_is_named_with_the_nearest(voc):
    with pytest.raises(ValueError, match=r"dataset\.classes: unknown class Dogs; did you mean dog\?"):
        read_voc(voc, classes=["cat", "Dogs"])
    with pytest.raises(ValueError, match=r"unknown class zzz; known are aeroplane, .* tvmonitor"):
        read_voc(voc, classes=["zzz"])


def test_voc_subset_that_no_training_image_shows_is_an_error(voc):
    with pytest.raises(ValueError, match="train"):
        read_voc(voc, classes=["sheep"])


# A folder


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


def test_folder(folder):
    data = read_folder(folder)
    assert data.classes == ("leaf", "root", "stem")
    assert list(data.train) == list(data.label) == ["x", "y", "z"] and list(data.evaluate) == ["z", "x"]
    assert data.train["y"].path == str(folder / "sub/y.jpg")
    assert [image.classes for image in data.train.values()] == [(1,), (1, 2), (3,)]
    assert [image.mask for image in data.train.values()] == [None, str(folder / "masks/y.png"), None]
    assert data.mask_values == (0, 1, 2, 3, *[-1] * 251, 255)


def test_a_list_may_name_files_or_ids(folder):
    (folder / "some.txt").write_text("z.tiff\nsub/y.jpg\nx\n")
    assert list(read_folder(folder).evaluate) == ["z", "y", "x"]


def test_folder_s_classes_can_be_ordered(folder):
    data = read_folder(folder, classes=["stem", "root", "leaf"])
    assert data.classes == ("stem", "root", "leaf")
    assert [image.classes for image in data.train.values()] == [(3,), (2, 3), (1,)]


def test_one_class_and_no_masks_work(tmp_path):
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
    ids=["byte order mark", "CRLF", "other columns", "blanks and repeats", "quotes"],
)
def test_tables_as_spreadsheets_write_them(table, tmp_path):
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8", newline="")
    data = read_folder(tmp_path, evaluate="all")
    assert data.classes == ("cell",) and data.train["a"].classes == (1,)


@pytest.mark.parametrize(
    "table, message",
    [
        (None, "dataset.root: {table} does not exist"),
        ("file,tags\na.jpg,cell\n", "{table}: the header must name the columns image and classes"),
        ("", "{table}: the header must name the columns image and classes"),
        ("image,classes\n", "{table}: lists no image"),
        (
            "image,classes\na.jpg,cell\na.png,cell\n",
            "{table}: images a.jpg and a.png have the same name",
        ),
        ("image,classes\na.jpg,cell\nb.jpg,\n", "{table}: image b.jpg of list dataset.train has no class"),
        ("image,classes\na.jpg,cell\nb.jpg\n", "{table}: image b.jpg of list dataset.train has no class"),
        ("image,classes\n ,cell\n", "{table}: line 2 names no image"),
        ("classes,image\ncell\n", "{table}: line 2 names no image"),
        (
            "image,classes\na.jpg," + ";".join(map(str, range(300))),
            "{table}: 300 classes; a label PNG holds at most 254",
        ),
        ("image,classes\na.jpg,background;cell\n", "{table}: class background: that is what is left, value 0 of every"),
        ("image,classes\na.jpg,a/b;a.b\n", "{table}: classes a.b and a/b would both be a_b among the metrics"),
        ("image,classes\na{0}.jpg,cell\n", "{table}: line 2: image a{0}.jpg has '{' in its name; not allowed are"),
    ],
)
def test_folder_errors_name_the_table(table, message, tmp_path):
    if table is not None:
        (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(ValueError) as error:
        read_folder(tmp_path, evaluate="all")
    assert str(error.value).startswith(message.replace("{table}", str(tmp_path / "labels.csv"))) and one_sentence(error)


def test_a_table_that_is_no_utf8_is_named(tmp_path):
    (tmp_path / "labels.csv").write_bytes("image,classes\na.jpg,Blüte\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"labels\.csv"):
        read_folder(tmp_path)


def test_folder_errors_name_lists_ids_and_classes(folder):
    with pytest.raises(ValueError, match=r"^image list .*none\.txt does not exist$"):
        read_folder(folder, label="none.txt")
    (folder / "some.txt").write_text("x\nw\n")
    with pytest.raises(ValueError, match=r"^.*some\.txt: names image w, which .*labels\.csv does not list"):
        read_folder(folder)
    (folder / "some.txt").write_text("x\n")
    message = r"^.*labels\.csv: 2 images, the first x\.png: unknown class leaf; did you mean leaves\?$"
    with pytest.raises(ValueError, match=message):
        read_folder(folder, classes=["leaves", "root", "stem"])


def test_ids_may_hold_blanks(tmp_path):
    (tmp_path / "labels.csv").write_text("image,classes\nmy cat.jpg,cat\n")
    (tmp_path / "some.txt").write_text("my cat\n")
    assert list(read_folder(tmp_path).evaluate) == ["my cat"]


# Masks, and opening everything


@pytest.fixture
def mask(tmp_path):
    """Write a mask of some values, return its path."""

    def write(values):
        write_label(tmp_path / "mask.png", np.array(values, np.uint8))
        return tmp_path / "mask.png"

    return write


def test_truth_maps_every_value(mask, rng):
    values = (0, 2, 255, 1, *[-1] * 251, 255)
    given = rng.choice([0, 1, 2, 3, 255], (6, 7))
    truth = read_truth(mask(given), values)
    assert truth.tolist() == [[values[v] for v in row] for row in given]


def test_truth_with_a_value_of_no_class_is_refused(folder, mask):
    path = mask([[0, 3, 4, 255, 17]])
    with pytest.raises(ValueError, match=rf"^mask {path} holds values of no class: 4, 17$"):
        read_truth(path, read_folder(folder).mask_values)


# Batches

IDS = [f"2007_{k:06d}" for k in range(300)]


@pytest.mark.parametrize("size", [1, 2, 5, 32, 200, 1000])
def test_batches_hold_every_id_once_and_are_not_too_large(size):
    dealt = batches(IDS, size)
    assert sorted(i for members in dealt.values() for i in members) == IDS
    assert all(1 <= len(members) <= max(1, 1.5 * size) for members in dealt.values())
    assert all(members == sorted(members) for members in dealt.values())
    assert list(dealt) == ["all"] if size >= 200 else set("".join(dealt)) == {"0", "1"}
    if size <= 32:
        assert len(IDS) / len(dealt) >= 0.4 * size  # nor too small on the whole


def test_batches_of_one_give_each_image_a_job():
    assert sorted(batches(IDS, 1).values()) == [[i] for i in IDS]


def test_batches_depend_neither_on_order_nor_on_repeats():
    assert batches([*reversed(IDS), *IDS[:9]], 8) == batches(IDS, 8)
    assert batches([], 8) == {}


@pytest.mark.parametrize("size", [1, 8, 32])
def test_another_id_changes_only_its_leaf(size):
    before = batches(IDS, size)
    for other in (f"other_{k}" for k in range(40)):
        after = batches([*IDS, other], size)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        gone = changed & before.keys()
        moved = {i for key in changed & after.keys() for i in after[key]}
        assert len(gone) <= 1
        assert moved == {other} | {i for key in gone for i in before[key]}
