"""Experiments: named changes to the settings, and which of them share a stage's files.

An experiment's stage depends on some settings, its own and those of the stages before it. Experiments that agree on
them share that stage; its files then carry the name of the first of them, or no name where that is the first of all.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from wsgcn.text import flatten, hint, shorten
from wsgcn.workflow.settings import numbers_from_text, problems_of

COMMON = (
    "dataset experiment experiments sweeps against segmentation_for device device_batch batch_size "
    "on_error training_threads checkpoint_seconds report"
).split()  # what no experiment changes
UNNAMED = (
    "classifier cam cam_label irnet_label boundary irnet_affinity psa_label affinitynet psa_affinity partial"
).split()  # stages before the experiments part; later ones always carry a name
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
    lambda_ent-0.5; the base's own value is left out.
    """
    return dict(_named_changes(config))


def _named_changes(config: Mapping) -> list[tuple[str, Mapping]]:
    """As `changes_by_name`, where two may have one name."""
    base, current = config["experiment"], flatten(config)
    named = [(base, {}), *((n, c) for n, c in config["experiments"].items() if c is not None and n != base)]
    for key, values in config["sweeps"].items():
        others = [value for value in values if key not in current or _fingerprint(current[key]) != _fingerprint(value)]
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
            values[place] = _value(changes, key)


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
    twice = [f"two experiments are called {shorten(name)}" for name, count in counts.items() if count > 1]
    return twice + [
        f"experiment {shorten(name)}: up to 100 letters, digits, '.', '_' and '-' make a name"
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
            problems.append(f"segmentation_for: {name} stands by itself, not in a list")
        elif name not in names:
            problems.append(f"segmentation_for: {_nobody(name, names if listed else [*names, *words])}")
    return problems


def _nobody(name: str, names: list[str]) -> str:
    return f"no experiment is called {shorten(name)}{hint(name, names)}"


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


def select(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """The settings that some dotted keys name, by those keys."""
    return {key: _value(settings, key) for key in keys}


def active_settings(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """As `select`, one by one, without those that no stage reads beside the others."""
    background = settings["random_walk"]["background"]
    idle = {"random_walk.alpha" if background == "constant" else "random_walk.background_score"}
    idle |= {"graph.features"} if settings["affinity"] == "psa" else set()
    return {key: value for key, value in flatten(select(settings, keys)).items() if key not in idle}


def relevant_settings(settings: Mapping) -> dict[str, object]:
    """The settings that an experiment's stages read, by their dotted keys, in the order of the config."""
    found = active_settings(settings, {key for stage in dependencies(settings).values() for key in stage})
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
            mark = (stage, _fingerprint(values))
            found.setdefault(stage, {})[name] = first.setdefault(mark, "" if unnamed else f"{name}/")
    return found


def _fingerprint(value: object) -> str:
    """Equal for equal settings: 1.0 is 1, but not true."""

    def plain(part: object) -> object:
        if isinstance(part, Mapping):
            return {str(key): plain(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [plain(inner) for inner in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(plain(value), sort_keys=True, default=repr)  # such as dates, which no setting takes


def _value(settings: Mapping, key: str) -> object:
    for part in key.split("."):
        settings = settings[part]
    return settings


def _nested(key: str, value: object) -> dict:
    """Settings that hold one value alone, by its dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
