"""Properties of batches and of readers, for any ids, tags and bytes."""

import csv
import io
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import IDS

from wsgcn.data.dataset import Dataset, DatasetError, batches
from wsgcn.data.names import INVISIBLE, appearance, clean_name, id_problem
from wsgcn.data.readers.tags import NO_CLASS
from wsgcn.workflow.inputs import read_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


@given(st.sets(IDS, min_size=1, max_size=60), IDS, st.integers(1, 40))
def test_a_new_image_changes_at_most_one_batch(ids, new, size):
    assume(new not in ids)
    before, after = batches(ids, size), batches(ids | {new}, size)
    assert sorted(i for members in before.values() for i in members) == sorted(ids)
    assert all(len(members) <= max(1, size * 3 // 2) for members in before.values())
    touched = [members for bits, members in before.items() if after.get(bits) != members]
    assert len(touched) <= 1  # the leaf that it falls into, which may split


def read_folder(root: Path) -> Dataset:
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    return read_dataset({"kind": "folder", "root": str(root), "classes": []} | lists, 0, root)


CLASSES = st.text(string.ascii_letters + " -_äé猫", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.dictionaries(IDS.filter(lambda i: "." not in i), st.sets(CLASSES, min_size=1, max_size=4), min_size=1))
def test_any_table_of_tags_is_read_as_written(folder, tags):
    """Unless names look alike, or mean none."""
    names = {name for own in tags.values() for name in own}
    assume(names == {clean_name(name) for name in names if name.casefold() not in NO_CLASS})
    assume(len(set(map(appearance, names))) == len(names))
    assume(all(image == unicodedata.normalize("NFC", image).translate(INVISIBLE).strip() for image in tags))
    stream = io.StringIO()
    rows = [(f"{image}.jpg", "; ".join(sorted(names))) for image, names in tags.items()]
    csv.writer(stream).writerows([("image", "classes"), *rows])
    (folder / "labels.csv").write_text(stream.getvalue(), encoding="utf-8", newline="")
    data = read_folder(folder)
    assert {i: {data.classes[k - 1] for k in image.classes} for i, image in data.train.items()} == tags


@settings(max_examples=1000)
@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: ("image,classes\n" + text).encode(errors="replace"))
    | st.text(string.printable, max_size=200).map(lambda text: ("image,classes\n" + text).encode())
)
def test_any_bytes_as_a_table_give_a_data_set_or_problems(folder, raw):
    (folder / "labels.csv").write_bytes(raw)
    try:
        data = read_folder(folder)
    except DatasetError as error:
        assert error.problems and all(str(folder) in problem for problem in error.problems)
    else:
        assert isinstance(data, Dataset) and data.train
        assert not any(id_problem(image) for image in data.train)
        inside = [Path(image.path).resolve().is_relative_to(folder.resolve()) for image in data.train.values()]
        assert all(inside) and all(image.classes for image in data.train.values())


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.binary(max_size=300))
def test_any_bytes_as_voc_lists_and_annotations_give_problems(folder, names, annotation):
    for part in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (folder / "voc" / part).mkdir(parents=True, exist_ok=True)
    (folder / "voc/ImageSets/Segmentation/train.txt").write_bytes(b"a\n" + names)
    (folder / "voc/Annotations/a.xml").write_bytes(annotation)
    lists = {"train": "train", "label": "train", "evaluate": "train"}
    with pytest.raises(DatasetError) as error:  # annotations are missing or broken
        read_dataset({"kind": "voc", "root": str(folder / "voc"), "classes": []} | lists, 0, folder)
    assert all(len(problem) < 1000 for problem in error.value.problems)
