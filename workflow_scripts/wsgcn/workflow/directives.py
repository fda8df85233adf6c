"""The inputs and parameters of those rules that a registry's row describes."""

from collections.abc import Callable, Iterable, Mapping

from wsgcn.files import NAMED_WEIGHTS
from wsgcn.workflow.flow import correction_weight, has_walk, trainings_of
from wsgcn.workflow.plan import Job, Plan
from wsgcn.workflow.rows import INPUTS, CamSource, Features, Refiner, SegmentationNetwork, Training
from wsgcn.workflow.sharing import select_params, value_of
from wsgcn.workflow.stages import (
    AFFINITIES,
    CAM_SOURCES,
    FIRST_METHODS,
    PREDICTION,
    PSEUDO,
    REFINERS,
    SEGMENTATION_NETWORKS,
    affinity_of,
    cam_source_of,
)


def facts(job: Job, names: Iterable[str]) -> dict[str, object]:
    """What a job knows of the data set, by the names that rows use."""
    plan, classes = job.plan, list(job.plan.data.classes)
    known: dict[str, Callable[[], Mapping[str, object]]] = {
        "ids": lambda: {"ids": job.ids},  # also listed here so that swapped labels trigger a rerun
        "labels": lambda: {"labels": plan.tags(job.ids)},
        "classes": lambda: {"classes": len(classes)},
        "groups": lambda: {"groups": plan.groups(job.ids)},
        "names": lambda: {"names": classes},
        "num_classes": lambda: {"num_classes": len(classes)},
        "numbering": lambda: {"numbering": list(plan.data.numbering)},
        "full_sizes": lambda: plan.full_sizes(job.ids),
    }
    return {name: value for fact in names for name, value in known[fact]().items()}


def _method(name: str) -> dict[str, str]:
    """The parameter by which the jobs of a method differ from another's of the same inputs and settings."""
    return {} if name in FIRST_METHODS else {"method": name}


# Trainings


def training_row(job: Job) -> Training:
    """The row of a job that trains."""
    return trainings_of(job.settings)[job.stage]


def training_inputs(job: Job) -> dict[str, list[str]]:
    """The images or their features, the labels if it has any, the file of initial weights where they come from one."""
    row = training_row(job)
    return {
        **({"features": job.files("features")} if row.features else {"images": job.plan.paths(job.ids)}),
        **({"labels": job.plan.files(row.labels_of or job.experiment, row.labels, job.ids)} if row.labels else {}),
        **({"corrections": weighed_files(job)} if weighed_files(job) else {}),
        "weights": weights_file(job.settings, row.backbone),
    }


def weights_file(settings: Mapping, backbone: str) -> list[str]:
    """The file of a backbone's initial weights, where they come from one; backbone: its section, "" for none."""
    weights = value_of(settings, f"{backbone}.weights") if backbone else "random"
    return [] if weights in NAMED_WEIGHTS else [weights]


def training_params(job: Job) -> dict[str, object]:
    """Its settings and what it knows of the data set."""
    row = training_row(job)
    methods = {"classifier": cam_source_of, "segmentation": lambda settings: settings["segmentation_network"]}
    method = methods.get(job.stage, affinity_of)(job.settings)
    return facts(job, row.facts) | select_params(job.settings, row.params) | _method(method) | _weight_params(job)


def weighed_files(job: Job) -> list[str]:
    """The corrections of a training's images, where they have a weight of their own in it."""
    if correction_weight(training_row(job), job.settings) is None:
        return []
    return [job.plan.corrections[image] for image in job.plan.corrected(job.ids)]


def _weight_params(job: Job) -> dict[str, object]:
    """Which of a training's images are corrected, and how much that counts; empty where it does not."""
    if not weighed_files(job):
        return {}
    corrected = [k for k, image in enumerate(job.ids) if image in job.plan.corrections]
    return {"corrected": corrected, "correction_weight": correction_weight(training_row(job), job.settings)}


def features_row(job: Job) -> Features:
    """The row of a job that extracts features of images to train on."""
    row = cam_row(job.settings).training
    assert row and row.features, "stated for experiments that have the stage alone"
    return row.features


def features_params(job: Job) -> dict[str, object]:
    """Its settings."""
    return {"ids": job.ids} | select_params(job.settings, features_row(job).params)


# CAMs


def cam_row(settings: Mapping) -> CamSource:
    """The row of an experiment's CAM source."""
    return CAM_SOURCES[cam_source_of(settings)]


def cam_inputs(job: Job) -> dict[str, object]:
    """The images, and the classifier or the external CAMs."""
    row = cam_row(job.settings)
    found: dict[str, object] = {"images": job.plan.paths(job.ids)}
    if row.training:
        found["model"] = job.file("classifier")
    if row.folder:
        folder = value_of(job.settings, row.folder)
        found["cams"] = [f"{folder}/{image}.npy" for image in job.ids if job.plan.data.images[image].classes]
    return found


def cam_params(job: Job) -> dict[str, object]:
    """The images' classes, what the source knows of the data set, its settings."""
    row = cam_row(job.settings)
    own = select_params(job.settings, row.params) | _method(cam_source_of(job.settings))
    return facts(job, ("ids", "labels", *row.facts)) | own


# Affinities


def label_params(job: Job, affinity: str) -> dict[str, object]:
    """Of a job that makes an affinity network's training labels."""
    return {"ids": job.ids} | select_params(job.settings, {"settings": f"{affinity}.labels"}) | _method(affinity)


def infer_params(job: Job, affinity: str) -> dict[str, object]:
    """Of a job that computes an affinity network's files."""
    row = AFFINITIES[affinity]
    params = {
        **({"backbone": row.backbone} if row.backbone else {}),
        **({} if affinity in FIRST_METHODS else {"settings": f"{affinity}.training"}),
        **row.network_params,
        **row.open_params,
    }
    return {"ids": job.ids} | job.plan.untagged(job.ids) | select_params(job.settings, params) | _method(affinity)


# Refinement


def refiner_row(settings: Mapping) -> Refiner:
    """The row of an experiment's refiner."""
    return REFINERS[settings["refinement"]]


def refiner_inputs(job: Job) -> dict[str, list[str]]:
    """The files of the stages that its row names."""
    stages = {"affinity": f"{affinity_of(job.settings)}_affinity"}
    return {
        INPUTS[stage]: job.plan.paths(job.ids) if stage == "image" else job.files(stages.get(stage, stage))
        for stage in refiner_row(job.settings).reads
    }


def refiner_params(job: Job) -> dict[str, object]:
    """The images' classes where no CAM names them, and the refiner's settings."""
    row = refiner_row(job.settings)
    classes = {} if "cam" in row.reads else {"classes": job.plan.tags(job.ids)}
    own = select_params(job.settings, row.params) | _method(job.settings["refinement"])
    return {"ids": job.ids} | classes | facts(job, row.facts(job.settings)) | own


# Corrections


def correction_inputs(job: Job) -> dict[str, list[str]]:
    """The correction, what the label without it is made of, and, where partial labels are read, what refines again."""
    again = refiner_inputs(job) if "partial" in refiner_row(job.settings).reads else {}
    own = {"corrections": [job.plan.corrections[image] for image in job.ids], "refined": job.files("refined")}
    return {"images": job.plan.paths(job.ids)} | again | own


def correction_params(job: Job) -> dict[str, object]:
    """Those of the refiner and of the pseudo label."""
    pseudo = select_params(job.settings, {"crf": PSEUDO["settings"], "crf_input": PSEUDO["crf_input"]})
    return job.plan.full_sizes(job.ids) | refiner_params(job) | pseudo | facts(job, ("num_classes",))


# Choice of settings


def compared_inputs(job: Job) -> dict[str, list[str]]:
    """The files of an experiment's labels, those of the random walk that they are compared with, where there is one."""
    affinity = {"cams": "cam", "affinities": f"{affinity_of(job.settings)}_affinity"} if has_walk(job.settings) else {}
    return {
        "images": job.plan.paths(job.ids),
        "refined": job.files("refined"),
        "labels": job.files("pseudo"),
        **{name: job.files(stage) for name, stage in affinity.items()},
    }


def walk_params(job: Job) -> dict[str, object]:
    """The settings of the random walk that an experiment's labels are compared with; empty where there is none."""
    return select_params(job.settings, REFINERS["random_walk"].params) if has_walk(job.settings) else {}


def judged_inputs(job: Job) -> dict[str, list[str]]:
    """As `compared_inputs`, and the masks."""
    return compared_inputs(job) | {"masks": job.plan.masks(job.ids)}


def judged_params(job: Job, base: Mapping) -> dict[str, object]:
    """What is known of the images, and the settings of the walk and of the backbone that judge their labels.

    base: the settings of the base, whose backbone judges all candidates.
    """
    data = job.plan.data
    return {
        **facts(job, ("ids", "labels", "names")),
        "masks": [data.label[image].mask for image in job.ids],
        "mask_values": list(data.mask_values),
        "walk": walk_params(job),
        **select_params(base, {"backbone": "backbone"}),
    }


# Segmentation


def segmentation_row(settings: Mapping) -> SegmentationNetwork:
    """The row of an experiment's segmentation network."""
    return SEGMENTATION_NETWORKS[settings["segmentation_network"]]


def predict_params(job: Job) -> dict[str, object]:
    """Of a job that segments images."""
    row = segmentation_row(job.settings)
    params = {**row.params, "settings": PREDICTION}
    own = select_params(job.settings, params) | _method(job.settings["segmentation_network"])
    return facts(job, ("full_sizes", "ids", "classes")) | own


def served_params(job: Job, name: str, longest: int, black_white: tuple[int, int] | None) -> dict[str, object]:
    """Of the job that registers the network: all that an image is segmented with, as `serving.segmenter` reads it.

    name: of the data set; longest: side of an image above which it is shrunk [pixels]; black_white: as in
    `files.read_image`.
    """
    row, classes = segmentation_row(job.settings), list(job.plan.data.classes)
    settings = {
        "classes": classes,
        "network": row.open,
        "params": {"classes": len(classes)} | select_params(job.settings, row.params),
        **select_params(job.settings, {"prediction": PREDICTION}),
        "longest_side": longest,
        "black_white": list(black_white) if black_white else None,
    }
    return {"name": name, "experiment": job.experiment, "settings": settings}


def onnx_params(job: Job) -> dict[str, object]:
    """Of the job that exports the network."""
    row, classes = segmentation_row(job.settings), list(job.plan.data.classes)
    params = {"classes": len(classes)} | select_params(job.settings, row.params)
    return {"names": classes, "network": row.network, "params": params}


# Reports


def further_places(plan: Plan, experiment: str, name: str) -> dict[str, str]:
    """What else there is of the base, {what: the target that writes it, and where}, for its report and summary.

    experiment: the base; name: of the data set, which its registered model bears.
    """
    found = {
        "review": f"snakemake review: {plan.results}/review/{plan.folders['pseudo'][experiment]}review.html",
        "exports": f"snakemake export: {plan.results}/export/{plan.folders['pseudo'][experiment]}",
    }
    if plan.is_segmented(experiment):
        found["model"] = f"models:/{name}@current"
        found["predict"] = f"make predict IMAGES=folder: {plan.results}/predicted/folder/"
    return found


def boundary_files(plan: Plan, experiment: str, images: Iterable[str]) -> list[str]:
    """The affinity files that hold a boundary map; none of a network without one."""
    affinity = affinity_of(plan.experiments[experiment])
    if not affinity or not AFFINITIES[affinity].boundary:
        return []
    return plan.files(experiment, f"{affinity}_affinity", images)
