"""What the workflow reads before it plans: experiments and data. All problems are reported in one list."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from wsgcn.data.dataset import Dataset, DatasetError
from wsgcn.data.names import pattern_problem, unknown_class
from wsgcn.data.sizes import image_facts
from wsgcn.evaluation.names import MIN_MASKS, can_judge
from wsgcn.files import why_no_file, why_no_weights
from wsgcn.labels.crf import BACKENDS, DEFAULT_BACKEND
from wsgcn.text import shorten
from wsgcn.workflow.check import check_networks, format_problems
from wsgcn.workflow.cluster import cluster_problems
from wsgcn.workflow.corrections import find_corrections, open_corrections
from wsgcn.workflow.exchange import class_problems, corrections_folder
from wsgcn.workflow.experiments import (
    add_first_round,
    candidates,
    first_round_problems,
    idle_choices,
    read_experiments,
    segmented_experiments,
    unknown_first_round,
)
from wsgcn.workflow.fitted import UNKNOWN, DataFacts, facts_of, fit_experiments, leaves_open
from wsgcn.workflow.flow import has_walk, trainings_of
from wsgcn.workflow.images import empty_lists, find_images, open_images
from wsgcn.workflow.prediction_folder import PredictionFolder
from wsgcn.workflow.rows import load
from wsgcn.workflow.settings import expand_home
from wsgcn.workflow.sharing import backbone_of, value_of
from wsgcn.workflow.stages import CAM_SOURCES, READERS, cam_source_of

MAX_CLASS_NAME_CHARACTERS = 100
"""MLflow allows 250 characters per metric: a list's name, for which the schema allows as many, stage, iou and class."""

DATA_PROBLEM = re.compile(r"config: (seed|dataset(\.(?!longest_side)\w+)?)[:\[]")
NETWORK_KEYS = (
    "backbone|classifier|cam|cam_source|affinity|refinement|"
    "segmentation|segmentation_network|segmentation_for|experiment"
)
NETWORK_PROBLEM = re.compile(rf"config: ({NETWORK_KEYS})[.:\[]")
"""How problems begin of settings without which no data set, or no network, can be checked."""


class Inputs(NamedTuple):
    """The settings of each experiment; the data set; its missing images, {id: a sentence}; the reasons for the settings
    of each experiment that were `auto`, by dotted key; the files of its corrections, by image."""

    experiments: dict[str, dict]
    data: Dataset
    missing: dict[str, str]
    reasons: dict[str, dict[str, str]]
    corrections: dict[str, str]


def read_inputs(config: dict, schema: str | Path, results: str | Path, threads: int = 1) -> Inputs:
    """The experiments, with values in place of `auto`, and the data set.

    The data set is without the missing images, which are a problem unless `on_error` is skip. results: the folder that
    holds the data set's. If anything is wrong, images, masks and networks are checked at once, not only when something
    is to be computed. Raises ValueError with a sentence for each problem. Where settings are wrong, only the base's
    networks are checked, and none if its own settings are. Expands `~` in the config's paths, in place.
    """
    problems: list[str] = []
    data, missing, corrections = None, dict[str, str](), dict[str, str]()
    expand_home(config)
    try:
        experiments = read_experiments(config, schema)
        problems += cluster_problems(config)
    except ValueError as error:
        problems += str(error).splitlines()
        experiments = {} if any(map(NETWORK_PROBLEM.match, problems)) else {config["experiment"]: config}
    unfitted = experiments
    experiments, reasons = fit_experiments(unfitted, UNKNOWN)
    if any(map(DATA_PROBLEM.match, problems)):
        raise ValueError(format_problems(problems + _weight_problems(config, experiments) + _crf_problems(config)))
    section, skips, own = config["dataset"], config.get("on_error") == "skip", Path(results) / config["dataset"]["name"]
    drawn = READERS[section["kind"]].drawn  # such a data set has its images later
    try:
        data = read_dataset(section, config["seed"], own)
    except DatasetError as error:
        problems, data = problems + error.problems, error.data
    problems += _weight_problems(config, experiments) + _crf_problems(config)
    named = config.get("predict") and not any(problem.startswith("config: predict:") for problem in problems)
    folder = PredictionFolder(config["predict"], str(own)) if named else None
    wrong_folder = folder.problems() if folder else []
    problems += wrong_folder
    if data:
        if not drawn:
            data, missing, doubled = find_images(data, section["root"])
            problems += doubled
        problems += empty_lists(data, missing, "exists") if skips else missing.values()
        used = data.without(missing) if skips else data
        corrections, lost = find_corrections(data, corrections_folder(section, str(own)))
        problems += lost
        corrections = {image: path for image, path in corrections.items() if image not in missing}
        if not problems and any(map(leaves_open, unfitted.values())):
            experiments, reasons = fit_experiments(unfitted, _data_facts(data.without(missing), section, own))
        if not problems:  # else some experiment may lack the section
            problems += first_round_problems(experiments)
        if not problems:
            experiments = add_first_round(config, experiments)
            problems += unknown_first_round(config, experiments)
            reasons = {name: reasons.get(name, reasons[config["experiment"]]) for name in experiments}
        problems += _class_problems(data, experiments.values()) + _cam_problems(experiments.values(), used)
        if not problems:
            problems += class_problems(config["export"], data.classes)
            problems += idle_choices(config, experiments)
            problems += _choice_problems(config, experiments, data.without(missing))
            problems += _review_problems(config, experiments)
    if problems or data is None:
        remarks: Sequence[str] = ()
        if data and not drawn:
            opened = open_images(data.without(missing), own, threads, skips)
            wrong, _ = open_corrections(data, corrections, own, threads)
            problems, remarks = problems + opened.problems + wrong, (*data.remarks, *opened.remarks)
        if folder and not wrong_folder:
            problems += folder.open(threads, skips)[0]
        networks = _networks(config, experiments)  # of the hub's, which are slow to download, the names alone
        at_hand = [(w, b | {"weights": "random"} if b["weights"] == "hub" else b, s) for w, b, s in networks]
        problems += check_networks(at_hand, own / "data/networks.json")
        raise ValueError(format_problems(list(dict.fromkeys(problems)), remarks))
    return Inputs(experiments, data.without(missing), missing, reasons, corrections)


def _data_facts(data: Dataset, section: Mapping, own: Path) -> DataFacts:
    """What settings are chosen from. section: `dataset` of the config; own: the data set's folder of results."""
    if READERS[section["kind"]].drawn:
        return facts_of(data, [section["demo_size"]])
    found = image_facts([image.path for image in data.images.values()], own / "data/sizes.json")
    return facts_of(data, [min(max(image.height, image.width), section["longest_side"]) for image in found.values()])


def _weight_problems(config: Mapping, experiments: Mapping[str, Mapping]) -> list[str]:
    """A sentence for each file of initial weights that is not there, and for random ones that nothing trains."""
    weights = [(where, backbone["weights"]) for where, backbone, _ in _networks(config, experiments)]
    missing = [f"{where}backbone.weights: {why}" for where, path in weights if (why := why_no_weights(path))]
    sources = dict.fromkeys(
        CAM_SOURCES[source].chosen_by + f": {source}"
        for settings in experiments.values()
        if (training := CAM_SOURCES[source := cam_source_of(settings)].training)
        and training.features
        and settings["backbone"]["weights"] == "random"
    )
    return missing + [f"backbone.weights: random tells {source} nothing, which does not train it" for source in sources]


def _crf_problems(config: Mapping) -> list[str]:
    """A sentence if what is to compute the dense CRFs is not there."""
    backend = config.get("crf_backend")
    if backend == DEFAULT_BACKEND or backend not in list(BACKENDS) or find_spec(backend):
        return []  # the schema knows what else is wrong
    how = f"`.venv/bin/pip install -e '.[{backend}]'`, with a C++ compiler"
    if sys.version_info >= (3, 13):
        how = "it needs Python 3.11 or 3.12"
    return [f"crf_backend: {backend} is not installed: {how}, or take {DEFAULT_BACKEND}"]


def _networks(config: Mapping, experiments: Mapping[str, Mapping]) -> list[tuple[str, dict[str, Any], int]]:
    """What `check_networks` takes, of all networks that the experiments train, each once."""
    found, segmented = [], segmented_experiments(config, experiments) if experiments else []
    for name, settings in experiments.items():
        for stage, training in trainings_of(settings).items():
            network = backbone_of(settings, training)
            if network and network not in found and (stage != "segmentation" or name in segmented):
                found.append(network)
    return found


def _class_problems(data: Dataset, experiments: Collection[Mapping]) -> list[str]:
    """A sentence for each class whose name is too long for MLflow, and for each in the settings that there is not."""
    long = [
        f"class {shorten(name)}: is longer than {MAX_CLASS_NAME_CHARACTERS} characters, too long for a metric's name"
        for name in data.classes
        if len(name) > MAX_CLASS_NAME_CHARACTERS
    ]
    keys = [(CAM_SOURCES[cam_source_of(settings)].by_class, settings) for settings in experiments]
    named = dict.fromkeys((key, name) for key, settings in keys if key for name in value_of(settings, key))
    wrong = [(key, name) for key, name in named if name not in data.classes]
    return long + [
        f"{key}: {unknown_class(name, data.classes) if isinstance(name, str) else f'put {name} in quotation marks'}"
        for key, name in wrong
    ]


def _cam_problems(experiments: Collection[Mapping], data: Dataset) -> list[str]:
    """A sentence for each file of external CAMs that is not there, and where `cam.folder` and `cam_source` disagree."""
    others = (settings["cam_source"] for settings in experiments if settings["cam"]["folder"])
    unclear = [
        f"cam_source: {name} reads no external CAMs, so cam.folder must be empty"
        for name in dict.fromkeys(others)
        if name not in ("classifier", "external")
    ]
    keys = dict.fromkeys(
        (row.folder, value_of(settings, row.folder))
        for settings in experiments
        if (row := CAM_SOURCES[cam_source_of(settings)]).folder
    )
    missing = [
        f"{key}: is empty, but cam_source needs the folder of a .npy per image" for key, path in keys if not path
    ]
    tagged = [i for i, image in (data.train | data.label).items() if image.classes]  # no file of a negative is read
    paths = [(key, f"{path}/{image}.npy") for key, path in keys if path for image in tagged]
    return unclear + missing + [f"{key}: {path} {why}" for key, path in paths if (why := why_no_file(path))]


def _choice_problems(config: Mapping, experiments: Mapping[str, Mapping], data: Dataset) -> list[str]:
    """A sentence where the rule of `choose_by` cannot judge the labels of what `choose` lists."""
    rule, tried = config["choose_by"], {name for values in candidates(config).values() for name in values}
    if not tried:
        return []
    are_alike = len({frozenset(image.classes) for image in data.label.values()}) <= 1
    masks = sum(bool(image.mask) for image in data.label.values())
    if rule == "truth" and masks < MIN_MASKS:
        return [f"choose_by: truth needs masks of {MIN_MASKS} images of dataset.label or more, which has {masks}"]
    if rule == "consistency" and are_alike:
        return ["choose_by: consistency needs images of dataset.label that lack a class, which all of them show"]
    last_crf = [key for key in config["choose"] if not can_judge("crf_agreement", key)]
    if rule == "crf_agreement":
        return [f"choose_by: crf_agreement cannot judge {key}: it favours the least CRF" for key in last_crf]
    if are_alike and (rule == "mean_rank" or (rule == "auto" and masks < MIN_MASKS)):
        needed = f"choose_by: truth with {MIN_MASKS} masks, or images of dataset.label that lack a class"
        return [f"choose: {key} needs {needed}" for key in last_crf]
    if rule == "walk_agreement":
        without = [name for name in experiments if name in tried and not has_walk(experiments[name])]
        return [f"choose_by: walk_agreement needs a GCN's affinities, which {name} does not read" for name in without]
    return []


def _review_problems(config: Mapping, experiments: Mapping[str, Mapping]) -> list[str]:
    """A sentence where the score that orders the base's labels compares them with a walk, and there is none."""
    base = config["experiment"]
    if config["review"]["score"] == "walk_agreement" and not has_walk(experiments[base]):
        return [f"review.score: walk_agreement needs a GCN's affinities, which {base} does not read"]
    return []


def read_dataset(settings: Mapping, seed: int, results: Path) -> Dataset:
    """The data set that the `dataset` section of the config describes.

    Raises DatasetError with a sentence for each problem, naming the file, line or class at fault.
    """
    reader = READERS[settings["kind"]]
    problems: list[str] = []
    if not reader.drawn and (wrong := pattern_problem(settings["root"])):
        raise DatasetError([f"dataset.root: {settings['root']} {wrong}"])
    data = load(reader.read)(settings, seed, results, problems.append)
    if problems:
        raise DatasetError(problems, data)
    return data
