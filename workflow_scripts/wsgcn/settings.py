"""The config against its schema: every problem a sentence that names the key."""

import difflib
import functools
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import jsonschema
import yaml

TYPES = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false"}
TYPES |= {"array": "a list", "object": "a section of keys"}
PROBLEMS = {  # by the schema's keyword; others are told in jsonschema's words
    "type": "{} is not {}",
    "minimum": "{} is below the minimum of {}",
    "maximum": "{} is above the maximum of {}",
    "exclusiveMinimum": "{} is not above {}",
    "exclusiveMaximum": "{} is not below {}",
    "pattern": "{} names folders, so it holds letters, digits, '.', '_' and '-' only, the first a letter or digit",
    "ascending": "{} is not in ascending order",
}


def _ascending(validator, _, values: object, __) -> Iterator[jsonschema.ValidationError]:
    numbers = isinstance(values, list) and all(validator.is_type(value, "number") for value in values)
    if numbers and values != sorted(values):
        yield jsonschema.ValidationError("not ascending")


BASE = jsonschema.Draft202012Validator
NUMBERS = {  # plain JSON Schema has 5.0 for an integer and .nan for a number
    "integer": lambda _, value: type(value) is int,
    "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
}
VALIDATOR = jsonschema.validators.extend(
    BASE, {"ascending": _ascending}, type_checker=BASE.TYPE_CHECKER.redefine_many(NUMBERS)
)


def check_settings(config: Mapping, schema: str | Path, where: str = "config") -> None:
    """Raise ValueError, a line begun by `where` for each unknown or missing key, wrong type or value out of range."""
    errors = list(VALIDATOR(_read(Path(schema))).iter_errors(dict(config)))
    mistyped = [error.absolute_path for error in errors if error.validator == "type"]  # their other errors say no more
    told = (error for error in errors if error.validator == "type" or error.absolute_path not in mistyped)
    problems = {f"{where}: {line}" for error in told for line in _sentences(error)}
    flat = flatten(config)
    if flat.get("dataset.kind") in ("voc", "folder") and flat.get("dataset.root") == "":
        problems.add(f"{where}: dataset.root: is empty, but data of kind {flat['dataset.kind']} lie there")
    if problems:
        raise ValueError("\n".join(sorted(problems)))


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
    with suppress(ValueError):
        return int(text) if text.strip("-").isdecimal() else float(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


@functools.cache
def _read(schema: Path) -> dict:
    return yaml.safe_load(schema.read_text())


def _sentences(error: jsonschema.ValidationError) -> Iterator[str]:
    key, value, wanted, kind = _printable(error.json_path[2:]), error.instance, error.validator_value, error.validator
    dot = f"{key}." if key else ""
    if kind == "required":
        yield from (f"{dot}{name}: is missing" for name in wanted if name not in value)
    elif kind == "additionalProperties":
        known = list(error.schema["properties"])
        for name in sorted(set(map(str, value)) - set(known)):
            yield f"unknown key {dot}{_printable(name) if name.strip() else json.dumps(name)}" + (
                hint(name, known) or f"; known are {', '.join(known)}"
            )
    elif kind == "enum":
        names = list(map(str, wanted))
        yield f"{key}: {value} is none of {', '.join(names)}{hint(str(value), names)}"
    else:
        shown, limit = json.dumps(value, default=str), wanted
        if kind == "type":  # one, or one beside null
            limit = TYPES[next(name for name in ([wanted] if isinstance(wanted, str) else wanted) if name != "null")]
        yield f"{key}: {PROBLEMS[kind].format(shown, limit) if kind in PROBLEMS else error.message}"


def _printable(name: str) -> str:
    """A key in one line, whatever is in it."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)


def hint(name: str, known: list[str]) -> str:
    """The end of a sentence that names the nearest known name, if one is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def flatten(settings: Mapping, prefix: str = "") -> dict[str, object]:
    """Nested settings as dotted keys: {"refine": {"lr": 0.01}} to {"refine.lr": 0.01}."""
    flat = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
