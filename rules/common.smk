# What every stage needs: the checked config, the data set, its batches, and where files lie.

import re
import shutil
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from snakemake.exceptions import WorkflowError
from wsgcn.check import check_once
from wsgcn.dataset import batches, read_dataset
from wsgcn.experiments import describe, folders, read_experiments

try:
    EXPERIMENTS = read_experiments(config, Path(workflow.basedir) / "rules/schemas/config.yaml")
    RESULTS = f"results/{config['dataset']['name']}"
    DATA = read_dataset(config["dataset"], config["seed"], Path(RESULTS))
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Snakemake 9.27's limit of jobs a second starts one more timer with every job that ends, each of which looks at all
# ready jobs once a second: after 30 jobs that takes half a core. One machine needs no such limit.
limit = workflow.scheduling_settings and workflow.scheduling_settings.max_jobs_per_timespan
if limit and (limit.max_jobs, limit.timespan) == (100, 1):  # the default, not what a user asked for
    workflow.scheduling_settings.max_jobs_per_timespan = None

BASE = config["experiment"]
NAMES = "|".join(map(re.escape, EXPERIMENTS))
OTHERS = "|".join(re.escape(name) for name in EXPERIMENTS if name != BASE) or "(?!)"
SEGMENTED = {"all": list(EXPERIMENTS), "none": []}.get(str(config["segmentation_for"]), config["segmentation_for"])
CLASSES = list(DATA.classes)
GPU = int(config["device"] == "cuda" or (config["device"] == "auto" and shutil.which("nvidia-smi") is not None))
STARTED = time.time()
ALL_CORES = workflow.cores or 1  # a training has the machine to itself; a batch job takes one core
SCRIPTS = "../workflow_scripts"
ENVIRONMENT = "../envs/wsgcn.yaml"  # for `--sdm conda`
FILES = {  # of each stage; {variant} is the folder of the experiments that share it
    "classifier": "classifier/{variant}model.pt",
    "cam": "cam/{variant}{image}.npz",
    "irnet_label": "irnet/{variant}labels/{image}.png",
    "boundary": "irnet/{variant}boundary.pt",
    "irnet_affinity": "affinity/irnet/{variant}{image}.npz",
    "psa_label": "psa/{variant}labels/{image}.png",
    "affinitynet": "psa/{variant}affinitynet.pt",
    "psa_affinity": "affinity/psa/{variant}{image}.npz",
    "partial": "partial/{variant}{image}.png",
    "refined": "refined/{variant}{image}.npz",
    "pseudo": "pseudo/{variant}{image}.png",
    "segmentation": "segmentation/{variant}model.pt",
    "segmentation_history": "segmentation/{variant}history.csv",
    "single": "segmentation/{variant}single/{image}.png",
    "multi": "segmentation/{variant}multi/{image}.png",
    "multi_crf": "segmentation/{variant}multi_crf/{image}.png",
}
FOLDERS = dict.fromkeys(FILES, {}) | folders(EXPERIMENTS)  # {stage: {experiment: where its files lie}}
FOLDERS |= {name: FOLDERS["predict"] for name in ("single", "multi", "multi_crf")}
FOLDERS["segmentation_history"] = FOLDERS["segmentation"]
OWNERS = {stage: dict(reversed([(f, e) for e, f in by.items()])) for stage, by in FOLDERS.items()}  # the way back


def per_image(pattern, images):
    """The paths of a stage's files of some images, under this data set's results; other wildcards stay."""
    return [f"{RESULTS}/{pattern.replace('{image}', image)}" for image in images]


def of(experiment, stage, images=None):
    """The file of an experiment's stage, or its files of some images."""
    pattern = FILES[stage].replace("{variant}", FOLDERS[stage][experiment])
    return f"{RESULTS}/{pattern}" if images is None else per_image(pattern, images)


def owner(stage, wildcards):
    """The experiment that a job of this stage works for: the first that shares its folder."""
    return OWNERS[stage][wildcards.variant]


def source(stage, upstream, images=None):
    """An input function: what a job of `stage` reads of a stage before it."""
    return lambda wildcards: of(owner(stage, wildcards), upstream, images)


def setting(stage, *keys):
    """A params function: a section or value of the settings that a job of `stage` works with."""

    def value(wildcards):
        found = EXPERIMENTS[owner(stage, wildcards)]
        for key in keys:
            found = found[key]
        return found

    return value


def variants(stage, wanted=lambda settings: True):
    """A wildcard constraint: the folders of a stage of those experiments whose settings are wanted."""
    names = [re.escape(folder) for folder, name in OWNERS.get(stage, {}).items() if wanted(EXPERIMENTS[name])]
    return f"({'|'.join(names)})" if names else "(?!)"  # an empty constraint would be none


def paths(images):
    """The image files of some ids."""
    return [DATA.images[image].path for image in images]


def masks(images):
    """The masks of those that have one."""
    return [DATA.images[image].mask for image in images if DATA.images[image].mask]


def classes(images):
    """The image-level classes of some ids, in their order."""
    return [list(DATA.images[image].classes) for image in images]


def weights_file(stage, *keys):
    """An input function: the file of a network's initial weights, where they come from one."""

    def file(wildcards):
        weights = setting(stage, *keys)(wildcards)["weights"]
        return [] if weights in ("wheel", "hub", "random") else [weights]

    return file


def batches_of(images):
    """Ids by batch. Images that were trained on and others never share one, lest new images retrain anything."""
    known = batches([i for i in images if i in DATA.train], config["batch_size"])
    new = batches([i for i in images if i not in DATA.train], config["batch_size"])
    return {f"train_{bits}": ids for bits, ids in known.items()} | {f"new_{bits}": ids for bits, ids in new.items()}


def seconds_of(stage, images):
    """The tables of seconds an image that the batch jobs of a stage write."""
    return [f"{RESULTS}/seconds/{stage}/{{variant}}{batch}.csv" for batch in batches_of(images)]


def spread(images, count):
    """So many ids, evenly spread over the list."""
    ids = sorted(images)
    count = min(count, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]


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
    every, tables = Path(RESULTS) / "ablations/summary.txt", [Path(RESULTS) / "benchmark/core.txt"]
    tables += [Path(RESULTS) / f"summary/{name}.txt" for name in EXPERIMENTS]
    new = [path for path in (every, *tables) if path.is_file() and path.stat().st_mtime >= STARTED]
    for path in [every] if every in new else new:  # which says it all
        print(path.read_text(), file=sys.stderr)
