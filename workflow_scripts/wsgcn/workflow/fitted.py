"""Settings that are `auto`: chosen from number, size and tags of the images, before anything is planned.

Nothing else knows `auto`. Values change in coarse steps whose limits lie between usual numbers and sizes, since a value
that changes makes all that reads it run again. The numbers stand here, one table per fact.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from wsgcn.data.dataset import Dataset
from wsgcn.text import flatten
from wsgcn.workflow.sharing import relevant_settings, value_of

AUTO = "auto"

MIN_NEGATIVE_SHARE = 0.15
"""Share of negatives in the images to train on from which objects are looked for as small ones: where mostly nothing is
shown, what is shown is a defect, a lesion or a texture."""

MIN_NEGATIVES = 8
"""Least number of negatives for that: two of a dozen pictures say little about what is mostly shown."""

MIN_IMAGES_SECOND, MAX_IMAGES_SECOND = 45, 1100
"""Numbers of images to label from and up to which photographs get a second round, which was measured on 60 and 300: few
have little in common, and many take hours."""

MAX_IMAGES_HEAD = 3000
"""Number of images to train on up to which the classifier's head is trained alone."""

BY_TRAIN: dict[str, list[tuple[float, object]]] = {
    "irnet.training.batch": [(350, 8), (math.inf, 16)],
    "psa.training.batch": [(350, 8), (math.inf, 16)],
}
"""Values up to so many images to train on."""

BY_LABEL: dict[str, list[tuple[float, object]]] = {
    "segmentation.training.iterations": [(350, 250), (800, 500), (1700, 1000), (math.inf, 2000)],
}
"""Values up to so many images to label."""

SIDES: dict[int, float] = {128: 180, 256: 340, 384: 430, 512: 720, 1024: math.inf}
"""Typical longer sides that values are given for, each with the side below which an image counts as one [pixels]."""

LOCATION_SCALES: dict[int, object] = {128: 3, 256: 2, 384: 1.5, 512: 1, 1024: 1}
BY_SIDE: dict[str, dict[int, object]] = {
    "cam.scales": {128: [2, 3, 4], 256: [1, 2, 3], 384: [1, 1.5, 2], 512: [1, 0.5, 1.5], 1024: [0.5, 1]},
    "mil.scale": LOCATION_SCALES,
    "self_training.scale": LOCATION_SCALES,
    "irnet.training.crop": {128: 128, 256: 128, 384: 192, 512: 256, 1024: 320},
    "irnet.training.scale": {128: [0.75, 1.5], 256: [0.75, 1.5], 384: [0.75, 1.5], 512: [0.5, 1], 1024: [0.5, 1]},
    "psa.training.crop": {128: 128, 256: 128, 384: 192, 512: 256, 1024: 320},
    "psa.training.scale": {128: [0.75, 1.5], 256: [0.75, 1.5], 384: [0.75, 1.5], 512: [0.5, 1], 1024: [0.5, 1]},
    "segmentation.training.crop": {128: 256, 256: 256, 384: 256, 512: 256, 1024: 320},
    "segmentation.training.scale": {128: [2, 4], 256: [1, 2], 384: [0.75, 1.5], 512: [0.5, 1], 1024: [0.5, 1]},
    "segmentation.prediction.scales": {
        128: [2, 3, 4],
        256: [1, 1.5, 2],
        384: [0.75, 1, 1.5],
        512: [0.5, 0.75, 1],
        1024: [0.5, 0.75],
    },
}
"""Values by one of `SIDES`: classifiers and segmentation networks see the image at any scale, so that small ones are
enlarged; the affinity networks' files have the image's own grid, so they are trained near its own scale."""


@dataclass(frozen=True)
class DataFacts:
    """What settings are chosen from.

    train, label: how many images each list has; negatives: those of `train` that show no class; side: geometric mean of
    the longer sides [pixels], as they are processed. A mean moves little when images are added, whatever their sizes.
    """

    train: int = 0
    label: int = 0
    negatives: int = 0
    side: float = 500


UNKNOWN = DataFacts()
"""Of data that cannot be read: with settings chosen from it, the other problems are found all the same."""

Fit = Callable[[DataFacts, Mapping[str, object]], tuple[object, str]]
"""The value of a setting and why, from the facts and the other settings by their dotted keys."""


def facts_of(data: Dataset, sides: Iterable[int]) -> DataFacts:
    """The facts of a data set, some of whose images have these longer sides [pixels]."""
    logs = [math.log(side) for side in sides]
    side = math.exp(sum(logs) / len(logs)) if logs else UNKNOWN.side
    negatives = sum(not image.classes for image in data.train.values())
    return DataFacts(len(data.train), len(data.label), negatives, side)


def fit_settings(settings: Mapping, facts: DataFacts) -> tuple[dict, dict[str, str]]:
    """The settings of an experiment with a value in place of each `auto`, and why it is that one, by dotted key.

    settings: also such as the schema refuses. A value that is given stays.
    """
    flat = flatten(settings)
    found = {key: fit(facts, flat) for key, fit in FITS.items() if flat.get(key) == AUTO}
    values = {key: deepcopy(value) for key, (value, _) in found.items()}
    return _replace(settings, values), {key: reason for key, (_, reason) in found.items()}


def fit_experiments(
    experiments: Mapping[str, Mapping], facts: DataFacts
) -> tuple[dict[str, dict], dict[str, dict[str, str]]]:
    """As `fit_settings`, of each experiment by name."""
    fitted = {name: fit_settings(settings, facts) for name, settings in experiments.items()}
    return {name: own for name, (own, _) in fitted.items()}, {name: reasons for name, (_, reasons) in fitted.items()}


def leaves_open(settings: Mapping) -> bool:
    """Whether any setting is left to be chosen."""
    flat = flatten(settings)
    return any(flat.get(key) == AUTO for key in FITS)


def _replace(settings: Mapping, values: Mapping[str, object], prefix: str = "") -> dict:
    return {
        key: _replace(value, values, f"{prefix}{key}.")
        if isinstance(value, Mapping)
        else values.get(f"{prefix}{key}", value)
        for key, value in settings.items()
    }


# What becomes of each setting


def _fit_cam_source(facts: DataFacts, others: Mapping[str, object]) -> tuple[object, str]:
    if others.get("cam.folder"):
        return "external", "cam.folder is set"
    first, shown = _fit_first(facts, others)
    if first == "classifier" and MIN_IMAGES_SECOND <= facts.label <= MAX_IMAGES_SECOND:
        return "self_training", f"{facts.label} images to label"
    return first, shown


def _fit_first(facts: DataFacts, _: Mapping[str, object]) -> tuple[object, str]:
    shown = f"{facts.negatives} of {facts.train} images to train on show no class"
    if facts.negatives < MIN_NEGATIVE_SHARE * facts.train:
        return "classifier", shown
    if facts.negatives < MIN_NEGATIVES:
        return "classifier", f"{shown}, fewer than {MIN_NEGATIVES}"
    return "mil", shown


def _fit_classifier(facts: DataFacts, _: Mapping[str, object]) -> tuple[object, str]:
    return ("head" if facts.train <= MAX_IMAGES_HEAD else "all"), f"{facts.train} images to train on"


def _fit_by_train(key: str) -> Fit:
    return lambda facts, _: (_step(BY_TRAIN[key], facts.train), f"{facts.train} images to train on")


def _fit_by_label(key: str) -> Fit:
    return lambda facts, _: (_step(BY_LABEL[key], facts.label), f"{facts.label} images to label")


def _fit_by_side(key: str) -> Fit:
    return lambda facts, _: (BY_SIDE[key][_band(facts.side)], f"longer sides of about {facts.side:.0f} pixels")


def _step(steps: Iterable[tuple[float, object]], count: int) -> object:
    return next(value for limit, value in steps if count <= limit)


def _band(side: float) -> int:
    return next(band for band, limit in SIDES.items() if side < limit)


FITS: dict[str, Fit] = {
    "cam_source": _fit_cam_source,
    "self_training.first": _fit_first,
    "classifier.train": _fit_classifier,
    **{key: _fit_by_train(key) for key in BY_TRAIN},
    **{key: _fit_by_label(key) for key in BY_LABEL},
    **{key: _fit_by_side(key) for key in BY_SIDE},
}
"""What chooses each setting that may be `auto`, by dotted key."""


# What a start says of it


def describe_fits(
    experiments: Mapping[str, Mapping], reasons: Mapping[str, Mapping[str, str]], segmented: Collection[str]
) -> list[str]:
    """A heading and a line per chosen setting that is read: key, value, why; nothing without any.

    experiments: the settings that were chosen, the base first; reasons: of each, by key; segmented: the experiments
    that train a segmentation network. Of other experiments, what differs from the base is listed.
    """
    rows: dict[tuple[str, str], str] = {}
    base = next(iter(experiments), None)
    for name, settings in experiments.items():
        read, where = set(_keys_read(settings, name in segmented)), f", in {name}" if name != base else ""
        for key in (key for key in reasons[name] if key in read):
            rows.setdefault((key, str(value_of(settings, key))), f"{reasons[name][key]}{where}")
    keys, values = (max((len(row[part]) for row in rows), default=0) for part in (0, 1))
    lines = [f"  {key:{keys}}  {value:{values}}  {reason}" for (key, value), reason in rows.items()]
    return ["settings chosen from the data set (docs/own-data.md):", *lines] if lines else []


def _keys_read(settings: Mapping, is_segmented: bool) -> Iterator[str]:
    """The dotted keys of the settings that an experiment's stages read, and of those that chose its source of CAMs."""
    unread = [*([] if is_segmented else ["segmentation."]), *(["cam."] if settings["cam"]["folder"] else [])]
    yield from (key for key in relevant_settings(settings) if not key.startswith(tuple(unread)))
    if not settings["cam"]["folder"]:
        yield "cam_source"
        if settings["cam_source"] == "classifier":
            yield "classifier.train"
        if settings["cam_source"] == "self_training":
            yield "self_training.first"
