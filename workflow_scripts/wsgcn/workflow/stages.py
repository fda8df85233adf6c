"""The one table of stages, and the registries of what can be chosen for them.

A new method is a module, its test, one row here and its section of config.yaml and the schema (docs/extending.md).
Rules, files, dependencies, tracking, evaluation, protocols, report and checks are read off these rows.
"""

from collections.abc import Mapping

from wsgcn.workflow.rows import (
    Affinity,
    CamSource,
    Exporter,
    Features,
    Reader,
    Refiner,
    SegmentationNetwork,
    Training,
)

FIRST_ROUND = "first-round"  # the experiment whose labels self-training learns from

READERS = {  # dataset.kind
    "demo": Reader("the drawn demo", "wsgcn.data.readers.demo:read", drawn=True),
    "voc": Reader("a PASCAL VOC devkit", "wsgcn.data.readers.voc:read"),
    "folder": Reader("a folder with a labels.csv", "wsgcn.data.readers.folder:read"),
    "coco": Reader("COCO's instances", "wsgcn.data.readers.coco:read", paint="wsgcn.data.coco_painting:paint_masks"),
}

CAM_VIEWS = ("cam.scales", "cam.flip")
CAM_MAPS = (*CAM_VIEWS, "cam.full_size")
MIL_VIEWS = ("mil.scale", "mil.stride")
SELF_VIEWS = ("self_training.scale", "self_training.stride")
SELF_TRAINING = ("self_training.hidden", "self_training.steps", "self_training.lr")
CLASSIFIER = "epochs min_steps batch crop long_side lr_backbone lr_head weight_decay freeze_stages".split()


def _locations(views: tuple[str, ...]) -> Features:
    return Features(
        "features of locations", "wsgcn.cam.mil:open_location_features", {"backbone": "backbone", "settings": views}
    )


CAM_SOURCES = {  # cam_source; external too where cam.folder is set
    "classifier": CamSource(
        "CAMs",
        "wsgcn.cam.classifier:open_classifier",
        {"backbone": "backbone", "settings": CAM_MAPS},
        training=Training(
            "the classifier",
            "wsgcn.cam.classifier:train_classifier",
            {"backbone": "backbone", "settings": tuple(f"classifier.{key}" for key in CLASSIFIER), "seed": "seed"},
            facts=("ids", "labels", "classes"),
        ),
        facts=("classes",),
        device=True,
    ),
    "head": CamSource(  # classifier.train: head
        "CAMs",
        "wsgcn.cam.classifier:open_classifier",
        {"backbone": "backbone", "settings": CAM_MAPS},
        training=Training(
            "the classifier's head",
            "wsgcn.cam.head:train_head",
            {"backbone": "backbone", "settings": ("classifier.l2", "classifier.folds")},
            facts=("ids", "groups", "labels", "classes", "names"),
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
            {"backbone": "backbone", "views": MIL_VIEWS, "settings": ("mil.top", "mil.top_of", "mil.l2")},
            facts=("ids", "groups", "labels", "classes", "names"),
            features=_locations(MIL_VIEWS),
        ),
        facts=("classes",),
        device=True,
        by_class="mil.top_of",
    ),
    "self_training": CamSource(
        "CAMs of the second round",
        "wsgcn.cam.self_training:open_self_trained_cams",
        {"backbone": "backbone", "views": SELF_VIEWS, "hidden": "self_training.hidden", "flip": "cam.flip"},
        training=Training(
            "the classifier of locations on the labels of the first round",
            "wsgcn.cam.self_training:train_on_labels",
            {"backbone": "backbone", "views": SELF_VIEWS, "settings": SELF_TRAINING, "seed": "seed"},
            images="label",
            labels="pseudo",
            labels_of=FIRST_ROUND,
            facts=("ids", "classes"),
            features=_locations(SELF_VIEWS),
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


def _psa_label_suffix(settings: Mapping) -> str:
    return "npz" if settings["psa"]["labels"]["on_grid"] == "mean_scores" else "png"


AFFINITIES = {  # affinity
    "irnet": Affinity(
        "IRNet",
        "boundary",
        "wsgcn.affinity.training_labels:label_for_irnet",
        "wsgcn.affinity.irnet:train_boundary",
        "wsgcn.affinity.irnet:open_boundary_net",
        boundary=True,
        corrections=True,
        network_params={"first_stage": "irnet.first_stage"},
        open_params={"pad_to": "irnet.pad_to", "flip_mean": "irnet.flip_mean"},
    ),
    "psa": Affinity(
        "AffinityNet",
        "affinitynet",
        "wsgcn.affinity.training_labels:label_for_affinitynet",
        "wsgcn.affinity.affinitynet:train_affinitynet",
        "wsgcn.affinity.affinitynet:open_affinitynet",
        corrections=True,
        ignores=("graph.features",),
        label_suffix=_psa_label_suffix,
    ),
}


def _walk_background(settings: Mapping) -> float | None:
    walk = settings["random_walk"]
    return walk["background_score"] if walk["background"] == "constant" else None


def _idle_walk_settings(settings: Mapping) -> set[str]:
    constant = settings["random_walk"]["background"] == "constant"
    return {"random_walk.alpha"} if constant else {"random_walk.background_score", "random_walk.maximum"}


PARTIAL = {"settings": "partial", "grid_image": "grid_image"}
"""Parameters of the jobs that make partial labels."""

PSEUDO = {"settings": "pseudo.crf", "crf_input": "pseudo.crf_input"}
"""Parameters of the jobs that make pseudo labels."""


def _gcn_facts(settings: Mapping) -> tuple[str, ...]:
    return ("num_classes",) if settings["refine"]["outputs"] == "all" else ()


REFINERS = {  # refinement
    "gcn": Refiner(
        "GCN",
        "wsgcn.refinement.gcn_refiner:refine_with_gcn",
        ("image", "affinity", "partial"),
        {"graph": "graph", "settings": "refine", "seed": "seed", "grid_image": "grid_image"},
        "GCN",
        facts=_gcn_facts,
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
            corrections="corrections.segmentation_weight",
            backbone="segmentation.training.backbone",
            stride=8,
        ),
        "wsgcn.segmentation.deeplab:open_deeplab",
        {"backbone": "segmentation.training.backbone", "combine": "segmentation.prediction.combine"},
        network="wsgcn.segmentation.deeplab:network_on_colours",
    ),
}

PREDICTION = tuple(f"segmentation.prediction.{key}" for key in ("scales", "flip", "crf"))
"""What is read of the prediction apart from the network; the rest are parameters of some network's own."""

EXPORTERS = {  # export
    "coco": Exporter(
        "COCO",
        ("coco.json",),
        "wsgcn.exporting.coco:write_coco",
        "wsgcn.exporting.coco:read_coco",
        {"settings": ("exchange.objects", "exchange.coco", "exchange.polygon_tolerance")},
    ),
    "cvat": Exporter(
        "CVAT's Segmentation mask 1.1",
        ("cvat.zip", "cvat-labels.json"),
        "wsgcn.exporting.cvat:write_cvat",
        "wsgcn.exporting.cvat:read_cvat",
        name_problem="wsgcn.exporting.class_names:cvat_name_problem",
    ),
    "label-studio": Exporter(
        "Label Studio",
        ("label-studio.json", "label-studio.xml"),
        "wsgcn.exporting.label_studio:write_label_studio",
        "wsgcn.exporting.label_studio:read_label_studio",
        {"settings": ("exchange.objects", "exchange.image_prefix")},
    ),
    "yolo": Exporter(
        "YOLO's segmentation labels",
        ("yolo.zip",),
        "wsgcn.exporting.yolo:write_yolo",
        "wsgcn.exporting.yolo:read_yolo",
        {"settings": ("exchange.objects", "exchange.polygon_tolerance")},
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
    "exporters": EXPORTERS,
}


def registry_names(registry: str) -> list[str]:
    """The names that the schema's keyword `registry` allows."""
    return [name for name, row in REGISTRIES[registry].items() if not getattr(row, "within", "")]


def cam_source_of(settings: Mapping) -> str:
    """The name of an experiment's CAM source: `external` where `cam.folder` is set, else `cam_source`, or the row
    within it that its section chooses."""
    if settings["cam"]["folder"]:
        return "external"
    name = settings["cam_source"]
    within = (own for own, row in CAM_SOURCES.items() if row.within == name and settings[name]["train"] == own)
    return next(within, name)


def affinity_of(settings: Mapping) -> str | None:
    """The name of the affinity network that an experiment's refiner reads; None where it reads none."""
    return settings["affinity"] if "affinity" in REFINERS[settings["refinement"]].reads else None


def affinity_training(name: str) -> Training:
    """The training of an affinity network."""
    row = AFFINITIES[name]
    backbone = {"backbone": row.backbone} if row.backbone else {}
    params = {**backbone, "settings": f"{name}.training", "seed": "seed", **row.network_params}
    weight = "corrections.affinity_weight" if row.corrections else ""
    return Training(row.title, row.train, params, labels=f"{name}_label", corrections=weight, backbone=row.backbone)


def named_choice(key: str, name: str) -> tuple[str, ...]:
    """The key of a choice where its method is named."""
    return () if name in FIRST_METHODS else (key,)
