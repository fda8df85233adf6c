"""What a job asks a cluster for, and which batches share a job there: the section `cluster` of the config.

Nothing of it is stated where jobs run on this machine. Cheap, since it is evaluated for each rule of a plan.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from wsgcn.evaluation.names import BASELINE
from wsgcn.networks.schedule import num_steps
from wsgcn.text import hint, shorten
from wsgcn.workflow.directives import training_row
from wsgcn.workflow.plan import Job, rule_name
from wsgcn.workflow.sharing import select_params
from wsgcn.workflow.stages import AFFINITIES, CAM_SOURCES, REFINERS

START_SECONDS = 8
"""What a batch costs beside its images: Python, torch, a network. Measured on two cores with all files cached."""

SPARE_MINUTES = 10
"""Added to the time limit of each job of the cluster: the start on a slow file system."""

SHARE, SHARES = "job_share", 1_000_000
"""The resource that says how many batches a job of the cluster computes at a time, and how much of it a job has."""

DEFAULT = "default"
"""The key of `cluster.stages` whose values hold for stages that lack them."""

OTHER_STAGES = (
    "demo shrink paint copy_unlisted features classifier partial pseudo correct segmentation predict predict_folder "
    "review_labels solve_heads judge benchmark"
).split()

Resource = int | str | Callable[..., int]


@dataclass(frozen=True)
class Demand:
    """A row of `cluster.stages`, whose meaning rules/schemas/config.yaml tells."""

    seconds: float
    mem_mb: int
    gpu: int
    cpus: int
    partition: str
    extra: str


def cluster_stages() -> list[str]:
    """What `cluster.stages` may name: what the names of rules that run on a cluster begin with."""
    cams, refiners = ([row.rule for row in rows.values()] for rows in (CAM_SOURCES, REFINERS))
    affinities = [name for key, row in AFFINITIES.items() for name in (f"{key}_label", row.network, f"{key}_affinity")]
    return list(dict.fromkeys([DEFAULT, BASELINE, *cams, *affinities, *refiners, *OTHER_STAGES]))


def cluster_problems(config: Mapping) -> list[str]:
    """A sentence for each name in `cluster.stages` that is no stage's, and for what `default` lacks.

    config: one that the schema accepts.
    """
    known, rows = cluster_stages(), config["cluster"]["stages"]
    missing = [row.name for row in fields(Demand) if row.name not in rows[DEFAULT]]
    return [f"config: cluster.stages.{DEFAULT}.{name}: is missing" for name in missing] + [
        f"config: cluster.stages: unknown stage {shorten(name)}" + (hint(name, known) or f"; known are {listed}")
        for listed in [", ".join(known)]
        for name in rows
        if name not in known
    ]


def shown_images(job: Job) -> int:
    """How many images a training computes, each as often as it is shown; of one without steps, its images."""
    training = select_params(job.settings, {"settings": training_row(job).params.get("settings", ())})["settings"]
    if not isinstance(training, Mapping) or "batch" not in training:
        return len(job.ids)
    if "iterations" in training:
        return training["iterations"] * training["batch"]
    steps = num_steps(len(job.ids), training["epochs"], training["batch"], training.get("min_steps", 0))
    return steps * training["batch"]


@dataclass(frozen=True)
class Cluster:
    """The section `cluster`, and whether jobs run on one.

    device: of the config, where `auto` asks for no GPU; groups: the names of the groups that it has given.
    """

    settings: Mapping
    device: str
    is_remote: bool
    groups: set[str] = field(default_factory=set)

    def demand(self, stage: str) -> Demand:
        """The row of a stage, completed by that of `default`."""
        rows = self.settings["stages"]
        return Demand(**(rows[DEFAULT] | rows.get(stage, {})))

    def group(self, job: Job, network: bool = False) -> str | None:
        """The group of a batch job, whose batches share a job of the cluster; None where no batches share one.

        So many batches share one that it lasts some `minutes_per_job` by the measured seconds; the groups of a stage
        have nearly the same number of images. network: whether the job runs one.
        """
        if not (self.is_remote and self.settings["minutes_per_job"]) or job.position.batches < 2:
            return None
        count = self._groups_of(job, network)
        part = job.position.before * count // job.position.images
        name = f"{rule_name(job.rule, job.folder)}_part_{part + 1}_of_{count}"
        self.groups.add(name)
        return name

    def _groups_of(self, job: Job, network: bool) -> int:
        demand = self.demand(job.rule)
        if not self.settings["minutes_per_job"]:
            return job.position.batches
        at_once = 1 if self._on_gpu(network) else demand.cpus
        total = (job.position.images * demand.seconds + job.position.batches * START_SECONDS) / at_once
        return min(job.position.batches, max(1, round(total / (60 * self.settings["minutes_per_job"]))))

    def _on_gpu(self, network: bool) -> bool:
        return network and self.device == "cuda"

    def batch_resources(self, job: Job, network: bool = False) -> dict[str, Resource]:
        """The resources of a batch job.

        On CPUs a job of the cluster computes as many of its batches at a time as it has cores, on a GPU one.
        """
        if not self.is_remote:
            return {}
        demand, on_gpu = self.demand(job.rule), self._on_gpu(network)
        seconds = len(job.ids) * demand.seconds + START_SECONDS
        together = job.position.batches / self._groups_of(job, network) if job.position.batches > 1 else 1
        found = self._resources(demand, seconds, SPARE_MINUTES / together, demand.cpus if on_gpu else 1)
        return found | {SHARE: SHARES if on_gpu else SHARES // demand.cpus} | self._gpus(demand, network)

    def job_resources(self, stage: str, images: int, threads: int, network: bool = False) -> dict[str, Resource]:
        """The resources of a job that is no batch, as a training. images: how many it computes; threads: its own."""
        if not self.is_remote:
            return {}
        demand = self.demand(stage)
        found = self._resources(
            demand, images * demand.seconds + START_SECONDS, SPARE_MINUTES, max(threads, demand.cpus)
        )
        return found | self._gpus(demand, network)

    def _gpus(self, demand: Demand, network: bool) -> dict[str, Resource]:
        return {"gpu": demand.gpu} if self._on_gpu(network) and demand.gpu else {}

    def _resources(self, demand: Demand, seconds: float, spare: float, cpus: int) -> dict[str, Resource]:
        minutes = max(1, math.ceil(self.settings["time_factor"] * seconds / 60 + spare))
        found: dict[str, Any] = {
            "mem_mb": lambda wildcards, attempt: demand.mem_mb * attempt,
            "runtime": lambda wildcards, attempt: minutes * attempt,
            "cpus_per_task": cpus,
        }
        named = {"slurm_partition": demand.partition, "slurm_extra": demand.extra}
        return found | {key: value for key, value in named.items() if value}


def device_remarks(config: Mapping, used: bool) -> list[str]:
    """A sentence where jobs run on a cluster and nothing says on which device."""
    if not used or config["device"] != "auto":
        return []
    return [
        "device: auto asks the cluster for no GPU, and each job takes one only where it sees one; "
        "device: cuda asks for GPUs, device: cpu keeps off them"
    ]


def group_components(groups: Collection[str], asked: Mapping[str, int]) -> dict[str, int]:
    """What Snakemake's --group-components says of each group: all of its jobs are one job of the cluster.

    asked: what the command line says, which prevails.
    """
    return dict.fromkeys(groups, SHARES) | dict(asked)
