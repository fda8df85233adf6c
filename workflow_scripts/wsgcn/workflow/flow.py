"""Which stages an experiment has: what each reads, where its files lie, what its trainings are.

Read off the rows that the experiment has chosen in `wsgcn.workflow.stages`.
"""

from collections.abc import Mapping

from wsgcn.evaluation.names import BASELINE
from wsgcn.workflow.rows import Stage, Training, keys_of
from wsgcn.workflow.stages import (
    AFFINITIES,
    CAM_SOURCES,
    FIRST_METHODS,
    PARTIAL,
    PSEUDO,
    REFINERS,
    SEGMENTATION_NETWORKS,
    affinity_of,
    affinity_training,
    cam_source_of,
    named_choice,
)


def cam_settings(name: str) -> tuple[str, ...]:
    """The dotted keys of what the stage of a CAM source reads."""
    row = CAM_SOURCES[name]
    own = (row.chosen_by, *keys_of(row.params), *((row.folder,) if row.folder else ()))
    return ("cam",) if name in FIRST_METHODS else own


def _cam_stages(name: str) -> dict[str, Stage]:
    row, stages = CAM_SOURCES[name], {}
    own = cam_settings(name)
    if row.training:
        choice, features = named_choice(row.chosen_by, name), row.training.features
        if features:
            read = (*choice, *keys_of(features.params))
            pattern = "classifier/{folder}features/{image}.npz"
            stages["features"] = Stage(pattern, read, images=row.training.images)
        first = ("self_training.first",) if row.training.labels_of else ()
        keys = (*choice, *first, *keys_of(row.training.params))
        model, history = "classifier/{folder}model.pt", "classifier/{folder}history.csv"
        stages["classifier"] = Stage(model, keys, tuple(stages), history=history)
    after = ("classifier",) if row.training else ()
    stages["cam"] = Stage("cam/{folder}{image}.npz", own, after, images="cam")
    return stages | {"cam_label": Stage(settings=("background_score",), after=("cam",), images="label")}


def correction_weight(training: Training, settings: Mapping) -> float | None:
    """How much corrected pixels count in a training's loss; None where that changes nothing.

    Nothing changes at 0 where the training's labels hold no corrections, and at 1 where they do, as pseudo labels.
    """
    if not training.corrections:
        return None
    section, key = training.corrections.split(".")
    weight = settings[section][key]
    return None if weight == (1 if training.labels == "pseudo" else 0) else weight


def weight_settings(training: Training, settings: Mapping) -> tuple[str, ...]:
    """The key of the setting that weighs corrections in a training, where it changes something."""
    return () if correction_weight(training, settings) is None else (training.corrections,)


def _affinity_stages(name: str, settings: Mapping) -> dict[str, Stage]:
    network = AFFINITIES[name].network
    return {
        f"{name}_label": Stage(
            f"{name}/{{folder}}labels/{{image}}.{AFFINITIES[name].label_suffix(settings)}",
            (f"{name}.labels",),
            after=("cam",),
            images="train",
        ),
        network: Stage(
            f"{name}/{{folder}}{network}.pt",
            (*keys_of(affinity_training(name).params), *weight_settings(affinity_training(name), settings)),
            after=(f"{name}_label",),
            history=f"{name}/{{folder}}history.csv",
        ),
        f"{name}_affinity": Stage(
            f"affinity/{name}/{{folder}}{{image}}.npz",
            keys_of(AFFINITIES[name].open_params),
            after=(network,),
            images="label",
        ),
    }


def stages_of(settings: Mapping) -> dict[str, Stage]:
    """The stages that an experiment has, in the order that data flow."""
    refiner, affinity = REFINERS[settings["refinement"]], affinity_of(settings)
    stages = _cam_stages(cam_source_of(settings)) | (_affinity_stages(affinity, settings) if affinity else {})
    read = [f"{affinity}_affinity" if stage == "affinity" else stage for stage in refiner.reads]
    if "partial" in read:
        stages["partial"] = Stage("partial/{folder}{image}.png", keys_of(PARTIAL), ("cam",), "label")
    chosen = ("affinity", "refinement") if affinity else ("refinement",)
    own, before = (*chosen, *keys_of(refiner.params)), tuple(stage for stage in read if stage != "image")
    stages["refined"] = Stage("refined/{folder}{image}.npz", own, before, "label", named=True)
    stages["pseudo"] = Stage("pseudo/{folder}{image}.png", keys_of(PSEUDO), ("refined",), "label", named=True)
    return stages | _segmentation_stages(settings["segmentation_network"], settings)


def _segmentation_stages(name: str, settings: Mapping) -> dict[str, Stage]:
    row, own = SEGMENTATION_NETWORKS[name], named_choice("segmentation_network", name)
    own += weight_settings(row.training, settings)
    model, history = "segmentation/{folder}model.pt", "segmentation/{folder}history.csv"
    trained = Stage(model, (*own, *keys_of(row.training.params)), ("pseudo",), history=history, named=True)
    opened = () if name in FIRST_METHODS else keys_of(row.params)
    predicted = Stage("", ("segmentation.prediction", *opened), ("segmentation",), "evaluate", named=True)
    return {"segmentation": trained, "predict": predicted}


BASELINES = {BASELINE: Stage("no_learning/{image}.png", images="label")}
"""What all experiments are compared with: like a stage, but none reads it and no setting changes it."""

FURTHER_FILES = {
    "confidence": ("pseudo", "confidence/{folder}{image}.png"),
    "before": ("pseudo", "corrected/{folder}{image}.npz"),
    "measures": ("pseudo", "review/{folder}measures/{image}.npz"),
    "thumbnails": ("pseudo", "review/{folder}pictures/{image}.jpg"),
    "single": ("predict", "segmentation/{folder}single/{image}.png"),
    "multi": ("predict", "segmentation/{folder}multi/{image}.png"),
    "multi_crf": ("predict", "segmentation/{folder}multi_crf/{image}.png"),
}
"""Files per image that are no stage's own: the stage whose folders they go by, and their pattern."""


def trainings_of(settings: Mapping) -> dict[str, Training]:
    """The trainings of an experiment by their stage, in the order that data flow."""
    found, affinity = {}, affinity_of(settings)
    if training := CAM_SOURCES[cam_source_of(settings)].training:
        found["classifier"] = training
    if affinity:
        found[AFFINITIES[affinity].network] = affinity_training(affinity)
    return found | {"segmentation": SEGMENTATION_NETWORKS[settings["segmentation_network"]].training}


def teacher_of(settings: Mapping) -> str:
    """The experiment whose labels the CAMs of an experiment are trained on; "" where there is none."""
    training = CAM_SOURCES[cam_source_of(settings)].training
    return training.labels_of if training else ""


def has_walk(settings: Mapping) -> bool:
    """Whether an experiment's labels can be compared with a random walk: they have affinities and are no walk's."""
    return settings["refinement"] != "random_walk" and affinity_of(settings) is not None


def dependencies(settings: Mapping) -> dict[str, tuple[str, ...]]:
    """The stages that an experiment has, each with the settings it depends on, its own and those before it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, stage in stages_of(settings).items():
        found[name] = tuple(dict.fromkeys([*stage.settings, *(key for other in stage.after for key in found[other])]))
    return found


def stages_before(settings: Mapping, stage: str) -> set[str]:
    """A stage of an experiment, and all stages that its files come from."""
    stages = stages_of(settings)
    return {stage}.union(*(stages_before(settings, other) for other in stages[stage].after))


def idle_settings(settings: Mapping) -> set[str]:
    """The dotted keys of settings that no stage reads beside the others."""
    return REFINERS[settings["refinement"]].ignores(settings) | set(AFFINITIES[settings["affinity"]].ignores)
