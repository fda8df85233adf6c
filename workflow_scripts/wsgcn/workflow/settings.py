"""The config against its schema: every problem a sentence that names the key."""

import functools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import jsonschema
import yaml

from wsgcn.text import flatten, hint, shorten

TYPES = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false"}
TYPES |= {"array": "a list", "object": "a section of keys"}
PROBLEMS = {  # by the schema's keyword; others are told in jsonschema's words
    "type": "is not {}",
    "minimum": "is below the minimum of {}",
    "maximum": "is above the maximum of {}",
    "exclusiveMinimum": "is not above {}",
    "exclusiveMaximum": "is not below {}",
    "ascending": "is not in ascending order",
}
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
WORDS = yaml.SafeLoader.bool_values | {"null": None}
MAX_NUMBER = sys.float_info.max


def _ascending(validator, _, values: object, __) -> Iterator[jsonschema.ValidationError]:
    numbers = isinstance(values, list) and all(validator.is_type(value, "number") for value in values)
    if numbers and values != sorted(values):
        yield jsonschema.ValidationError("not ascending")


PLAIN_VALIDATOR = jsonschema.Draft202012Validator
NUMBERS = {  # plain JSON Schema has 5.0 for an integer and .nan for a number
    "integer": lambda _, value: type(value) is int and abs(value) <= MAX_NUMBER,
    "number": lambda _, value: type(value) in (int, float) and abs(value) <= MAX_NUMBER,
}
VALIDATOR = jsonschema.validators.extend(
    PLAIN_VALIDATOR, {"ascending": _ascending}, type_checker=PLAIN_VALIDATOR.TYPE_CHECKER.redefine_many(NUMBERS)
)


def problems_of(config: Mapping, schema: str | Path, whole: bool = True) -> list[str]:
    """A sentence for each unknown key, wrong type or value out of range, and for each key that a whole config lacks."""
    errors = list(VALIDATOR(_read(Path(schema))).iter_errors(dict(config)))
    mistyped = [error.absolute_path for error in errors if error.validator == "type"]  # their other errors say no more
    told = (error for error in errors if error.validator == "type" or error.absolute_path not in mistyped)
    problems = {line for error in told if whole or error.validator != "required" for line in _sentences(error)}
    flat = flatten(config)
    if whole and flat.get("dataset.kind") in ("voc", "folder") and flat.get("dataset.root") == "":
        problems.add(f"dataset.root: is empty, but data of kind {flat['dataset.kind']} lie there")
    return sorted(problems)


def numbers_from_text(config: dict, schema: str | Path) -> None:
    """Make of a text, in place, the number, true, false or null that it reads as, where the schema wants one.

    Snakemake leaves text within `--config 'refine={lambda_ent: 0.2}'`, and YAML in a file takes 1e-4 for one.
    """
    for error in list(VALIDATOR(_read(Path(schema))).iter_errors(config)):
        if error.validator == "type" and isinstance(error.instance, str) and _is(_read_text(error.instance), error):
            *sections, last = error.absolute_path
            functools.reduce(lambda part, key: part[key], sections, config)[last] = _read_text(error.instance)


def _is(value: object, error: jsonschema.ValidationError) -> bool:
    """Whether a value has the type, or one of those, that was asked for."""
    return VALIDATOR({"type": error.validator_value}).is_valid(value)


def _read_text(text: str) -> object:
    """What a text reads as, itself for most; not by YAML, which finds dates and, in 12:30, a number of base 60."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if len(text) > 400 or not NUMBER.fullmatch(text):  # the largest number has 309 digits
        return text
    return int(text) if text.strip("-+").isdecimal() else float(text)


@functools.cache
def _read(schema: Path) -> dict:
    return yaml.safe_load(schema.read_text())


def _sentences(error: jsonschema.ValidationError) -> Iterator[str]:
    key, value, wanted, kind = _dotted(error.absolute_path), error.instance, error.validator_value, error.validator
    dot = f"{key}." if key else ""
    if kind == "required":
        yield from (f"{dot}{name}: is missing" for name in wanted if name not in value)
    elif kind == "additionalProperties":
        known = list(error.schema["properties"])
        for name in sorted(set(map(str, value)) - set(known)):
            yield f"unknown key {dot}{shorten(name if name.strip() else json.dumps(name))}" + (
                hint(name, known) or f"; known are {', '.join(known)}"
            )
    elif kind == "enum":
        names = list(map(str, wanted))
        yield f"{key}: {shorten(str(value))} is none of {', '.join(names)}{hint(str(value), names)}"
    else:
        limit = wanted
        if kind == "type":  # one, or one beside null
            limit = TYPES[next(name for name in ([wanted] if isinstance(wanted, str) else wanted) if name != "null")]
        says = error.schema["says"] if kind in ("pattern", "not") else PROBLEMS.get(kind, "").format(limit)
        shown = shorten(json.dumps(value, default=str, skipkeys=True))  # as JSON has no dates for keys
        yield f"{key}: {shown} {says or error.message.removeprefix(repr(value)).strip()}"


def _dotted(path: Iterable[object]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{shorten(str(part))}" for part in path)
    return "".join(parts).removeprefix(".")
