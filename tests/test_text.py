"""Parts of messages."""

import pytest

from wsgcn.text import flatten, hint, metric_part, printable, shorten


@pytest.mark.parametrize(
    "text, expected",
    [
        ("猫 and émile", "猫 and émile"),
        ("a\nb\t", r"a\nb\t"),
        ("\u2028\x00", r"\u2028\x00"),
        ("x" * 120, "x" * 120),
        ("x" * 121, f"{'x' * 110} …"),
        ("\n" * 5000, rf"{chr(92)}n" * 55 + " …"),
    ],
)
def test_shortened_text_is_printable_and_part_of_one_line(text, expected):
    assert shorten(text) == expected and expected.isprintable()


def test_printable_text_is_not_cut():
    assert printable("a\n" * 500) == r"a\n" * 500


def test_hints_name_the_most_similar_name():
    assert hint("lamda_ent", ["lambda_lap", "lambda_ent", "lr"]) == "; did you mean lambda_ent?"
    assert hint("xyz", ["lambda_ent", "lr"]) == hint("a", []) == ""


def test_metric_part_keeps_what_mlflow_accepts():
    assert metric_part("traffic light-2_b") == "traffic light-2_b"
    assert metric_part("a/b.c:d%") == "a_b_c_d_"


def test_flatten():
    assert flatten({"a": {"b": {"c": [1]}, "d": 2}, "e": 3}) == {"a.b.c": [1], "a.d": 2, "e": 3}
