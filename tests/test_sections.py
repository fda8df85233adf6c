"""Sections of the config as frozen dataclasses."""

import dataclasses

import pytest

from wsgcn.sections import from_section


@dataclasses.dataclass(frozen=True)
class Inner:
    iterations: int


@dataclasses.dataclass(frozen=True)
class Outer:
    lr: float
    scale: tuple[float, float]
    crf: Inner
    weights: str | None = None


VALUES = {"lr": 1, "scale": [0.5, 1.5], "crf": {"iterations": 10}, "weights": "wheel"}


def test_fields_nested_sections_and_lists():
    settings = from_section(Outer, VALUES)
    assert settings == Outer(1, (0.5, 1.5), Inner(10), "wheel")
    assert hash(settings) == hash(from_section(Outer, VALUES))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.lr = 2


def test_a_field_with_a_default_may_be_missing():
    values = {key: value for key, value in VALUES.items() if key != "weights"}
    assert from_section(Outer, values) == Outer(1, (0.5, 1.5), Inner(10), None)


@pytest.mark.parametrize(
    "values, message",
    [
        (VALUES | {"rate": 1}, "^Outer: keys rate are missing or unknown$"),
        ({"lr": 1, "crf": {"iterations": 1}}, "^Outer: keys scale are missing or unknown$"),
        (VALUES | {"crf": {}}, "^Inner: keys iterations are missing or unknown$"),
    ],
)
def test_missing_and_unknown_keys_are_errors(values, message):
    with pytest.raises(TypeError, match=message):
        from_section(Outer, values)
