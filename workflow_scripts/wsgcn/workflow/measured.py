"""What is evaluated and tracked of the stages."""

from collections.abc import Callable, Mapping

from wsgcn.evaluation.names import BASELINE
from wsgcn.text import format_count
from wsgcn.workflow.flow import cam_settings, weight_settings
from wsgcn.workflow.rows import Evaluation, Tracked, keys_of
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


def _refined(ending: str):
    def protocol(settings: Mapping) -> str:
        return f"{REFINERS[settings['refinement']].protocol.format(**settings)}, {ending}"

    return protocol


def _several_scales(ending: str):
    def protocol(settings: Mapping) -> str:
        prediction = settings["segmentation"]["prediction"]
        scales = f"scales {', '.join(map(str, prediction['scales']))}{' and flip' if prediction['flip'] else ''}"
        combined = ", maximum of logits" if prediction["combine"] == "max_logits" else ""
        return f"{scales}{combined}, {ending}"

    return protocol


EVALUATIONS = {
    BASELINE: Evaluation(
        BASELINE,
        BASELINE,
        "label",
        lambda _: "colour far from the image's, no CRF",
        (BASELINE, "label"),
        needs_masks=True,
    ),
    "cam": Evaluation(
        "cam_label",
        "cam",
        "label",
        lambda settings: f"argmax against background {settings['background_score']}",
        timed=("cam", "cam"),
        background=lambda settings: settings["background_score"],
    ),
    "partial": Evaluation("partial", "partial", "label", lambda _: "labelled pixels only", ("partial", "label")),
    "refined": Evaluation(
        "refined",
        "refined",
        "label",
        _refined("no CRF"),
        timed=("refined", "label"),
        background=lambda settings: REFINERS[settings["refinement"]].background(settings),
    ),
    "refined_crf": Evaluation("pseudo", "pseudo", "label", _refined("dense CRF"), ("pseudo", "label")),
    "segmentation_single": Evaluation("predict", "single", "evaluate", lambda _: "one scale, no CRF"),
    "segmentation_multi": Evaluation("predict", "multi", "evaluate", _several_scales("no CRF")),
    "segmentation_multi_crf": Evaluation(
        "predict", "multi_crf", "evaluate", _several_scales("dense CRF"), timed=("predict", "evaluate")
    ),
}


def protocol_of(evaluated: str, settings: Mapping, corrected: int) -> str:
    """What the name of a metric does not say, such as how many of the labels are corrected."""
    row = EVALUATIONS[evaluated]
    double = ", double softmax" if row.files == "pseudo" and settings["pseudo"]["crf_input"] != "probabilities" else ""
    mended = f", {format_count(corrected, 'label')} corrected" if row.files == "pseudo" and corrected else ""
    return f"{row.protocol(settings)}{double}{mended}"


def timed_stages(evaluated: str, settings: Mapping) -> list[tuple[str, str]]:
    """The stages whose seconds an evaluation counts, each with its list: those of refined scores have an affinity."""
    timed = EVALUATIONS[evaluated].timed
    found = [timed] if timed else []
    if evaluated == "refined" and (affinity := affinity_of(settings)):
        found.append((f"{affinity}_affinity", "label"))
    return found


def _classifier_settings(settings: Mapping) -> tuple[str, ...]:
    source = cam_source_of(settings)
    row = CAM_SOURCES[source]
    if not row.training:
        return ()
    read = row.training.features.params if row.training.features else {}
    return tuple(dict.fromkeys([*named_choice(row.chosen_by, source), *keys_of(row.training.params), *keys_of(read)]))


def _refiner_settings(settings: Mapping) -> tuple[str, ...]:
    row, affinity = REFINERS[settings["refinement"]], affinity_of(settings)
    return (*(("affinity", *keys_of(AFFINITIES[affinity].open_params)) if affinity else ()), *keys_of(row.params))


def _segmentation_settings(settings: Mapping) -> tuple[str, ...]:
    network = settings["segmentation_network"]
    row = SEGMENTATION_NETWORKS[network]
    weight = weight_settings(row.training, settings)
    if network in FIRST_METHODS:
        return ("segmentation", "seed", *weight)
    own = ("segmentation_network", "segmentation.prediction", *keys_of(row.training.params), *keys_of(row.params))
    return (*own, *weight)


def _affinity_settings(name: str) -> Callable[[Mapping], tuple[str, ...]]:
    backbone, network = AFFINITIES[name].backbone, keys_of(AFFINITIES[name].network_params)
    own = (f"{name}.labels", f"{name}.training", *network, *((backbone,) if backbone else ()), "seed")
    return lambda settings: (*own, *weight_settings(affinity_training(name), settings))


TRACKED = {
    "classifier": Tracked("classifier", _classifier_settings, training="classifier"),
    "cam": Tracked(
        "cam_label", lambda settings: (*cam_settings(cam_source_of(settings)), "background_score"), ("cam",)
    ),
    **{
        row.network: Tracked(
            row.network,
            _affinity_settings(name),
            training=row.network,
            labels=f"{name}_label",
        )
        for name, row in AFFINITIES.items()
    },
    "partial": Tracked("partial", lambda _: keys_of(PARTIAL), ("partial",)),
    "refine": Tracked("refined", _refiner_settings, ("refined",)),
    "pseudo": Tracked("pseudo", lambda _: keys_of(PSEUDO), ("refined_crf",)),
    "segmentation": Tracked(
        "predict",
        _segmentation_settings,
        ("segmentation_single", "segmentation_multi", "segmentation_multi_crf"),
        training="segmentation",
    ),
}
