# What every stage needs: the checked config, the data set, its batches, and where files lie.

import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from snakemake.exceptions import WorkflowError
from wsgcn.check import check_once
from wsgcn.dataset import batches, read_dataset
from wsgcn.settings import check_settings

try:
    check_settings(config, Path(workflow.basedir) / "rules/schemas/config.yaml")
    RESULTS = f"results/{config['dataset']['name']}"
    DATA = read_dataset(config["dataset"], config["seed"], Path(RESULTS))
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Snakemake 9.27's limit of jobs a second starts one more timer with every job that ends, each of which looks at all
# ready jobs once a second: after 30 jobs that takes half a core. One machine needs no such limit.
limit = workflow.scheduling_settings and workflow.scheduling_settings.max_jobs_per_timespan
if limit and (limit.max_jobs, limit.timespan) == (100, 1):  # the default, not what a user asked for
    workflow.scheduling_settings.max_jobs_per_timespan = None

EXPERIMENT = config["experiment"]
CLASSES = list(DATA.classes)
HOW = ("device", "device_batch", "batch_size", "report")  # how results are made and shown, not what they are
SETTINGS = {key: value for key, value in config.items() if key not in HOW}
GPU = int(config["device"] == "cuda" or (config["device"] == "auto" and shutil.which("nvidia-smi") is not None))
STARTED = time.time()
ALL_CORES = workflow.cores or 1  # a training has the machine to itself; a batch job takes one core
SCRIPTS = "../workflow_scripts"
ENVIRONMENT = "../envs/wsgcn.yaml"  # for `--sdm conda`
SHARED = ("cam", "partial")  # evaluated stages before the experiments part


def per_image(pattern, images):
    """The paths of a stage's files of some images, under this data set's results."""
    return [f"{RESULTS}/{pattern.format(image=image)}" for image in images]


def paths(images):
    """The image files of some ids."""
    return [DATA.images[image].path for image in images]


def masks(images):
    """The masks of those that have one."""
    return [DATA.images[image].mask for image in images if DATA.images[image].mask]


def classes(images):
    """The image-level classes of some ids, in their order."""
    return [list(DATA.images[image].classes) for image in images]


def weights_file(backbone):
    """The file of initial weights, where they come from one."""
    return [] if backbone["weights"] in ("wheel", "hub", "random") else [backbone["weights"]]


def batches_of(images):
    """Ids by batch. Images that were trained on and others never share one, lest new images retrain anything."""
    known = batches([i for i in images if i in DATA.train], config["batch_size"])
    new = batches([i for i in images if i not in DATA.train], config["batch_size"])
    return {f"train_{bits}": ids for bits, ids in known.items()} | {f"new_{bits}": ids for bits, ids in new.items()}


def seconds_of(stage, images):
    """The tables of seconds an image that the batch jobs of a stage write."""
    return [f"{RESULTS}/seconds/{stage}/{batch}.csv" for batch in batches_of(images)]


def spread(images, count):
    """So many ids, evenly spread over the list."""
    ids = sorted(images)
    count = min(count, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]


def evaluation_of(stage, suffix="json"):
    """Where a stage's evaluation lies."""
    folder = "evaluation" if stage in SHARED else f"evaluation/{EXPERIMENT}"
    return f"{RESULTS}/{folder}/{stage}.{suffix}"


def check_images():
    """Open every image and mask that has changed since this was last done; the demo draws its own."""
    if config["dataset"]["kind"] != "demo":
        files = [(image.path, image.mask) for image in DATA.images.values()]
        try:
            check_once(files, DATA.mask_values, f"{RESULTS}/data/checked.json", ALL_CORES)
        except ValueError as error:
            raise WorkflowError(str(error)) from None


def show_summary():
    """Print the tables that this run has made."""
    for summary in (Path(RESULTS) / "benchmark/core.txt", Path(RESULTS) / "summary.txt"):
        if summary.is_file() and summary.stat().st_mtime >= STARTED:
            print(summary.read_text(), file=sys.stderr)
