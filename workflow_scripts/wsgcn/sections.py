"""Sections of the config as frozen dataclasses."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import TypeVar

Section = TypeVar("Section")


def from_section(kind: type[Section], values: Mapping) -> Section:
    """A frozen dataclass from a section of the config: each field by its key, nested sections too, lists as tuples.

    Raises TypeError, naming the section's class, where a key is missing or unknown: the schema and the class disagree.
    """
    types = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if wrong := names ^ set(values):
        raise TypeError(f"{kind.__name__}: keys {', '.join(sorted(wrong))} are missing or unknown")
    return kind(**{name: _typed(types[name], values[name]) for name in names})


def _typed(kind: object, value: object) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return from_section(kind, value)
    return tuple(value) if isinstance(value, list) else value
