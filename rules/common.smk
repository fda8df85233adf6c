# What every stage needs: the checked config, the data set, its batches, and where files lie.

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from snakemake.exceptions import WorkflowError
from wsgcn.workflow.check import check_networks, format_problems
from wsgcn.data.dataset import batches
from wsgcn.workflow.experiments import describe, folders, further_pairs, select, active_settings, segmented_experiments, relevant_settings
from wsgcn.workflow.inputs import open_images, read_inputs
from wsgcn.workflow.provenance import configured_device
from wsgcn.data.sizes import image_sizes, with_smaller_copies
from wsgcn.networks.schedule import MIN_USEFUL_STEPS, num_steps
from wsgcn.workflow.recovery import remove_partial_files, crashed, acquire_workflow_lock

SNAKEMAKE = Path(".snakemake")  # its folder for notes
if workflow.is_main_process:
    acquire_workflow_lock(SNAKEMAKE)

try:
    SCHEMA = Path(workflow.basedir) / "rules/schemas/config.yaml"
    EXPERIMENTS, ORIGINALS, MISSING = read_inputs(config, SCHEMA, "results", workflow.cores or 1)
except ValueError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{config['dataset']['name']}"
DATA, LARGE = ORIGINALS, {}  # LARGE: the sizes of the images that smaller copies stand for
if config["dataset"]["kind"] != "demo":  # which draws its own images
    sizes = image_sizes([image.path for image in ORIGINALS.images.values()], f"{RESULTS}/data/sizes.json")
    DATA, LARGE = with_smaller_copies(ORIGINALS, sizes, config["dataset"]["longest_side"], f"{RESULTS}/data/images")

BASE = config["experiment"]
SEGMENTED = segmented_experiments(config, EXPERIMENTS)
CLASSES = list(DATA.classes)
GPU = int(configured_device(config) == "cuda")
STARTED = time.time()
ALL_CORES = workflow.cores or 1
# A batch job takes one core. A training takes its threads and one more to load its images; on a GPU all, to load them.
TRAINING_CORES = ALL_CORES if GPU else min(ALL_CORES, config["training_threads"] + 1)
SCRIPTS = "../workflow_scripts"
ENVIRONMENT = "../envs/wsgcn.yaml"  # for `--sdm conda`
FILES = {  # of each stage; {folder} is that of the experiments that share it, "" or "name/"
    "classifier": "classifier/{folder}model.pt",
    "classifier_history": "classifier/{folder}history.csv",
    "cam": "cam/{folder}{image}.npz",
    "irnet_label": "irnet/{folder}labels/{image}.png",
    "boundary": "irnet/{folder}boundary.pt",
    "boundary_history": "irnet/{folder}history.csv",
    "irnet_affinity": "affinity/irnet/{folder}{image}.npz",
    "psa_label": "psa/{folder}labels/{image}.png",
    "affinitynet": "psa/{folder}affinitynet.pt",
    "affinitynet_history": "psa/{folder}history.csv",
    "psa_affinity": "affinity/psa/{folder}{image}.npz",
    "partial": "partial/{folder}{image}.png",
    "refined": "refined/{folder}{image}.npz",
    "pseudo": "pseudo/{folder}{image}.png",
    "segmentation": "segmentation/{folder}model.pt",
    "segmentation_history": "segmentation/{folder}history.csv",
    "single": "segmentation/{folder}single/{image}.png",
    "multi": "segmentation/{folder}multi/{image}.png",
    "multi_crf": "segmentation/{folder}multi_crf/{image}.png",
}
FOLDERS = dict.fromkeys(FILES, {}) | folders(EXPERIMENTS)  # {stage: {experiment: folder}}
FOLDERS |= {name: FOLDERS["predict"] for name in ("single", "multi", "multi_crf")}
OWNERS = {}  # {stage: {folder: the first experiment that has it}}, one set of rules each
for stage, by_experiment in FOLDERS.items():
    OWNERS[stage] = {}
    for experiment, folder in by_experiment.items():
        OWNERS[stage].setdefault(folder, experiment)


def per_image(stage, folder, images):
    """The files of a stage of some images."""
    pattern = f"{RESULTS}/{FILES[stage].replace('{folder}', folder)}"
    return [pattern.replace("{image}", image) for image in images]


def one_file(stage, folder):
    """The file of a stage that makes one for all images."""
    return f"{RESULTS}/{FILES[stage].replace('{folder}', folder)}"


def of(experiment, stage, images):
    """The files of an experiment's stage of some images; none if it has no such stage."""
    return per_image(stage, FOLDERS[stage][experiment], images) if experiment in FOLDERS[stage] else []


def named(stage, folder, batch=""):
    """A rule's name: partial_train_01, or partial_no-entropy_train_01 for a folder of that name."""
    return "_".join(part for part in (stage, folder.rstrip("/"), batch) if part)


def paths(images):
    """The image files of some ids."""
    return [DATA.images[image].path for image in images]


def full_sizes(images):
    """Parameter of a job that writes labels: the sizes that they are to have where images have smaller copies."""
    return {"full_sizes": [LARGE.get(image) for image in images]} if LARGE.keys() & set(images) else {}


def masks(images):
    """The masks of those that have one."""
    return [DATA.images[image].mask for image in images if DATA.images[image].mask]


def classes(images):
    """The image-level classes of some ids, in their order."""
    return [list(DATA.images[image].classes) for image in images]


def weights_file(backbone):
    """The file of a network's initial weights, where they come from one."""
    return [] if backbone["weights"] in ("wheel", "hub", "random") else [backbone["weights"]]


def batches_of(images):
    """Ids by batch. Images that were trained on and others never share one, lest new images retrain anything."""
    known = batches([i for i in images if i in DATA.train], config["batch_size"])
    new = batches([i for i in images if i not in DATA.train], config["batch_size"])
    return {f"train_{bits}": ids for bits, ids in known.items()} | {f"new_{bits}": ids for bits, ids in new.items()}


BATCHES = {
    "train": batches_of(DATA.train),
    "label": batches_of(DATA.label),
    "cam": batches_of(DATA.train | DATA.label),
    "evaluate": batches_of(DATA.evaluate),
}


def seconds_of(experiment, stage, list_name):
    """The tables of seconds an image that the batch jobs of an experiment's stage write."""
    return [f"{RESULTS}/seconds/{stage}/{FOLDERS[stage][experiment]}{batch}.csv" for batch in BATCHES[list_name]]


def spread(images, count):
    """So many ids, evenly spread over the list."""
    ids = sorted(images)
    count = min(count, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]
