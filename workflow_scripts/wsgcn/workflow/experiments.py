"""Experiments: named changes to the settings, checked against the schema."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from wsgcn.text import flatten, hint, shorten
from wsgcn.workflow.settings import numbers_from_text, problems_of
from wsgcn.workflow.sharing import fingerprint, value_of

COMMON = (
    "dataset experiment experiments sweeps against segmentation_for device device_batch batch_size "
    "on_error training_threads checkpoint_seconds report"
).split()  # what no experiment changes
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def merge(base: Mapping, changes: Mapping) -> dict:
    """`base` with `changes` laid over it: sections key by key, anything else as a whole."""
    both = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = merge(both[key], value) if nested else value
    return both


def with_defaults(config: Mapping, defaults: str | Path) -> dict:
    """A module's config laid over the file of defaults: it may name only what it changes."""
    return merge(yaml.safe_load(Path(defaults).read_text()), config)


def changes_by_name(config: Mapping) -> dict[str, Mapping]:
    """What each experiment changes: nothing for the base, then `experiments`, then the values of `sweeps`.

    An entry that is null, or called as the base is, is left out. A swept value's experiment is called like
    lambda_ent-0.5; the base's own value is left out.
    """
    return dict(_named_changes(config))


def _named_changes(config: Mapping) -> list[tuple[str, Mapping]]:
    """As `changes_by_name`, where two may have one name."""
    base, current = config["experiment"], flatten(config)
    named = [(base, {}), *((n, c) for n, c in config["experiments"].items() if c is not None and n != base)]
    for key, values in config["sweeps"].items():
        others = [value for value in values if key not in current or fingerprint(current[key]) != fingerprint(value)]
        named += [(f"{key.rpartition('.')[2]}-{value}", _nested(key, value)) for value in others]
    return named


def read_experiments(config: dict, schema: str | Path) -> dict[str, dict]:
    """The settings of every experiment by name, the base first, without what all have in common.

    Numbers that are written as text in `config` are made numbers there. Raises ValueError with a line for each setting
    that the schema refuses or that experiments cannot change, be it the base's or an experiment's.
    """
    _read_numbers(config, schema)
    formed = _well_formed(config)
    named = _named_changes(formed)
    problems = problems_of(config, schema)
    for name, changes in named:
        wrong = [f"{key} cannot differ between experiments" for key in COMMON if key in changes]
        wrong += problems_of(changes, schema, whole=False)  # by themselves: what they inherit is told of the base
        problems += [f"experiment {shorten(name)}: {line}" for line in wrong]
    problems += _problems_of_names(named, formed)
    if formed["experiment"]:
        problems += _problems_of_references(formed, [name for name, _ in named])
    if problems:
        raise ValueError("\n".join(f"config: {line}" for line in problems))
    settings = {name: merge(config, changes) for name, changes in named}
    return {name: {key: own[key] for key in own if key not in COMMON} for name, own in settings.items()}


def _read_numbers(config: dict, schema: str | Path) -> None:
    """As `numbers_from_text`, also in what experiments change and in the values of sweeps."""
    numbers_from_text(config, schema)
    formed = _well_formed(config)
    for changes in formed["experiments"].values():
        numbers_from_text(changes or {}, schema)
    for key, values in formed["sweeps"].items():
        for place, value in enumerate(values):
            numbers_from_text(changes := _nested(key, value), schema)
            values[place] = value_of(changes, key)


def _well_formed(config: Mapping) -> dict:
    """The config without what cannot name an experiment or change settings; the schema tells what is wrong with it."""

    def named(section: str) -> dict:
        found = config.get(section)
        return {n: v for n, v in found.items() if isinstance(n, str)} if isinstance(found, Mapping) else {}

    base, asked = config.get("experiment"), config.get("segmentation_for")
    listed = [name for name in asked if isinstance(name, str)] if isinstance(asked, list) else []
    return {
        **config,
        "experiment": base if isinstance(base, str) else "",
        "experiments": {n: v if isinstance(v, Mapping | None) else {} for n, v in named("experiments").items()},
        "sweeps": {key: values for key, values in named("sweeps").items() if isinstance(values, list)},
        "against": {own: other for own, other in named("against").items() if isinstance(other, str | None)},
        "segmentation_for": asked if isinstance(asked, str) else listed,
    }


def _problems_of_names(named: Iterable[tuple[str, Mapping]], config: Mapping) -> list[str]:
    """A sentence for each name that two experiments have, and for those of sweeps that would not do as a folder's."""
    counts = Counter(name for name, _ in named)
    told = {config["experiment"], *config["experiments"]}  # by the schema, where they would not do
    twice = [f"two experiments are named {shorten(name)}" for name, count in counts.items() if count > 1]
    return twice + [
        f"experiment {shorten(name)}: the name must be 1 to 100 letters, digits, '.', '_' or '-', "
        "the first a letter or digit"
        for name in counts
        if name not in told and not NAME.fullmatch(name)
    ]


def _problems_of_references(config: Mapping, names: list[str]) -> list[str]:
    """A sentence for each name in `against` and `segmentation_for` that is no experiment's."""
    pairs, words = further_pairs(config), ["base", "all", "none"]
    problems = [f"against: {shorten(own)} is compared with itself" for own, other in pairs if own == other]
    compared = [name for pair in config["against"].items() if pair[1] is not None for name in pair]
    problems += [f"against: {_nobody(name, names)}" for name in compared if name not in names]
    listed = not isinstance(config["segmentation_for"], str)
    for name in segmented_experiments(config, names):
        if listed and name in words and name not in names:
            problems.append(f"segmentation_for: {name} must be given alone, not in a list")
        elif name not in names:
            problems.append(f"segmentation_for: {_nobody(name, names if listed else [*names, *words])}")
    return problems


def _nobody(name: str, names: list[str]) -> str:
    return f"unknown experiment {shorten(name)}{hint(name, names)}"


def segmented_experiments(config: Mapping, experiments: Iterable[str]) -> list[str]:
    """The experiments whose labels train a segmentation network, as `segmentation_for` names them."""
    asked = config["segmentation_for"]
    groups = {"base": [config["experiment"]], "all": list(experiments), "none": []}
    return groups.get(asked, [asked]) if isinstance(asked, str) else asked


def further_pairs(config: Mapping) -> list[tuple[str, str]]:
    """The comparisons of `against`, each an experiment and what it is compared with; null and the base left out."""
    return [(own, other) for own, other in config["against"].items() if other not in (None, config["experiment"])]


def describe(name: str, config: Mapping) -> str:
    """In a sentence what an experiment changes, or that it is the base."""
    base, own = flatten(config), flatten(changes_by_name(config)[name])
    if name == config["experiment"]:
        return "the base: the config as it stands"
    changed = [f"{key} {value} instead of {base[key]}" for key, value in own.items() if base[key] != value]
    return ", ".join(changed) or "nothing changed"


def _nested(key: str, value: object) -> dict:
    """Settings that hold one value alone, by its dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
