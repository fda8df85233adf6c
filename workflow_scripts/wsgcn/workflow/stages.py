"""The one table of stages, and the registries of what can be chosen for them.

A new method is a module, its test, one row here and its section of config.yaml and the schema (docs/extending.md).
Rules, files, dependencies, tracking, evaluation, protocols, report and checks are read off these rows.
"""

from collections.abc import Mapping

from wsgcn.evaluation.names import BASELINE
from wsgcn.workflow.rows import (
    Affinity,
    CamSource,
    Features,
    Reader,
    Refiner,
    SegmentationNetwork,
    Stage,
    Training,
    keys_of,
)

READERS = {  # dataset.kind
    "demo": Reader("the drawn demo", "wsgcn.data.readers.demo:read", drawn=True),
    "voc": Reader("a PASCAL VOC devkit", "wsgcn.data.readers.voc:read"),
    "folder": Reader("a folder with a labels.csv", "wsgcn.data.readers.folder:read"),
}

CAM_VIEWS = ("cam.scales", "cam.flip")
MIL_VIEWS = ("mil.scale", "mil.stride")
CAM_SOURCES = {  # cam_source; external too where cam.folder is set
    "classifier": CamSource(
        "CAMs",
        "wsgcn.cam.classifier:open_classifier",
        {"backbone": "backbone", "settings": CAM_VIEWS},
        training=Training(
            "the classifier",
            "wsgcn.cam.classifier:train_classifier",
            {
                "backbone": "backbone",
                "settings": tuple(
                    f"classifier.{key}"
                    for key in "epochs min_steps batch crop long_side lr_backbone lr_head weight_decay".split()
                ),
                "seed": "seed",
            },
            facts=("ids", "labels", "classes"),
        ),
        facts=("classes",),
        device=True,
    ),
    "head": CamSource(  # classifier.train: head
        "CAMs",
        "wsgcn.cam.classifier:open_classifier",
        {"backbone": "backbone", "settings": CAM_VIEWS},
        training=Training(
            "the classifier's head",
            "wsgcn.cam.head:train_head",
            {"backbone": "backbone", "settings": ("classifier.l2", "classifier.folds")},
            facts=("ids", "labels", "classes", "names"),
            features=Features(
                "pooled features",
                "wsgcn.cam.head:open_pooled_features",
                {"backbone": "backbone", "settings": CAM_VIEWS},
            ),
        ),
        facts=("classes",),
        device=True,
        within="classifier",
    ),
    "mil": CamSource(
        "CAMs of small objects",
        "wsgcn.cam.mil:open_location_cams",
        {"backbone": "backbone", "views": MIL_VIEWS, "flip": "cam.flip"},
        training=Training(
            "the classifier of locations",
            "wsgcn.cam.mil:train_locations",
            {"backbone": "backbone", "views": MIL_VIEWS, "settings": ("mil.top", "mil.l2")},
            facts=("ids", "labels", "classes"),
            features=Features(
                "features of locations",
                "wsgcn.cam.mil:open_location_features",
                {"backbone": "backbone", "settings": MIL_VIEWS},
            ),
        ),
        facts=("classes",),
        device=True,
    ),
    "external": CamSource(
        "external CAMs",
        "wsgcn.cam.external:open_external_cams",
        {},
        facts=("names", "numbering", "full_sizes"),
        folder="cam.folder",
        rule="foreign_cam",  # its name in older versions
    ),
}

AFFINITIES = {  # affinity
    "irnet": Affinity(
        "IRNet",
        "boundary",
        "wsgcn.affinity.training_labels:label_for_irnet",
        "wsgcn.affinity.irnet:train_boundary",
        "wsgcn.affinity.irnet:open_boundary_net",
        boundary=True,
    ),
    "psa": Affinity(
        "AffinityNet",
        "affinitynet",
        "wsgcn.affinity.training_labels:label_for_affinitynet",
        "wsgcn.affinity.affinitynet:train_affinitynet",
        "wsgcn.affinity.affinitynet:open_affinitynet",
        ignores=("graph.features",),
    ),
}


def _walk_background(settings: Mapping) -> float | None:
    walk = settings["random_walk"]
    return walk["background_score"] if walk["background"] == "constant" else None


def _idle_walk_settings(settings: Mapping) -> set[str]:
    constant = settings["random_walk"]["background"] == "constant"
    return {"random_walk.alpha" if constant else "random_walk.background_score"}


REFINERS = {  # refinement
    "gcn": Refiner(
        "GCN",
        "wsgcn.refinement.gcn_refiner:refine_with_gcn",
        ("image", "affinity", "partial"),
        {"graph": "graph", "settings": "refine", "seed": "seed"},
        "GCN",
        device=True,
        losses=True,
    ),
    "random_walk": Refiner(
        "walk",
        "wsgcn.refinement.random_walk:refine_with_random_walk",
        ("cam", "affinity"),
        {"radius": "graph.radius", "beta": "graph.beta", "settings": "random_walk"},
        "random walk of {random_walk[steps]} steps",
        background=_walk_background,
        ignores=_idle_walk_settings,
        rule="random_walk",
    ),
    "none": Refiner(
        "CAM",
        "wsgcn.refinement.cam_scores:scores_of_cams",
        ("cam",),
        {"background_score": "background_score"},
        "CAM",
        rule="score_cams",
    ),
}

SEGMENTATION_NETWORKS = {  # segmentation_network
    "deeplabv2": SegmentationNetwork(
        "DeepLabV2",
        Training(
            "DeepLabV2",
            "wsgcn.segmentation.deeplab:train_deeplab",
            {"settings": "segmentation.training", "seed": "seed"},
            images="label",
            labels="pseudo",
            facts=("classes",),
            backbone="segmentation.training.backbone",
            stride=8,
        ),
        "wsgcn.segmentation.deeplab:open_deeplab",
        {"backbone": "segmentation.training.backbone"},
    ),
}

FIRST_METHODS = ("classifier", "external", "irnet", "psa", "gcn", "random_walk", "none", "deeplabv2")
"""Methods that older versions had: neither the settings of their stages nor the parameters of their jobs name them, so
that finished results stay valid. All others are named in both."""

REGISTRIES: dict[str, Mapping[str, object]] = {
    "readers": READERS,
    "cam_sources": CAM_SOURCES,
    "affinities": AFFINITIES,
    "refiners": REFINERS,
    "segmentation_networks": SEGMENTATION_NETWORKS,
}


def registry_names(registry: str) -> list[str]:
    """The names that the schema's keyword `registry` allows."""
    return [name for name, row in REGISTRIES[registry].items() if not getattr(row, "within", "")]


def cam_source_of(settings: Mapping) -> str:
    """The name of an experiment's CAM source: `external` where `cam.folder` is set, else `cam_source`, whose row
    `classifier` stands for `head` where `classifier.train` says so."""
    if settings["cam"]["folder"]:
        return "external"
    name = settings["cam_source"]
    return "head" if name == "classifier" and settings["classifier"]["train"] == "head" else name


def affinity_of(settings: Mapping) -> str | None:
    """The name of the affinity network that an experiment's refiner reads; None where it reads none."""
    return settings["affinity"] if "affinity" in REFINERS[settings["refinement"]].reads else None


def affinity_training(name: str) -> Training:
    """The training of an affinity network."""
    row = AFFINITIES[name]
    backbone = {"backbone": row.backbone} if row.backbone else {}
    params = {**backbone, "settings": f"{name}.training", "seed": "seed"}
    return Training(row.title, row.train, params, labels=f"{name}_label", backbone=row.backbone)


def named_choice(key: str, name: str) -> tuple[str, ...]:
    """The key of a choice where its method is named."""
    return () if name in FIRST_METHODS else (key,)


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
            stages["features"] = Stage("classifier/{folder}features/{image}.npz", read, images="train")
        keys = (*choice, *keys_of(row.training.params))
        model, history = "classifier/{folder}model.pt", "classifier/{folder}history.csv"
        stages["classifier"] = Stage(model, keys, tuple(stages), history=history)
    after = ("classifier",) if row.training else ()
    stages["cam"] = Stage("cam/{folder}{image}.npz", own, after, images="cam")
    return stages | {"cam_label": Stage(settings=("background_score",), after=("cam",), images="label")}


def _affinity_stages(name: str) -> dict[str, Stage]:
    network = AFFINITIES[name].network
    return {
        f"{name}_label": Stage(
            f"{name}/{{folder}}labels/{{image}}.png", (f"{name}.labels",), after=("cam",), images="train"
        ),
        network: Stage(
            f"{name}/{{folder}}{network}.pt",
            keys_of(affinity_training(name).params),
            after=(f"{name}_label",),
            history=f"{name}/{{folder}}history.csv",
        ),
        f"{name}_affinity": Stage(f"affinity/{name}/{{folder}}{{image}}.npz", after=(network,), images="label"),
    }


def stages_of(settings: Mapping) -> dict[str, Stage]:
    """The stages that an experiment has, in the order that data flow."""
    refiner, affinity = REFINERS[settings["refinement"]], affinity_of(settings)
    stages = _cam_stages(cam_source_of(settings)) | (_affinity_stages(affinity) if affinity else {})
    read = [f"{affinity}_affinity" if stage == "affinity" else stage for stage in refiner.reads]
    if "partial" in read:
        stages["partial"] = Stage("partial/{folder}{image}.png", ("partial",), ("cam",), "label")
    chosen = ("affinity", "refinement") if affinity else ("refinement",)
    own, before = (*chosen, *keys_of(refiner.params)), tuple(stage for stage in read if stage != "image")
    stages["refined"] = Stage("refined/{folder}{image}.npz", own, before, "label", named=True)
    stages["pseudo"] = Stage("pseudo/{folder}{image}.png", ("pseudo",), ("refined",), "label", named=True)
    return stages | _segmentation_stages(settings["segmentation_network"])


def _segmentation_stages(name: str) -> dict[str, Stage]:
    row, own = SEGMENTATION_NETWORKS[name], named_choice("segmentation_network", name)
    model, history = "segmentation/{folder}model.pt", "segmentation/{folder}history.csv"
    trained = Stage(model, (*own, *keys_of(row.training.params)), ("pseudo",), history=history, named=True)
    opened = () if name in FIRST_METHODS else keys_of(row.params)
    predicted = Stage("", ("segmentation.prediction", *opened), ("segmentation",), "evaluate", named=True)
    return {"segmentation": trained, "predict": predicted}


BASELINES = {BASELINE: Stage("no_learning/{image}.png", images="label")}
"""What all experiments are compared with: like a stage, but none reads it and no setting changes it."""

PREDICTIONS = {  # files of the stage `predict`
    "single": "segmentation/{folder}single/{image}.png",
    "multi": "segmentation/{folder}multi/{image}.png",
    "multi_crf": "segmentation/{folder}multi_crf/{image}.png",
}


def trainings_of(settings: Mapping) -> dict[str, Training]:
    """The trainings of an experiment by their stage, in the order that data flow."""
    found, affinity = {}, affinity_of(settings)
    if training := CAM_SOURCES[cam_source_of(settings)].training:
        found["classifier"] = training
    if affinity:
        found[AFFINITIES[affinity].network] = affinity_training(affinity)
    return found | {"segmentation": SEGMENTATION_NETWORKS[settings["segmentation_network"]].training}


def dependencies(settings: Mapping) -> dict[str, tuple[str, ...]]:
    """The stages that an experiment has, each with the settings it depends on, its own and those before it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, stage in stages_of(settings).items():
        found[name] = tuple(dict.fromkeys([*stage.settings, *(key for other in stage.after for key in found[other])]))
    return found


def idle_settings(settings: Mapping) -> set[str]:
    """The dotted keys of settings that no stage reads beside the others."""
    return REFINERS[settings["refinement"]].ignores(settings) | set(AFFINITIES[settings["affinity"]].ignores)
