"""Files under names that differ in case, composition, blanks or extension.

Run alone: `.venv/bin/python -m pytest tests/data/test_neighbours.py`.
"""

import time
import unicodedata

import pytest

from wsgcn.data.dataset import Dataset, Image
from wsgcn.data.neighbours import Finder, beside, match_masks
from wsgcn.workflow.images import find_images

NFD = unicodedata.normalize("NFD", "été.jpg")


@pytest.mark.parametrize(
    "asked, there",
    [
        ("a.jpg", "a.JPG"), ("a.JPG", "a.jpg"), ("a.jpg", "a.jpeg"), ("a.jpg", "A.PNG"), ("a", "a.tif"),
        ("été.jpg", NFD), (NFD, "été.png"), ("a b.jpg", "a\u00a0b.jpg"), ("a.v2.jpg", "a.v2.webp"), ("a.b", "a.b.png"),
    ],
)  # fmt: skip
def test_the_one_file_that_may_be_meant_is_found(asked, there, tmp_path):
    for name in (there, "other.jpg", "a.txt"):
        (tmp_path / name).touch()
    assert Finder().find(str(tmp_path / asked)) == str(tmp_path / there)


@pytest.mark.parametrize(
    "asked, there", [("a.jpg", ["A.jpg", "a.JPG"]), ("a.jpg", ["a.png", "a.tif"]), ("a.jpg", ["b.jpg"])]
)
def test_what_is_not_plain_is_not_guessed(asked, there, tmp_path):
    for name in there:
        (tmp_path / name).touch()
    finder = Finder(taken=there)
    assert finder.find(str(tmp_path / asked)) is None
    hint = finder.where_else(str(tmp_path / asked), str(tmp_path))
    assert hint == (f"; beside it are {' and '.join(sorted(there))}" if len(there) > 1 else "")


def test_a_file_in_another_folder_is_named_not_used(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.JPG").touch()
    path = str(tmp_path / "a.jpg")
    assert Finder().find(path) is None
    assert Finder().where_else(path, str(tmp_path)) == f"; did you mean {tmp_path}/images/a.JPG?"


def test_thousands_of_names_take_no_time(tmp_path):
    for k in range(3000):
        (tmp_path / f"image_{k}.JPG").touch()
    finder, start = Finder(), time.monotonic()
    assert all(finder.find(str(tmp_path / f"image_{k}.jpg")) for k in range(3000))
    assert not any(finder.find(str(tmp_path / f"other_{k}.jpg")) for k in range(3000))
    for k in range(3000):
        finder.where_else(str(tmp_path / f"other_{k}.jpg"), str(tmp_path))
    assert time.monotonic() - start < 5


def test_a_link_that_leads_nowhere_is_missing(tmp_path):
    (tmp_path / "a.png").symlink_to("nowhere")
    assert Finder().find(str(tmp_path / "a.png")) is None


def test_a_mask_is_not_taken_for_its_image(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").touch()
    assert Finder().where_else(str(tmp_path / "a.png"), str(tmp_path)) == ""


@pytest.mark.parametrize(
    "asked, there", [("labels.csv", "Labels.csv"), ("labels.csv", "label.csv"), ("train.txt", "trian.txt")]
)
def test_a_similar_name_is_suggested(asked, there, tmp_path):
    (tmp_path / there).touch()
    assert beside(tmp_path / asked) == f"; did you mean {there}?"


def test_masks_are_matched_and_the_others_counted(tmp_path):
    for name in ("a.png", "A.PNG", "b.PNG", unicodedata.normalize("NFD", "é.png"), "c_mask.png", "d.jpg", "notes.txt"):
        (tmp_path / name).touch()
    masks, others = match_masks(tmp_path, ["a", "b", "é", "c", "d"], print)
    assert set(masks) == {"a", "b", "é"} and masks["a"].endswith("/a.png") and masks["b"].endswith("/b.PNG")
    assert sorted(others) == ["A.PNG", "c_mask.png", "d.jpg", "notes.txt"]
    assert match_masks(tmp_path / "none", ["a"], print) == ({}, [])


def test_missing_images_are_replaced_in_every_list_and_said(tmp_path):
    for name in ("a.JPG", "b.png"):
        (tmp_path / name).touch()
    images = {i: Image(i, str(tmp_path / f"{i}.jpg"), (1,), None) for i in "abc"}
    data = Dataset(("x",), images, {"a": images["a"]}, {"b": images["b"]}, (0, 1), ("x",))
    found, missing, doubled = find_images(data, str(tmp_path))
    assert found.train["a"].path == found.label["a"].path == str(tmp_path / "a.JPG")
    assert found.evaluate["b"].path == str(tmp_path / "b.png")
    assert list(missing) == ["c"] and missing["c"].startswith(f"image {tmp_path}/c.jpg does not exist") and not doubled
    assert found.remarks == (f"found under another name: 2 images, the first {tmp_path}/a.jpg, which is a.JPG",)


def test_one_file_for_two_images_is_a_problem(tmp_path):
    (tmp_path / "a.png").touch()
    images = {i: Image(i, str(tmp_path / name), (1,), None) for i, name in (("a", "a.png"), ("b", "A.png"))}
    data = Dataset(("x",), images, images, images, (0, 1), ("x",))
    assert find_images(data, str(tmp_path))[2] == [f"{tmp_path}/a.png is the file of 2 images of the lists"]
