# What every stage needs: the checked config, the data set, the plan of what this run is asked for.

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
LIBRARY = str(ROOT / "workflow_scripts")  # of this very checkout, here and in the jobs
sys.path.insert(0, LIBRARY)

from snakemake.exceptions import WorkflowError
from wsgcn.data.duplicates import describe_duplicates
from wsgcn.data.grey_range import common_range, describe_range, grey_levels
from wsgcn.data.held_out import split_name
from wsgcn.data.sizes import image_facts, with_copies
from wsgcn.evaluation.names import BASELINE, COMPARED_STAGES
from wsgcn.files import read_json, why_not_writable
from wsgcn.tracking.address import artifact_folder, read_address
from wsgcn.tracking.server import why_away
from wsgcn.workflow.check import check_networks, format_problems, format_remarks
from wsgcn.workflow.choice import reasons
from wsgcn.workflow.cluster import SHARE, SHARES, Cluster, device_remarks, group_components, shown_images
from wsgcn.workflow.corrections import open_corrections
from wsgcn.workflow.directives import (
    boundary_files,
    cam_inputs,
    cam_params,
    cam_row,
    compared_inputs,
    correction_inputs,
    correction_params,
    features_params,
    features_row,
    further_places,
    infer_params,
    judged_inputs,
    judged_params,
    label_params,
    onnx_params,
    predict_params,
    refiner_inputs,
    refiner_params,
    refiner_row,
    segmentation_row,
    served_params,
    training_inputs,
    training_params,
    training_row,
    walk_params,
    weights_file,
)
from wsgcn.workflow.exchange import corrections_folder, data_root, exported_files, request_problem
from wsgcn.workflow.experiments import (
    candidates,
    describe,
    further_pairs,
    merge_defaults,
    segmented_experiments,
)
from wsgcn.workflow.fitted import describe_fits
from wsgcn.workflow.heads import (
    dead_heads,
    describe_left,
    drop_own_note,
    job_keys,
    keep_note,
    record_finished_jobs,
    wait_for_or_cancel_jobs,
)
from wsgcn.workflow.images import open_images
from wsgcn.workflow.inputs import read_inputs
from wsgcn.workflow.layout import evenly_spaced
from wsgcn.workflow.measured import EVALUATIONS, TRACKED, protocol_of
from wsgcn.workflow.plan import CHOICE_WORDS, Plan, benchmarked_experiment
from wsgcn.workflow.prediction_folder import PredictionFolder, plan_folder
from wsgcn.workflow.provenance import configured_device
from wsgcn.workflow.recovery import acquire_workflow_lock, crashed, name_workflow, read_names, remove_partial_files
from wsgcn.workflow.request import FIXED_RULES, Request, read_request
from wsgcn.workflow.sharing import active_settings, dataset_settings, relevant_settings, select_params, told_settings
from wsgcn.workflow.slurm_logs import failures
from wsgcn.workflow.speedups import compare_names, keep_checksums
from wsgcn.workflow.stages import AFFINITIES, EXPORTERS, PARTIAL, PSEUDO, READERS, REFINERS
from wsgcn.workflow.start import (
    describe_classes,
    export_library,
    hard_classes,
    networks_to_train,
    repeated_experiments,
    short_trainings,
)
from wsgcn.workflow.store_check import open_address, recover_runs, to_stderr

export_library(LIBRARY)
compare_names()

SNAKEMAKE = Path(".snakemake")  # its folder for notes
IS_MODULE = not workflow.modifier.is_main_snakefile()
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # its thread ended one job in fifty
try:
    TRACKING_URI = read_address(os.environ)
except ValueError as error:
    raise WorkflowError(str(error)) from None
REQUEST, IS_ALONE, DEAD_HEADS = read_request(sys.argv, workflow.workdir_init), IS_MODULE, []
# Of this machine. On a cluster, without --cores, `workflow.cores` is an error.
ALL_CORES = workflow.resource_settings.cores or workflow.resource_settings.local_cores or 1
if IS_MODULE:  # its config may name only what it changes
    config = merge_defaults(config, ROOT / "config.yaml")

try:
    SCHEMA = ROOT / "rules/schemas/config.yaml"
    EXPERIMENTS, ORIGINALS, MISSING, REASONS, CORRECTIONS = read_inputs(config, SCHEMA, "results", ALL_CORES)
    if workflow.is_main_process and not IS_MODULE and (DEAD_HEADS := dead_heads(SNAKEMAKE)):
        if REQUEST.plans_only:
            describe_left(DEAD_HEADS, to_stderr)
        else:
            wait_for_or_cancel_jobs(DEAD_HEADS, config, to_stderr)
except ValueError as error:
    raise WorkflowError(str(error)) from None

if not workflow.is_main_process:
    read_names(SNAKEMAKE)
elif IS_MODULE:
    name_workflow(SNAKEMAKE, keep=not REQUEST.plans_only)
else:
    IS_ALONE = acquire_workflow_lock(SNAKEMAKE, REQUEST.plans_only)

RESULTS = f"results/{config['dataset']['name']}"
READER = READERS[config["dataset"]["kind"]]
DATA, LARGE, DEEP, LEVELS = ORIGINALS, {}, [], {}
# LARGE: the sizes of the images that smaller copies stand for; DEEP: the ids of images of 16 bits, for which copies of
# 8 bits stand; LEVELS: the values of each that become nearly black and white.
if not READER.drawn:
    facts = image_facts([image.path for image in ORIGINALS.images.values()], f"{RESULTS}/data/sizes.json")
    DATA, LARGE, DEEP = with_copies(ORIGINALS, facts, config["dataset"]["longest_side"], f"{RESULTS}/data/images")
    deep_files = [ORIGINALS.images[image].path for image in DEEP]
    percentiles = config["dataset"]["grey_percentiles"]
    LEVELS = grey_levels(deep_files, percentiles, f"{RESULTS}/data/grey_levels.json", ALL_CORES) if DEEP else {}

BLACK_WHITE = common_range(LEVELS.values()) if LEVELS else None
BASE = config["experiment"]
CLASSES = list(DATA.classes)
CANDIDATES = candidates(config)  # {setting: {experiment: value}}, none without `choose`
TRIED = list(dict.fromkeys(name for values in CANDIDATES.values() for name in values))
PAIRS = [(name, BASE) for name in EXPERIMENTS if name != BASE] + further_pairs(config)
STARTED = time.time()
# On a cluster the head's own device says nothing, and its cores neither.
CLUSTER = Cluster(config["cluster"], config["device"], REQUEST.remote)
ON_GPU = (config["device"] if REQUEST.remote else configured_device(config)) == "cuda"
# A batch job takes one core. A training takes its threads, and others to load its images.
TRAINING_CORES = config["training_threads"] + 1
if ON_GPU:
    TRAINING_CORES = config["training_threads"] + config["loading_threads"]
if not REQUEST.remote:
    TRAINING_CORES = min(ALL_CORES, TRAINING_CORES)
# Resources, since unlike parameters they make no finished job rerun. The resource `method` is the function that a job
# of a registry's row calls.
NETWORK = {"device": config["device"]} | ({"gpu": 1} if ON_GPU and not REQUEST.remote else {})
CRF = {"crf_backend": config["crf_backend"]}
SCRIPTS = "../workflow_scripts"  # no path may name a loop's variable: it is read when the job runs
ENVIRONMENT = "../envs/wsgcn.yaml"  # for `--sdm conda`


resource_scopes:
    job_share="local",


if REQUEST.remote:
    workflow.register_resource(SHARE, SHARES)  # here and in each job of the cluster, which computes its batches by it


def job_group(job, network=False):
    """The group of a batch job whose batches share a job of the cluster, as Snakemake takes it; None without one."""
    name = CLUSTER.group(job, network)

    def join(wildcards):
        settings = workflow.group_settings  # not there yet while the Snakefile is read
        if name not in settings.group_components:
            if not (settings.overwrite_groups or IS_MODULE):  # of another workflow's groups nothing is known
                skip_group_checks()
            settings.group_components = group_components(CLUSTER.groups, settings.group_components)
        return name

    return join if name else None


def skip_group_checks():
    """Take away Snakemake's checks that no job outside of a group is between two jobs of it.

    In Snakemake 9.27 they walk the whole graph of jobs for each two jobs of a group, minutes at VOC's size. Ours hold
    batches of one stage, none of which needs another.
    """
    workflow.dag.validate_group = workflow.dag._check_groups = lambda *_: None


def training_resources(job):
    """What a training asks a cluster for."""
    return CLUSTER.job_resources(job.rule, shown_images(job), TRAINING_CORES, network=True) if CLUSTER.is_remote else {}


if not (CANDIDATES or IS_MODULE) and set(CHOICE_WORDS) & set(REQUEST.words):
    raise WorkflowError("config: choose: lists no values to choose from")
if not IS_MODULE and (problem := request_problem(config, REQUEST.words)):
    raise WorkflowError(problem)
FOLDER = PredictionFolder(config["predict"], RESULTS) if config["predict"] else None
if not (FOLDER or IS_MODULE) and "predict" in REQUEST.words:
    raise WorkflowError("config: predict: names no folder of images; make predict IMAGES=folder does")
if workflow.is_main_process and IS_ALONE and REQUEST.needs_store:
    recover_runs(TRACKING_URI, Path(RESULTS) / "mlflow", to_stderr)
if IS_MODULE:
    REQUEST = Request(everything=True, remote=REQUEST.remote)
PLAN = Plan(
    EXPERIMENTS,
    DATA,
    RESULTS,
    batch_size=config["batch_size"],
    segmented=segmented_experiments(config, EXPERIMENTS),
    large=LARGE,
    corrections=CORRECTIONS,
    allowed=REQUEST.allowed,
).asking(REQUEST, BASE, TRIED)
EXPORTS = f"{RESULTS}/export/{PLAN.folders['pseudo'][BASE]}".rstrip("/")
IMPORT_LOG = f"{RESULTS}/logs/import_corrections.log"
if workflow.is_main_process:  # also before a dry-run, since these decide what is up to date
    SEGMENTED = [] if PLAN.labels_only else list(filter(PLAN.is_segmented, PLAN.stated_experiments))
    for line in describe_fits({name: EXPERIMENTS[name] for name in PLAN.stated_experiments}, REASONS, SEGMENTED):
        to_stderr(line)
    if REQUEST.dry_run:  # a start says it again, and what its images show
        left_out = [f"left out: {problem}" for problem in MISSING.values()]
        remarks = format_remarks([*repeated_experiments(PLAN), *hard_classes(DATA), *ORIGINALS.remarks, *left_out])
        to_stderr("\n".join([describe_classes(DATA), *remarks]))
