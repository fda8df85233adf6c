"""Which experiments share a stage's files: those that agree on all settings that it depends on.

Its files then carry the name of the first of them, or no name where that is the first experiment of all that has it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from wsgcn.text import flatten
from wsgcn.workflow.flow import dependencies, idle_settings, stages_before, stages_of, teacher_of
from wsgcn.workflow.rows import Training


def value_of(settings: Mapping, key: str) -> Any:
    """The value or section that a dotted key names. Raises KeyError where there is none."""
    for part in key.split("."):
        settings = settings[part]
    return settings


def select(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """The settings that some dotted keys name, by those keys."""
    return {key: value_of(settings, key) for key in keys}


LATER_DEFAULTS: dict[str, object] = {
    "grid_image": "bicubic",
    "psa.labels.on_grid": "nearest_pixel",
    "psa.training.pairs": "all",
    "psa.training.colour_jitter": [0, 0, 0, 0],
    "psa.training.freeze_stages": 0,
    "psa.training.freeze_norm": False,
    "partial.selection": "agreement",
    "refine.initial_weights": "glorot",
    "refine.outputs": "own",
    "pseudo.crf_input": "probabilities",
    "segmentation.training.freeze_norm": False,
    "segmentation.training.bias_lr_factor": 1,
    "segmentation.training.bias_decay": True,
    "segmentation.training.loss_size": "label",
    "segmentation.prediction.combine": "mean",
    "backbone.dilated": True,
    "classifier.freeze_stages": 0,
    "cam.full_size": "stretched",
    "irnet.first_stage": "unpooled",
    "irnet.pad_to": 0,
    "irnet.flip_mean": "probabilities",
    "irnet.training.pairs": "all",
    "random_walk.upsampling": "aligned",
    "random_walk.maximum": "class",
}
"""Settings that older versions lacked, by dotted key, with the default that computes what those did. At it no job is
told of them, so that finished results stay valid; what reads them in a job has the same default."""


def told_settings(settings: Mapping, key: str) -> Any:
    """As `value_of`, a section without the `LATER_DEFAULTS` in it."""
    value = value_of(settings, key)
    if not isinstance(value, Mapping):
        return value
    inner = {name: f"{key}.{name}" for name in value}
    return {name: told_settings(settings, own) for name, own in inner.items() if not _is_default(settings, own)}


def _is_default(settings: Mapping, key: str) -> bool:
    return key in LATER_DEFAULTS and fingerprint(value_of(settings, key)) == fingerprint(LATER_DEFAULTS[key])


def select_params(settings: Mapping, params: Mapping[str, str | tuple[str, ...]]) -> dict[str, object]:
    """A job's parameters from the settings that `rows.Params` name; several keys make a section of those alone.

    Those of `LATER_DEFAULTS` that have their default are left out.
    """
    return {
        name: told_settings(settings, keys)
        if isinstance(keys, str)
        else {key.rpartition(".")[2]: told_settings(settings, key) for key in keys if not _is_default(settings, key)}
        for name, keys in params.items()
        if not (isinstance(keys, str) and _is_default(settings, keys))
    }


def backbone_of(settings: Mapping, training: Training) -> tuple[str, dict[str, Any], int] | None:
    """Where the config names a training's backbone, for messages that go on with backbone.name or backbone.weights; the
    backbone; its output stride. None for a network without one."""
    if not training.backbone:
        return None
    return training.backbone.removesuffix("backbone"), value_of(settings, training.backbone), training.stride


def active_settings(settings: Mapping, keys: Iterable[str]) -> dict[str, object]:
    """As `select`, one value at a time, without those that no stage reads beside the others and `LATER_DEFAULTS`."""
    idle = idle_settings(settings)
    flat = flatten(select(settings, keys))
    return {key: value for key, value in flat.items() if key not in idle and not _is_default(settings, key)}


LATER_SETTINGS = {"negative": "", "others": "left_out", "corrections": "corrections"}
"""Settings of the section `dataset` that older versions lacked, with their defaults."""


def dataset_settings(section: Mapping) -> dict[str, object]:
    """The section `dataset` as a parameter, without later settings at their default: finished runs stay valid."""
    return {key: value for key, value in section.items() if LATER_SETTINGS.get(key, ...) != value}


def relevant_settings(settings: Mapping) -> dict[str, object]:
    """The settings that an experiment's stages read, by their dotted keys, in the order of the config."""
    found = active_settings(settings, {key for keys in dependencies(settings).values() for key in keys})
    return {key: found[key] for key in flatten(settings) if key in found}


def folders(experiments: Mapping[str, Mapping]) -> dict[str, dict[str, str]]:
    """Where each stage's files of each experiment lie: {stage: {experiment: "" or "name/"}}.

    Labels that others learn from have no corrections, so no other experiment shares them.
    """
    found: dict[str, dict[str, str]] = {}
    first: dict[tuple[str, str, bool], str] = {}
    teachers = set(map(teacher_of, experiments.values()))
    for name, settings in experiments.items():
        stages = stages_of(settings)
        for stage, keys in dependencies(settings).items():
            unnamed = not stages[stage].named and stage not in found
            teaches = name in teachers and "pseudo" in stages_before(settings, stage)
            agreed = (stage, fingerprint([value_of(settings, key) for key in keys]), teaches)
            found.setdefault(stage, {})[name] = first.setdefault(agreed, "" if unnamed else f"{name}/")
    return found


def fingerprint(value: object) -> str:
    """Equal for equal settings: 1.0 is 1, but not true."""

    def plain(part: object) -> object:
        if isinstance(part, Mapping):
            return {str(key): plain(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [plain(inner) for inner in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(plain(value), sort_keys=True, default=repr)  # such as dates, which no setting takes
