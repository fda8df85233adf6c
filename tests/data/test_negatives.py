"""Images without a class, in both readers."""

import pytest

from wsgcn.data.dataset import DatasetError
from wsgcn.data.negatives import is_negative
from wsgcn.data.readers.voc import VOC_CLASSES
from wsgcn.workflow.inputs import read_dataset

ROWS = "a.png,rust\nb.png,\nc.png,normal\nd.png,mud\ne.png,rust;mud\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels.csv").write_text(f"image,classes\n{ROWS}")
    (tmp_path / "ab.txt").write_text("a\nb\n")
    (tmp_path / "cb.txt").write_text("c\nb\n")
    return tmp_path


def read_folder(root, **changed):
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    return read_dataset({"kind": "folder", "root": str(root), "classes": []} | lists | changed, 0, root)


def test_images_without_a_tag_are_negatives(folder):
    data = read_folder(folder)
    assert data.classes == ("mud", "normal", "rust")
    assert data.train["b"].classes == () and [i for i, image in data.train.items() if image.negative] == ["b"]
    assert f"{folder}/labels.csv: image b.png without a tag: taken to show none of the classes" in data.remarks


def test_a_tag_that_stands_for_no_class(folder):
    data = read_folder(folder, negative="normal")
    assert data.classes == ("mud", "rust")
    assert [i for i, image in data.label.items() if image.negative] == ["b", "c"]


@pytest.mark.parametrize("others, kept", [("left_out", "abce"), ("negative", "abcde")])
def test_images_of_other_things_alone(others, kept, folder):
    data = read_folder(folder, negative="normal", ignore=["mud"], others=others)
    assert "".join(data.train) == "".join(data.label) == kept and "".join(data.evaluate) == "abcde"
    assert data.evaluate["d"].negative == (others == "negative")
    sentence = "dataset.train: image d.png, whose tags are all in dataset.ignore, left out"
    assert (sentence in data.remarks) == (others == "left_out")


@pytest.mark.parametrize(
    "rows, settings, sentence",
    [
        (ROWS, {"negative": "nromal"}, "dataset.negative: no image of {} has the tag nromal; did you mean normal?"),
        (ROWS, {"negative": "rust", "classes": ["rust", "mud", "normal"]}, "dataset.negative: rust is also in dataset"),
        (ROWS, {"negative": "mud", "ignore": ["mud"]}, "dataset.negative: mud is also in dataset.ignore"),
        ("a.png,rust;normal\nb.png,rust\n", {}, "{}: image a.png: tag normal, which stands for no class, beside rust"),
        ("a.png,normal\nb.png,\n", {}, "{}: no image of list dataset.train has a class"),
        ("a.png,normal\nb.png,Normal\n", {}, "{}: tags normal (1 image) and Normal (1 image) look alike"),
    ],
)  # fmt: skip
def test_contradictions_are_reported(rows, settings, sentence, folder):
    (folder / "labels.csv").write_text(f"image,classes\n{rows}")
    with pytest.raises(DatasetError) as error:
        read_folder(folder, **({"negative": "normal"} | settings))
    assert any(problem.startswith(sentence.format(folder / "labels.csv")) for problem in error.value.problems)


def test_images_that_are_only_evaluated_may_be_untagged(folder):
    lists = {"train": "ae.txt", "label": "ae.txt"}
    (folder / "ae.txt").write_text("a\ne\n")
    (folder / "b.txt").write_text("b\n")
    assert not read_folder(folder, **lists, evaluate="b.txt").evaluate["b"].negative  # none of the list has a tag
    assert read_folder(folder, **lists, evaluate="cb.txt").evaluate["b"].negative
    tagged = read_folder(folder, **lists, evaluate="cb.txt", negative="normal").evaluate
    assert tagged["c"].negative and not tagged["b"].negative  # negatives have a tag here


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"evaluate": "0%"}, "dataset.evaluate: 0% must be above 0% and below 100%"),
        ({"evaluate": "100%"}, "dataset.evaluate: 100% must be above 0% and below 100%"),
        ({"evaluate": "20%", "label": "ab.txt"}, "dataset.evaluate: 20% is drawn from all images, so dataset.label"),
    ],
)
def test_shares_that_cannot_be_drawn(settings, sentence, folder):
    with pytest.raises(DatasetError, match=f"^{sentence}"):
        read_folder(folder, **settings)


def test_a_share_is_held_out_by_group(folder):
    rows = "".join(f"i{k}.png,{('rust', '')[k % 2]},g{k // 4}\n" for k in range(20))
    (folder / "labels.csv").write_text(f"image,classes,group\n{rows}j.png,rust,\nk.png,rust,nan\n")
    data = read_folder(folder, evaluate="20%")
    assert list(data.train) == list(data.label) and not data.train.keys() & data.evaluate.keys()
    assert len(data.images) == 22
    groups = [{int(i[1:]) // 4 for i in ids if i[0] == "i"} for ids in (data.train, data.evaluate)]
    assert not groups[0] & groups[1] and groups[1]
    assert any(f"drawn with seed 0: {len(data.evaluate)} of 22 images (" in line for line in data.remarks)
    assert {image.negative for image in data.evaluate.values()} == {True, False}


def test_lists_must_not_split_a_group(folder):
    (folder / "labels.csv").write_text("image,classes,Group\na.png,rust,1\nb.png,,2\nc.png,rust,1\n")
    with pytest.raises(
        DatasetError, match=r"labels.csv: 1 group in dataset.train and in dataset.evaluate, the first 1"
    ):
        read_folder(folder, train="ab.txt", label="ab.txt", evaluate="cb.txt")
    (folder / "labels.csv").write_text("image,classes,Group\na.png,rust,1\nb.png,,2\nc.png,rust,3\n")
    read_folder(folder, train="ab.txt", label="ab.txt", evaluate="cb.txt")


@pytest.mark.parametrize(
    "names, classes, negative, others, expected",
    [
        ([], (), "", "left_out", True),
        (["mud"], (), "", "left_out", False),
        (["mud"], (), "", "negative", True),
        (["normal"], (), "normal", "left_out", True),
        (["mud", "rust"], (1,), "", "negative", False),
    ],
)
def test_what_is_a_negative(names, classes, negative, others, expected):
    assert is_negative(names, classes, negative, others) == expected


OBJECTS = {"a": ["dog"], "b": [], "c": ["sofa"], "d": ["nothing"], "e": ["dog", "sofa"]}


@pytest.fixture
def voc(tmp_path):
    for name in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (tmp_path / name).mkdir(parents=True)
    for image, names in OBJECTS.items():
        objects = "".join(f"<object><name>{name}</name></object>" for name in names)
        (tmp_path / f"Annotations/{image}.xml").write_text(f"<annotation>{objects}</annotation>")
        (tmp_path / f"JPEGImages/{image}.jpg").touch()
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("\n".join(OBJECTS))
    return tmp_path


def read_voc(root, **changed):
    lists = {"train": "train", "label": "train", "evaluate": "train", "negative": "nothing"}
    return read_dataset({"kind": "voc", "root": str(root), "classes": ["dog"]} | lists | changed, 0, root)


@pytest.mark.parametrize("others, kept, negatives", [("left_out", "abde", "bd"), ("negative", "abcde", "bcd")])
def test_negatives_of_a_devkit(others, kept, negatives, voc):
    data = read_voc(voc, others=others)
    assert "".join(data.train) == "".join(data.label) == kept and "".join(data.evaluate) == "abcde"
    assert "".join(i for i, image in data.images.items() if image.negative) == negatives
    left_out = "dataset.train: image c, without any of the classes, left out"
    assert (left_out in data.remarks) == (others == "left_out")


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"negative": "sofa"}, "dataset.negative: sofa is a class of VOC"),
        ({"negative": "", "ignore": []}, "unknown class nothing"),
        ({"negative": "nothin"}, "has the tag nothin; did you mean nothing?"),
        ({"evaluate": "20%"}, "dataset.evaluate: 20% is drawn in data of kind folder alone; name a list"),
    ],
)
def test_problems_of_a_devkit(settings, sentence, voc):
    assert "sofa" in VOC_CLASSES
    with pytest.raises(DatasetError) as error:
        read_voc(voc, **settings)
    assert any(sentence in problem for problem in error.value.problems)
