"""Properties that hold for any input: file formats, names, batches, tables, partial labels, settings."""

import copy
import csv
import functools
import io
import re
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsgcn.data.dataset import Dataset, DatasetError, batches
from wsgcn.data.names import problem_of_id
from wsgcn.files import IGNORE, read_arrays, read_label, write_arrays, write_label
from wsgcn.labels.partial import select_confident
from wsgcn.workflow.experiments import describe, folders, read_experiments
from wsgcn.workflow.inputs import read_dataset

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "rules/schemas/config.yaml"

settings.register_profile("wsgcn", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("wsgcn")

SIDES = st.tuples(st.integers(1, 30), st.integers(1, 30))
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda i: not problem_of_id(i))


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


# Files


@given(arrays.arrays(np.uint8, SIDES))
def test_any_label_comes_back(folder, label):
    write_label(folder / "label.png", label)
    found = read_label(folder / "label.png")
    assert found.dtype == np.uint8 and np.array_equal(found, label)


FINITE = (arrays.floating_dtypes() | arrays.integer_dtypes()).flatmap(
    lambda dtype: arrays.arrays(dtype, SIDES, elements=arrays.from_dtype(dtype, allow_nan=False, allow_infinity=False))
)


@given(FINITE, IDS)
def test_any_array_comes_back_under_any_name(folder, array, name):
    path = folder / f"{name}.npz"
    write_arrays(path, values=array)
    np.testing.assert_array_equal(read_arrays(path)["values"], array, strict=True)
    assert path.resolve().parent == folder.resolve()
    path.unlink()


@given(st.text(min_size=1, max_size=300))
def test_a_name_that_is_accepted_stays_in_its_folder(folder, name):
    assume(not problem_of_id(name))
    path = folder / f".12345-{name}.npz"
    path.write_bytes(b"")  # the longest name that is made of it
    assert path.parent == folder and not set(name) & set("/\\{}*?\0\n")
    path.unlink()


# Batches


@given(st.sets(IDS, min_size=1, max_size=60), IDS, st.integers(1, 40))
def test_one_more_image_changes_one_batch(ids, new, size):
    assume(new not in ids)
    before, after = batches(ids, size), batches(ids | {new}, size)
    assert sorted(i for members in before.values() for i in members) == sorted(ids)
    assert all(len(members) <= max(1, size * 3 // 2) for members in before.values())
    touched = [members for bits, members in before.items() if after.get(bits) != members]
    assert len(touched) <= 1  # the leaf that it fell into, perhaps split


# Tables of tags


CLASSES = st.text(string.ascii_letters + " -_äé猫", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.dictionaries(IDS.filter(lambda i: "." not in i), st.sets(CLASSES, min_size=1, max_size=4), min_size=1))
def test_any_table_of_tags_comes_back(folder, tags):
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
def test_any_bytes_as_a_table_end_in_a_data_set_or_in_its_problems(folder, raw):
    (folder / "labels.csv").write_bytes(raw)
    try:
        data = read_folder(folder)
    except DatasetError as error:
        assert error.problems and all(str(folder) in problem for problem in error.problems)
    else:
        assert isinstance(data, Dataset) and data.train
        assert not any(problem_of_id(image) for image in data.train)
        inside = [Path(image.path).resolve().is_relative_to(folder.resolve()) for image in data.train.values()]
        assert all(inside) and all(image.classes for image in data.train.values())


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.binary(max_size=300))
def test_any_bytes_as_voc_lists_and_annotations_too(folder, names, annotation):
    for part in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (folder / "voc" / part).mkdir(parents=True, exist_ok=True)
    (folder / "voc/ImageSets/Segmentation/train.txt").write_bytes(b"a\n" + names)
    (folder / "voc/Annotations/a.xml").write_bytes(annotation)
    lists = {"train": "train", "label": "train", "evaluate": "train"}
    with pytest.raises(DatasetError) as error:  # as annotations are missing or broken
        read_dataset({"kind": "voc", "root": str(folder / "voc"), "classes": []} | lists, 0, folder)
    assert all(len(problem) < 1000 for problem in error.value.problems)


def read_folder(root: Path) -> Dataset:
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    return read_dataset({"kind": "folder", "root": str(root), "classes": []} | lists, 0, root)


# Partial labels


@st.composite
def maps(draw):
    """CAMs of up to three classes, and two CRFs' probabilities, on a grid of up to 6 x 6."""
    count, (h, w) = draw(st.integers(1, 3)), draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    values = st.sampled_from(np.linspace(0, 1, 11).astype(np.float32).tolist())  # with many ties
    cams = draw(arrays.arrays(np.float32, (count, h, w), elements=values))
    crfs = [draw(arrays.arrays(np.float32, (count + 1, h, w), elements=values)) for _ in range(2)]
    return cams, *crfs


RULES = st.fixed_dictionaries(
    {
        "alpha_high": st.sampled_from([1, 2, 8]),
        "background_score": st.sampled_from([0.3, 0.8]),
        "crf_score": st.sampled_from([0.3, 0.8]),
        "cam_floor": st.sampled_from([0, 0.1, 0.5]),
        "confident_ratio": st.sampled_from([0.1, 0.3, 1]),
    }
)


@settings(max_examples=300)
@given(maps(), RULES)
def test_partial_labels_follow_their_rules_node_by_node(drawn, rules):
    cams, low, high = drawn
    classes = [3, 7, 9][: len(cams)]
    label = select_confident(cams, low, high, classes, rules)
    for y, x in np.ndindex(label.shape):
        cam, likely = cams[:, y, x], high[:, y, x]
        k = cam.argmax()
        own = [cams[k][place] for place in np.ndindex(label.shape) if cams[(slice(None), *place)].argmax() == k]
        above = [value for value in own if value > rules["cam_floor"]]
        among_top = sum(value > cam[k] for value in above) < max(1, round(rules["confident_ratio"] * len(above)))
        expected = IGNORE
        if likely.argmax() == 0 and likely[0] >= rules["crf_score"]:
            if (1 - cam.max()) ** rules["alpha_high"] > rules["background_score"]:
                expected = 0
        if cam[k] > rules["cam_floor"] and among_top:
            if low[:, y, x].argmax() == k + 1 and low[k + 1, y, x] >= rules["crf_score"]:
                expected = classes[k]
        assert label[y, x] == expected


@given(maps(), RULES)
def test_partial_labels_do_not_see_how_classes_are_numbered(drawn, rules):
    cams, low, high = drawn
    label = select_confident(cams, low, high, [1, 2, 3][: len(cams)], rules)
    renamed = select_confident(cams, low, high, [4, 5, 6][: len(cams)], rules)
    assert np.array_equal(np.where((label > 0) & (label < IGNORE), label + 3, label), renamed)


# Settings


@functools.cache
def config() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def sections_of(settings, path=()):
    """The path of every section of nested settings, also of one whose key is no text."""
    yield path
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from sections_of(value, (*path, key))


DATES = st.dates() | st.datetimes()
LONG = st.sampled_from(["9" * 5000, "0." + "1" * 5000, "[" * 5000, "{" * 5000, "x\n" * 5000, "1e" + "9" * 500])
READ = st.sampled_from(["1e-2", "12:30", "2021-02-30", "1_0", "0x1f", "yes", "null", "base", "none", "wsgcn-p", "a\n"])
TEXTS = st.text(max_size=8) | LONG | READ
KEYS = TEXTS | st.integers() | st.booleans() | st.none() | DATES | st.sampled_from(["refine.lr", "seed", "cam"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXTS | DATES | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ADDED = {  # to the sections whose keys are free, what comes near to being right
    ("experiments",): st.dictionaries(KEYS, ANYTHING, max_size=2),
    ("sweeps",): st.lists(ANYTHING, max_size=3),
    ("against",): KEYS,
}


@settings(max_examples=1500)
@given(st.data())
def test_any_config_ends_in_experiments_or_in_sentences(data):
    changed = copy.deepcopy(config())
    for _ in range(data.draw(st.integers(1, 3))):
        paths = sorted(sections_of(changed), key=str)
        free = [path for path in paths if path in ADDED]
        path = data.draw(st.sampled_from(paths) | st.sampled_from(free or paths))
        section = functools.reduce(lambda inner, name: inner[name], path, changed)
        keys = st.sampled_from(sorted(section, key=str)) if section else KEYS
        match data.draw(st.sampled_from(["value", "remove", "add"])):
            case "value":
                section[data.draw(keys)] = data.draw(ANYTHING)
            case "remove":
                section.pop(data.draw(keys), None)
            case "add":
                section[data.draw(KEYS)] = data.draw(ADDED.get(path, ANYTHING) | ANYTHING)
    try:
        experiments = read_experiments(changed, SCHEMA)
    except ValueError as error:
        assert type(error) is ValueError
        for line in str(error).split("\n"):
            assert re.match("config: (unknown key |two experiments |.+: )", line)
            assert line.isprintable() and len(line) < 1000
    else:
        assert changed["experiment"] in experiments
        assert all(describe(name, changed) for name in experiments) and folders(experiments)
