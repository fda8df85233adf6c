"""Cells of classes: separators, printed lists, words that mean none, and tags that are several in one.

Run alone: `.venv/bin/python -m pytest tests/data/test_tags.py`.
"""

import json

import numpy as np
import pandas as pd
import pytest

from wsgcn.data.names import appearance, check_appearance, check_class_names, clean_name
from wsgcn.data.readers.tags import SEPARATORS, check_tags, split_tags

NAMES = ["leaf rust", "été", "can't"]
LISTS = [
    str(NAMES),
    str(tuple(NAMES)),
    json.dumps(NAMES),
    json.dumps(NAMES, ensure_ascii=False),
    str(np.array(NAMES)),
    str(pd.Series([NAMES])[0]),
    "['leaf rust' 'été'\n \"can't\"]",
    "{'leaf rust', 'été', \"can't\"}",
    "[np.str_('leaf rust'), np.str_('été'), np.str_(\"can't\")]",
    "array(['leaf rust', 'été', \"can't\"], dtype=object)",
    "Index(['leaf rust', 'été', \"can't\"], dtype='object')",
    "frozenset({'leaf rust', 'été', \"can't\"})",
    "['leaf rust', nan, 'été', None, 'can\\'t']",
    '["leaf rust", null, "\\u00e9t\u00e9", "can\'t"]',
    "[u'leaf rust', u'été', u\"can't\"]",
    "[leaf rust, été, can't]",
    pd.DataFrame({"classes": [NAMES]}).to_csv(index=False).splitlines()[1].strip('"').replace('""', '"'),
]


@pytest.mark.parametrize("cell", LISTS)
def test_printed_lists_are_the_classes_that_they_list(cell):
    assert split_tags(cell, ";") == tuple(NAMES)


@pytest.mark.parametrize("separator", [";", "|", ",", "/", " + ", "\t"])
def test_the_separator_is_a_setting(separator):
    assert split_tags(f"leaf rust{separator}été{separator} leaf rust ", separator) == ("leaf rust", "été")


@pytest.mark.parametrize(
    "cell",
    "nan NaN None none NULL N/A #N/A <NA> [] () {} [None] ['nan'] [''] - – NaT set() ''".split()
    + ["", " ; ", "\u200b"],
)
def test_words_that_mean_none_are_no_class(cell):
    assert split_tags(cell, ";") == ()
    assert split_tags("None;cat", ";", known=["None"]) == ("None", "cat")


def problems(*tags, separator=";"):
    found = []
    broken = check_tags({tag: ["a.png"] for tag in tags}, separator, "labels.csv", found.append)
    assert len(broken) == len(found)
    return found


@pytest.mark.parametrize("mark", [mark for mark in SEPARATORS if mark != ";"])
def test_tags_with_another_separator_are_several(mark):
    assert f"set dataset.separator to {json.dumps(mark, ensure_ascii=False)}" in problems(f"cat{mark}dog")[0]


@pytest.mark.parametrize("mark", ["/", "+", "&", ":", "\\", "#", "~", "•", "-", "_", " ", " / ", " and "])
def test_marks_that_names_contain_separate_tags_that_occur_alone(mark):
    assert not problems(f"cat{mark}dog", "cat")
    assert len(problems(f"cat{mark}dog", "cat", "dog")) == 1


@pytest.mark.parametrize(
    "tag", ['"cat', 'cat"', "'cat'", "“cat”", "‘cat", "['cat'", "cat]", "(cat", "[cat]", "cat\ndog", "cat`"]
)
def test_remains_of_lists_and_quotation_marks_are_reported(tag):
    assert len(problems(tag)) == 1


@pytest.mark.parametrize(
    "tag", ["can't", "leaf (dry)", "3-way", "50%", "a.b", "C++", "#1", "猫", "α-helix", "d'or", "trees'"]
)
def test_names_with_marks_of_their_own_are_classes(tag):
    assert not problems(tag)


@pytest.mark.parametrize(
    "name",
    [
        "e\u0301te\u0301",
        "\u200bété",
        "été\ufeff",
        "\u00a0été",
        "ét\u00adé",
        " été\u2009",
        "été\u3000",
        "\u2060été\u200e",
    ],
)
def test_what_nobody_sees_makes_no_class(name):
    assert clean_name(name) == "été" and split_tags(f"x;{name}", ";") == ("x", "été")


@pytest.mark.parametrize(
    "first, second",
    [
        ("cat", "Cat"), ("cat", "cаt"), ("cat", "ｃａｔ"), ("leaf-rust", "leaf rust"), ("leaf_rust", "leaf‑rust"),
        ("ΒETA", "BETA"), ("straße", "STRASSE"), ("ﬁsh", "fish"), ("can't", "can’t"), ("ca\u200dt", "cat"),
        ("cat.", "cat"),
    ],
)  # fmt: skip
def test_names_that_look_alike_are_reported(first, second):
    found = []
    assert check_appearance({first: 1, second: 3, "other": 2}, "labels.csv", found.append) == {first}
    assert len(found) == 1 and "look alike" in found[0] and "(1 image)" in found[0] and "(3 images)" in found[0]


@pytest.mark.parametrize("name", ["background", "Background", "BACKGROUND.", "__background__", "back\u200dground"])
def test_the_background_is_no_class_however_it_is_written(name):
    found = []
    check_class_names([name, "cat"], "labels.csv", found.append)
    assert found == [f"labels.csv: class {name} is reserved for value 0 of the masks and must not be a tag"]


def test_names_that_differ_do_not_look_alike():
    names = ["cat", "cats", "café", "cafe", "a1", "al", "rust", "trust", "猫", "犬"]
    assert len(set(map(appearance, names))) == len(names)
