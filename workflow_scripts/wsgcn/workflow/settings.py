"""The config against its schema: each problem one sentence that names the key."""

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import jsonschema
import yaml

from wsgcn.text import flatten, hint, shorten

Registries = Mapping[str, Sequence[str]]
"""The names in each registry, {"affinities": ["irnet", "psa"], …}."""

TYPE_NAMES = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false"}
TYPE_NAMES |= {"array": "a list", "object": "a section of keys"}
PROBLEMS = {  # by the schema's keyword; jsonschema words the others
    "type": "is not {}",
    "minimum": "is below the minimum of {}",
    "maximum": "is above the maximum of {}",
    "exclusiveMinimum": "is not above {}",
    "exclusiveMaximum": "is not below {}",
    "ascending": "is not in ascending order",
}
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
YAML_WORDS = yaml.SafeLoader.bool_values | {"null": None}
PATH_KEYS = ("root", "folder", "weights", "predict", "returned")
MAX_NUMBER = sys.float_info.max
MAX_DIGITS = 400  # MAX_NUMBER has 309


def _check_ascending(validator, _, values: object, __) -> Iterator[jsonschema.ValidationError]:
    """The schema's keyword `ascending`: the numbers of a list are in ascending order."""
    if isinstance(values, list) and all(validator.is_type(value, "number") for value in values):
        if values != sorted(values):
            yield jsonschema.ValidationError("not ascending")


def _registry_check(registries: Registries) -> Callable[..., Iterator[jsonschema.ValidationError]]:
    """The schema's keyword `registry`: the value is a name in that registry, as if the schema listed them as `enum`."""

    def check(_, registry: str, value: object, __) -> Iterator[jsonschema.ValidationError]:
        if registry in registries:
            names = list(registries[registry])
        else:
            from wsgcn.workflow.stages import registry_names

            names = registry_names(registry)
        if isinstance(value, str) and value not in names:
            yield jsonschema.ValidationError("not registered", validator="enum", validator_value=names)

    return check


NUMBER_TYPES = {  # plain JSON Schema accepts 5.0 as an integer and .nan as a number
    "integer": lambda _, value: type(value) is int and abs(value) <= MAX_NUMBER,
    "number": lambda _, value: type(value) in (int, float) and abs(value) <= MAX_NUMBER,
}
PLAIN_VALIDATOR = jsonschema.Draft202012Validator
VALIDATOR = jsonschema.validators.extend(
    PLAIN_VALIDATOR,
    {"ascending": _check_ascending, "registry": _registry_check({})},
    type_checker=PLAIN_VALIDATOR.TYPE_CHECKER.redefine_many(NUMBER_TYPES),
)


def problems_of(
    config: Mapping, schema: str | Path, whole: bool = True, registries: Registries | None = None
) -> list[str]:
    """A sentence for each unknown key, wrong type and value out of range, sorted.

    whole: whether `config` must have every key, which what an experiment changes need not have. registries: names that
    the keyword `registry` allows, where they are not those of `wsgcn.workflow.stages`.
    """
    validator = VALIDATOR
    if registries:
        validator = jsonschema.validators.extend(VALIDATOR, {"registry": _registry_check(registries)})
    errors = list(_errors(validator(_read_schema(Path(schema))), dict(config)))
    mistyped = [error.absolute_path for error in errors if error.validator == "type"]
    reported = [  # of a value of the wrong type, further errors add nothing
        error
        for error in errors
        if (error.validator == "type" or error.absolute_path not in mistyped)
        and (whole or error.validator != "required")
    ]
    problems = {sentence for error in reported for sentence in _sentences(error)}
    flat = flatten(config)
    if whole and flat.get("dataset.root") == "" and _needs_root(flat.get("dataset.kind")):
        problems.add(f"dataset.root: must not be empty for data of kind {flat['dataset.kind']}")
    return sorted(problems)


def _errors(validator, config: Mapping) -> Iterator[jsonschema.ValidationError]:
    """The errors of a config; of a value that may also be `auto`, by `anyOf`, what is wrong with it as another one."""
    for error in validator.iter_errors(config):
        if error.validator == "anyOf":
            yield from (inner for inner in error.context if inner.relative_schema_path[0] > 0)
        else:
            yield error


def _may_be_auto(error: jsonschema.ValidationError) -> bool:
    """Whether the value itself, not one in it, might also be `auto`."""
    return error.parent is not None and not error.relative_path


def _needs_root(kind: object) -> bool:
    """Whether data of a kind are read from a folder; False for a kind that the schema refuses."""
    from wsgcn.workflow.stages import READERS  # late, since tests give other registries

    return isinstance(kind, str) and kind in READERS and not READERS[kind].drawn


def numbers_from_text(config: dict, schema: str | Path) -> None:
    """Replace text, in place, by the number, boolean or null that it spells, where the schema requires one.

    Snakemake leaves text in `--config 'refine={lambda_ent: 0.2}'`, and YAML reads 1e-4 as text.
    """
    for error in list(_errors(VALIDATOR(_read_schema(Path(schema))), config)):
        if error.validator == "type" and isinstance(error.instance, str):
            value = _parse_text(error.instance)
            if VALIDATOR({"type": error.validator_value}).is_valid(value):
                *sections, last = error.absolute_path
                functools.reduce(lambda section, key: section[key], sections, config)[last] = value


def expand_home(config: dict) -> None:
    """Replace `~` in paths, in place, by the user's home: Snakemake and Python take it for a folder's name."""
    for key, value in config.items():
        if isinstance(value, dict):
            expand_home(value)
        elif key in PATH_KEYS and isinstance(value, str) and value.startswith("~"):
            config[key] = os.path.expanduser(value)


def _parse_text(text: str) -> object:
    """The value that a text spells, else the text.

    YAML is not used: it also reads dates, and 12:30 as a number of base 60.
    """
    if text.lower() in YAML_WORDS:
        return YAML_WORDS[text.lower()]
    if len(text) > MAX_DIGITS or not NUMBER.fullmatch(text):
        return text
    return int(text) if text.strip("-+").isdecimal() else float(text)


@functools.cache
def _read_schema(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def _sentences(error: jsonschema.ValidationError) -> Iterator[str]:
    """The sentences about an error of the schema, one per missing or unknown key."""
    key, value, wanted, keyword = _dotted(error.absolute_path), error.instance, error.validator_value, error.validator
    prefix = f"{key}." if key else ""
    if keyword == "required":
        yield from (f"{prefix}{name}: is missing" for name in wanted if name not in value)
    elif keyword == "additionalProperties":
        known = list(error.schema["properties"])
        for name in sorted(set(map(str, value)) - set(known)):
            shown = shorten(name if name.strip() else json.dumps(name))
            yield f"unknown key {prefix}{shown}" + (hint(name, known) or f"; known are {', '.join(known)}")
    elif keyword == "enum":
        names = [*map(str, wanted), *(["auto"] if _may_be_auto(error) else [])]
        yield f"{key}: {shorten(str(value))} must be one of {', '.join(names)}{hint(str(value), names)}"
    else:
        limit = wanted
        if keyword == "type":  # one type, or one type and null
            limit = TYPE_NAMES[
                next(name for name in ([wanted] if isinstance(wanted, str) else wanted) if name != "null")
            ] + (" or auto" if _may_be_auto(error) else "")
        custom = error.schema["says"] if keyword in ("pattern", "not") else PROBLEMS.get(keyword, "").format(limit)
        shown = shorten(json.dumps(value, default=str, skipkeys=True))  # JSON has no dates as keys
        yield f"{key}: {shown} {custom or error.message.removeprefix(repr(value)).strip()}"


def _dotted(path: Iterable[object]) -> str:
    """A path of keys and list indices in a config as one key: refine.scales[1]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shorten(str(part))}" for part in path)
    return "".join(parts).removeprefix(".")
