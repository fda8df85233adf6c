"""Experiments: named changes to the settings, and which of them share a stage's files.

An experiment's stage depends on some settings, its own and those of the stages before it. Experiments that agree on
them share that stage; its files then carry the name of the first of them, or no name where that is the first of all.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from wsgcn.settings import check_settings, flatten, hint, numbers_from_text

COMMON = (
    "dataset experiment experiments sweeps against segmentation_for device device_batch batch_size "
    "on_error training_threads checkpoint_seconds report"
).split()  # what no experiment changes
UNNAMED = (
    "classifier cam cam_label irnet_label boundary irnet_affinity psa_label affinitynet psa_affinity partial"
).split()  # stages before the experiments part; later ones always carry a name
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")


def merge(base: Mapping, changes: Mapping) -> dict:
    """`base` with `changes` laid over it: sections key by key, anything else as a whole."""
    both = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = merge(both[key], value) if nested else value
    return both


def changes_by_name(config: Mapping) -> dict[str, Mapping]:
    """What each experiment changes: nothing for the base, then `experiments`, then the values of `sweeps`.

    An entry that is null, or called as the base is, is left out. A swept value's experiment is called like
    lambda_ent-0.5; the base's own value is left out. Raises ValueError where two experiments have one name, or where a
    name would not do as a folder's.
    """
    base = config["experiment"]
    named = [(base, {}), *((n, c) for n, c in config["experiments"].items() if c is not None and n != base)]
    current = flatten(config)
    for key, values in config["sweeps"].items():
        *sections, last = key.split(".")
        for value in values:
            if key in current and _mark(current[key]) == _mark(value):
                continue
            change = {last: value}
            for section in reversed(sections):
                change = {section: change}
            named.append((f"{last}-{value}", change))
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"config: two experiments are called {name}")
        if not NAME.fullmatch(name):
            raise ValueError(f"config: experiment {name}: letters, digits, '.', '_' and '-' make a name")
    return dict(named)


def read_experiments(config: dict, schema: str | Path) -> dict[str, dict]:
    """The settings of every experiment by name, the base first, without what all have in common.

    Numbers that are written as text in `config` are made numbers there. Raises ValueError with a line for each setting
    that the schema refuses or that experiments cannot change.
    """
    numbers_from_text(config, schema)
    check_settings(config, schema)
    experiments, problems = {}, []
    for name, changes in changes_by_name(config).items():
        where = f"config: experiment {name}"
        problems += [f"{where}: {key} cannot differ between experiments" for key in COMMON if key in changes]
        numbers_from_text(settings := merge(config, changes), schema)
        try:
            check_settings(settings, schema, where)
        except ValueError as error:
            problems.append(str(error))
        experiments[name] = {key: value for key, value in settings.items() if key not in COMMON}
    pairs = further_pairs(config)
    asked = {"against": [name for pair in config["against"].items() if pair[1] is not None for name in pair]}
    problems += [f"config: against: {own} is compared with itself" for own, other in pairs if own == other]
    asked["segmentation_for"] = segmented_experiments(config, experiments)
    for key, names in asked.items():
        words = ["base", "all", "none"] if key == "segmentation_for" else []
        problems += [
            f"config: {key}: no experiment is called {name}{hint(name, [*experiments, *words])}"
            for name in names
            if name not in experiments
        ]
    if problems:
        raise ValueError("\n".join(problems))
    return experiments


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


def dependencies(settings: Mapping) -> dict[str, tuple[str, ...]]:
    """The stages that an experiment has, each with the settings it depends on, its own and those before it."""
    stages = {}
    if not settings["cam"]["folder"]:
        stages["classifier"] = ("seed", "backbone", "classifier")
    cam = stages["cam"] = ("cam", *stages.get("classifier", ()))
    stages["cam_label"] = ("background_score", *cam)
    if settings["refinement"] == "none":
        affinity = ()
    elif settings["affinity"] == "irnet":
        stages["irnet_label"] = ("irnet.labels", *cam)
        stages["boundary"] = ("seed", "backbone", "irnet.training", *stages["irnet_label"])
        affinity = stages["irnet_affinity"] = stages["boundary"]
    else:
        stages["psa_label"] = ("psa.labels", *cam)
        stages["affinitynet"] = ("seed", "backbone", "psa.training", *stages["psa_label"])
        affinity = stages["psa_affinity"] = stages["affinitynet"]
    if settings["refinement"] == "gcn":
        stages["partial"] = ("partial", *cam)
        refined = ("affinity", "refinement", "seed", "graph", "refine", *affinity, *stages["partial"])
    elif settings["refinement"] == "random_walk":
        refined = ("affinity", "refinement", "graph.radius", "graph.beta", "random_walk", *affinity)
    else:
        refined = ("refinement", "background_score", *cam)
    stages["refined"] = refined
    stages["pseudo"] = ("pseudo", *refined)
    stages["segmentation"] = ("seed", "segmentation.training", *stages["pseudo"])
    stages["predict"] = ("segmentation.prediction", *stages["segmentation"])
    return stages


def part_of(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """The settings that some dotted keys name, by those keys."""
    return {key: _value(settings, key) for key in keys}


def read_of(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """As `part_of`, one by one, without those that no stage reads beside the others."""
    background = settings["random_walk"]["background"]
    idle = {"random_walk.alpha" if background == "constant" else "random_walk.background_score"}
    idle |= {"graph.features"} if settings["affinity"] == "psa" else set()
    return {key: value for key, value in flatten(part_of(settings, keys)).items() if key not in idle}


def used(settings: Mapping) -> dict[str, object]:
    """The settings that an experiment's stages read, by their dotted keys, in the order of the config."""
    found = read_of(settings, {key for stage in dependencies(settings).values() for key in stage})
    return {key: found[key] for key in flatten(settings) if key in found}


def folders(experiments: Mapping[str, Mapping]) -> dict[str, dict[str, str]]:
    """Where each stage's files of each experiment lie: {stage: {experiment: "" or "name/"}}.

    Experiments that agree on all that a stage depends on have one folder: that of the first of them.
    """
    found: dict[str, dict[str, str]] = {}
    first: dict[tuple[str, str], str] = {}
    for name, settings in experiments.items():
        for stage, keys in dependencies(settings).items():
            values = [_value(settings, key) for key in keys]
            unnamed = stage in UNNAMED and stage not in found
            mark = (stage, _mark(values))
            found.setdefault(stage, {})[name] = first.setdefault(mark, "" if unnamed else f"{name}/")
    return found


def _mark(value: object) -> str:
    """Equal for equal settings: 1 is 1.0, but not true."""

    def floats(part: object) -> object:
        if isinstance(part, Mapping):
            return {key: floats(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [floats(inner) for inner in part]
        return float(part) if type(part) is int else part

    return json.dumps(floats(value), sort_keys=True)


def _value(settings: Mapping, key: str) -> object:
    for part in key.split("."):
        settings = settings[part]
    return settings
