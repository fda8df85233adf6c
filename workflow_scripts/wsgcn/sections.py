"""Sections of the config as frozen dataclasses."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import TypeVar

Section = TypeVar("Section")


def from_section(kind: type[Section], values: Mapping) -> Section:
    """Build a dataclass from a section of the config: each field from its key, nested sections too, lists as tuples.

    A field with a default may be missing: jobs are not told settings of `workflow.sharing.LATER_DEFAULTS` that have
    theirs. Raises TypeError, naming the class and the keys, where another is missing or one is unknown: then schema and
    class disagree.
    """
    types = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    missing = {name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING}
    if mismatched := missing | (set(values) - set(fields)):
        raise TypeError(f"{kind.__name__}: keys {', '.join(sorted(mismatched))} are missing or unknown")
    return kind(**{name: _convert(types[name], values[name]) for name in fields if name in values})


def _convert(kind: object, value: object) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return from_section(kind, value)
    return tuple(value) if isinstance(value, list) else value
