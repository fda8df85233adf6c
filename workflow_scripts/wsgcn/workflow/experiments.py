"""Experiments: named changes to the settings, checked against the schema."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from wsgcn.text import flatten, hint, shorten
from wsgcn.workflow.flow import teacher_of
from wsgcn.workflow.settings import numbers_from_text, problems_of
from wsgcn.workflow.sharing import fingerprint, folders, relevant_settings, value_of
from wsgcn.workflow.stages import FIRST_ROUND

COMMON = (
    "dataset experiment experiments sweeps choose choose_by chosen against segmentation_for predict device "
    "device_batch export exchange crf_backend batch_size on_error on_flat_affinity training_threads "
    "loading_threads checkpoint_seconds cluster review report"
).split()  # what no experiment changes
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def merge(base: Mapping, changes: Mapping) -> dict:
    """`base` with `changes` merged over it: sections key by key, anything else as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def merge_defaults(config: Mapping, defaults: str | Path) -> dict:
    """A module's config merged over the file of defaults: it may name only what it changes."""
    return merge(yaml.safe_load(Path(defaults).read_text()), config)


def changes_by_name(config: Mapping) -> dict[str, Mapping]:
    """What each experiment changes: nothing for the base, then `experiments`, then values of `sweeps` and `choose`.

    An entry that is null or has the base's name is left out. A value's experiment is named like lambda_ent-0.5; the
    base's own value is left out, and a value in both sections is one experiment.
    """
    return dict(_list_changes(config))


def _list_changes(config: Mapping) -> list[tuple[str, Mapping]]:
    """As `changes_by_name`, but two experiments may have one name."""
    base, current = config["experiment"], flatten(config)
    entries = [(base, {}), *((n, c) for n, c in config["experiments"].items() if c is not None and n != base)]
    swept, tried = (
        [
            (name, nest(key, value))
            for key, values in config[section].items()
            for name, value in _new_values(key, values, current)
        ]
        for section in ("sweeps", "choose")
    )
    return entries + swept + [entry for entry in tried if entry not in swept]


def _new_values(key: str, values: Iterable[Any], current: Mapping[str, object]) -> list[tuple[str, Any]]:
    """The values of a setting that are not the base's, each with its experiment's name."""
    new = [value for value in values if key not in current or fingerprint(current[key]) != fingerprint(value)]
    return [(f"{key.rpartition('.')[2]}-{value}", value) for value in new]


def candidates(config: Mapping) -> dict[str, dict[str, Any]]:
    """The values that each setting of `choose` has to choose from, {key: {experiment: value}}, the base's first."""
    current = flatten(config)
    return {
        key: {config["experiment"]: value_of(config, key)} | dict(_new_values(key, values, current))
        for key, values in config["choose"].items()
    }


def read_experiments(config: dict, schema: str | Path) -> dict[str, dict]:
    """The settings of every experiment by name, the base first, without what all have in common.

    Numbers that are written as text in `config` become numbers there. Raises ValueError with a line for each setting
    of the base or an experiment that the schema refuses, or that experiments cannot change.
    """
    _read_numbers(config, schema)
    usable = _select_usable(config)
    entries = _list_changes(usable)
    problems = problems_of(config, schema)
    for name, changes in entries:
        lines = [f"{key} cannot differ between experiments" for key in COMMON if key in changes]
        lines += problems_of(changes, schema, whole=False)  # by themselves: the base's problems are reported once
        problems += [f"experiment {shorten(name)}: {line}" for line in lines]
    problems += _name_problems([name for name, _ in entries], usable)
    if usable["experiment"]:
        sources = [changes.get("cam_source", usable.get("cam_source")) for _, changes in entries]
        added = [FIRST_ROUND] if "self_training" in sources or "auto" in sources else []  # perhaps: `add_first_round`
        problems += _reference_problems(usable, [name for name, _ in entries] + added)
    if problems:
        raise ValueError("\n".join(f"config: {line}" for line in problems))
    merged = {name: merge(config, changes) for name, changes in entries}
    return {
        name: {key: value for key, value in settings.items() if key not in COMMON} for name, settings in merged.items()
    }


def first_round_problems(experiments: Mapping[str, Mapping]) -> list[str]:
    """A sentence where `first-round` would learn from its own labels or is the base, and for each experiment that wants
    another one.

    experiments: with a value in place of each `auto`, the base first.
    """
    if FIRST_ROUND not in map(teacher_of, experiments.values()):
        return []
    if FIRST_ROUND in experiments and teacher_of(experiments[FIRST_ROUND]) == FIRST_ROUND:
        problem = f"config: experiment {FIRST_ROUND}: cam_source: self_training would learn from its own labels"
        return [f"{problem}; give it classifier or mil, or another name"]
    if FIRST_ROUND == next(iter(experiments)):
        return [f"config: experiment: {FIRST_ROUND} is the name of the round that self_training learns from"]
    firsts = {name: settings["self_training"]["first"] for name, settings in experiments.items()}
    return [
        f"config: experiment {name}: self_training.first cannot differ between experiments"
        for name, first in firsts.items()
        if first != next(iter(firsts.values()))
    ]


def add_first_round(config: dict, experiments: Mapping[str, dict]) -> dict[str, dict]:
    """The experiments, with `first-round` second among them where CAMs are trained on its labels and it is not there.

    experiments: with a value in place of each `auto`. The entry is added to the config as well, so that it is described
    like any other.
    """
    if FIRST_ROUND in experiments or FIRST_ROUND not in map(teacher_of, experiments.values()):
        return dict(experiments)
    base = config["experiment"]
    changes: dict[str, Any] = {"cam_source": experiments[base]["self_training"]["first"]}
    if experiments[base]["cam"]["folder"]:
        changes["cam"] = {"folder": ""}
    others = {name: own for name, own in config["experiments"].items() if name != FIRST_ROUND}  # which may be null
    config["experiments"] = {FIRST_ROUND: changes} | others
    return {base: experiments[base], FIRST_ROUND: merge(experiments[base], changes)} | dict(experiments)


def unknown_first_round(config: Mapping, experiments: Mapping[str, Mapping]) -> list[str]:
    """A sentence for each setting that names `first-round` where nothing needs it.

    experiments: with what `add_first_round` adds.
    """
    if FIRST_ROUND in experiments:
        return []
    named = {
        "against": {name for pair in further_pairs(config) for name in pair},
        "segmentation_for": segmented_experiments(config, experiments),
    }
    why = f"unknown experiment {FIRST_ROUND}: no cam_source is self_training"
    return [f"config: {key}: {why}" for key, names in named.items() if FIRST_ROUND in names]


def idle_choices(config: Mapping, experiments: Mapping[str, Mapping]) -> list[str]:
    """A sentence for each setting of `choose` of which some value changes no label, so that nothing could choose it.

    experiments: the settings of each, with a value in place of each `auto`.
    """
    if not config["choose"]:
        return []
    base, labels = config["experiment"], folders(experiments)["pseudo"]
    first = relevant_settings(experiments[FIRST_ROUND]) if FIRST_ROUND in experiments else {}
    why = {key: "is read by first-round alone, which all experiments share" for key in first}
    return [
        f"config: choose.{key}: {why.get(key, f'no label of {base} depends on it, so there is nothing to choose')}"
        for key, values in candidates(config).items()
        if any(name != base and labels[name] == labels[base] for name in values)
    ]


def _read_numbers(config: dict, schema: str | Path) -> None:
    """As `numbers_from_text`, also in what experiments change and in the values of sweeps and choices."""
    numbers_from_text(config, schema)
    usable = _select_usable(config)
    for changes in usable["experiments"].values():
        numbers_from_text(changes or {}, schema)
    for key, values in (*usable["sweeps"].items(), *usable["choose"].items()):
        for index, value in enumerate(values):
            numbers_from_text(changes := nest(key, value), schema)
            values[index] = value_of(changes, key)


def _select_usable(config: Mapping) -> dict:
    """The config without entries that cannot name an experiment or change settings; the schema reports those."""

    def entries(section: str) -> dict:
        content = config.get(section)
        return {n: v for n, v in content.items() if isinstance(n, str)} if isinstance(content, Mapping) else {}

    base, choice = config.get("experiment"), config.get("segmentation_for")
    names = [name for name in choice if isinstance(name, str)] if isinstance(choice, list) else []
    return {
        **config,
        "experiment": base if isinstance(base, str) else "",
        "experiments": {n: v if isinstance(v, Mapping | None) else {} for n, v in entries("experiments").items()},
        **{
            section: {key: values for key, values in entries(section).items() if isinstance(values, list)}
            for section in ("sweeps", "choose")
        },
        "against": {name: other for name, other in entries("against").items() if isinstance(other, str | None)},
        "segmentation_for": choice if isinstance(choice, str) else names,
    }


def _name_problems(names: Iterable[str], config: Mapping) -> list[str]:
    """A sentence for each name that two experiments have, and for each of a sweep that cannot name a folder."""
    counts = Counter(names)
    checked = {config["experiment"], *config["experiments"]}  # by the schema
    duplicates = [f"two experiments are named {shorten(name)}" for name, count in counts.items() if count > 1]
    return duplicates + [
        f"experiment {shorten(name)}: the name must be 1 to 100 letters, digits, '.', '_' or '-', "
        "the first a letter or digit"
        for name in counts
        if name not in checked and not NAME.fullmatch(name)
    ]


def _reference_problems(config: Mapping, names: list[str]) -> list[str]:
    """A sentence for each name in `against` and `segmentation_for` that is no experiment's."""
    pairs, words = further_pairs(config), ["base", "all", "none"]
    problems = [f"against: {shorten(name)} is compared with itself" for name, other in pairs if name == other]
    references = [name for pair in config["against"].items() if pair[1] is not None for name in pair]
    problems += [f"against: {_unknown_experiment(name, names)}" for name in references if name not in names]
    is_list = not isinstance(config["segmentation_for"], str)
    for name in segmented_experiments(config, names):
        if is_list and name in words and name not in names:
            problems.append(f"segmentation_for: {name} must be given alone, not in a list")
        elif name not in names:
            known = names if is_list else [*names, *words]
            problems.append(f"segmentation_for: {_unknown_experiment(name, known)}")
    return problems


def _unknown_experiment(name: str, names: list[str]) -> str:
    return f"unknown experiment {shorten(name)}{hint(name, names)}"


def segmented_experiments(config: Mapping, experiments: Iterable[str]) -> list[str]:
    """The experiments whose labels train a segmentation network, as `segmentation_for` names them."""
    choice = config["segmentation_for"]
    groups = {"base": [config["experiment"]], "all": list(experiments), "none": []}
    return groups.get(choice, [choice]) if isinstance(choice, str) else choice


def further_pairs(config: Mapping) -> list[tuple[str, str]]:
    """The comparisons of `against`, each an experiment and what it is compared with; null and the base left out."""
    return [(name, other) for name, other in config["against"].items() if other not in (None, config["experiment"])]


def describe(name: str, config: Mapping, experiments: Mapping[str, Mapping]) -> str:
    """What an experiment changes, or that it is the base, in a sentence. experiments: the settings of each."""
    if name == config["experiment"]:
        return "the base: the config as it stands"
    base, own = flatten(experiments[config["experiment"]]), flatten(experiments[name])
    changed = [key for key in flatten(changes_by_name(config)[name]) if base[key] != own[key]]
    parts = [f"{key} {own[key]} instead of {base[key]}" for key in changed]
    return ", ".join(parts) or "nothing changed"


def nest(key: str, value: Any) -> dict:
    """Settings that hold one value alone, by its dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
