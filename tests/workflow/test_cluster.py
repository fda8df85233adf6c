"""What jobs ask a cluster for, and which batches share a job there.

Run alone: `python -m pytest tests/workflow/test_cluster.py`.
"""

from copy import deepcopy
from dataclasses import asdict

import pytest
import yaml
from configs import CONFIG, SCHEMA
from plans import dataset, plan
from tiny_project import ROOT

from wsgcn.workflow.cluster import (
    SHARE,
    SHARES,
    SPARE_MINUTES,
    START_SECONDS,
    Cluster,
    cluster_problems,
    cluster_stages,
    device_remarks,
    group_components,
    shown_images,
)
from wsgcn.workflow.experiments import merge, read_experiments

IDS = tuple(f"image-{k:03}" for k in range(200))
JOBS = plan(data=dataset(IDS, IDS), batch_size=8)
ROW = CONFIG["cluster"]["stages"]["default"]


def cluster(device: str = "cpu", used: bool = True, stages: dict | None = None, **others) -> Cluster:
    rows = CONFIG["cluster"]["stages"] | (stages or {})
    return Cluster(CONFIG["cluster"] | others | {"stages": rows}, device, used)


def partial_jobs() -> list:
    return list(JOBS.batch_jobs("partial"))


def test_the_config_names_every_stage_that_it_may_and_no_other():
    assert cluster_problems(CONFIG) == []
    wrong = merge(deepcopy(CONFIG), {"cluster": {"stages": {"refined": {}, "xyz": {}}}})
    del wrong["cluster"]["stages"]["default"]["cpus"]
    first, second, third = cluster_problems(wrong)
    assert first == "config: cluster.stages.default.cpus: is missing"
    assert second == "config: cluster.stages: unknown stage refined; did you mean refine?"
    assert third.startswith("config: cluster.stages: unknown stage xyz; known are default, ")


def test_rules_of_every_job_that_a_cluster_runs_can_be_named():
    stages = [stage for stage in JOBS.patterns if JOBS.patterns[stage].images and stage not in ("cam_label",)]
    rules = {job.rule for stage in stages for job in JOBS.batch_jobs(stage)}
    rules |= {job.rule for stage in ("classifier", "boundary", "segmentation") for job in JOBS.training_jobs(stage)}
    rules |= {job.rule for job in JOBS.data_jobs("shrink", IDS)} | {job.rule for job in JOBS.measuring_jobs()}
    assert rules - {"refined"} <= set(cluster_stages())


def test_on_one_machine_nothing_is_asked_for():
    here, job = cluster(used=False), partial_jobs()[0]
    assert here.group(job) is None and here.batch_resources(job) == {}
    assert here.job_resources("classifier", 100, 3) == {}


@pytest.mark.parametrize("minutes", [0.5, 1, 5, 20])
def test_a_job_of_the_cluster_lasts_about_so_many_minutes(minutes):
    jobs, seconds = partial_jobs(), 3
    there = cluster(stages={"partial": {"seconds": seconds}}, minutes_per_job=minutes)
    members: dict = {}
    for job in jobs:
        members.setdefault(there.group(job), []).append(job)
    assert sum(map(len, members.values())) == len(jobs) and set(members) == there.groups
    slow = {  # as slow as it can be said: add up what each job of the cluster computes
        group: sum(len(job.ids) * seconds + START_SECONDS for job in own) / 60 for group, own in members.items()
    }
    total = sum(slow.values())
    asked = min(len(jobs), max(1, round(total / minutes)))
    assert 0.8 * asked <= len(members) <= asked  # a small batch can leave no room for a group of its own
    longest = max(len(job.ids) * seconds + START_SECONDS for job in jobs) / 60
    assert all(abs(own - total / len(members)) <= longest for own in slow.values())


def test_a_group_does_not_depend_on_which_rules_a_job_may_run():
    job = partial_jobs()[-1]
    alone = plan(data=dataset(IDS, IDS), batch_size=8, allowed=frozenset([job.name]))
    (same,) = alone.batch_jobs("partial")
    there = cluster(minutes_per_job=0.5)
    assert there.group(same) == there.group(job)


def test_without_minutes_each_batch_is_a_job():
    there = cluster(minutes_per_job=0)
    assert [there.group(job) for job in partial_jobs()] == [None] * len(partial_jobs())
    seconds = len(partial_jobs()[0].ids) * 0.1 + START_SECONDS
    asked = there.batch_resources(partial_jobs()[0])["runtime"](None, 1)
    assert asked == int(-(-(3 * seconds / 60 + SPARE_MINUTES) // 1))


def test_memory_and_time_grow_with_the_attempt():
    job = partial_jobs()[0]
    rows = {"partial": {"seconds": 60, "mem_mb": 700}}
    found = cluster(stages=rows, time_factor=2, minutes_per_job=0).batch_resources(job)
    minutes = 2 * (len(job.ids) * 60 + START_SECONDS) / 60 + SPARE_MINUTES
    assert found["mem_mb"](None, 1) == 700 and found["mem_mb"](None, 3) == 2100
    assert found["runtime"](None, 1) == int(-(-minutes // 1)) and found["runtime"](None, 2) == 2 * int(-(-minutes // 1))


def test_partition_and_extra_options_are_said_where_there_are_any():
    job = partial_jobs()[0]
    assert {"slurm_partition", "slurm_extra"}.isdisjoint(cluster().batch_resources(job))
    there = cluster(stages={"partial": {"partition": "short", "extra": "--qos=low"}})
    found = there.batch_resources(job)
    assert (found["slurm_partition"], found["slurm_extra"]) == ("short", "--qos=low")


@pytest.mark.parametrize("cpus", [1, 2, 3, 7, 32, 96])
def test_so_many_batches_are_computed_at_a_time_as_there_are_cores(cpus):
    found = cluster(stages={"partial": {"cpus": cpus}}).batch_resources(partial_jobs()[0])
    assert found["cpus_per_task"] == 1 and SHARES // found[SHARE] == cpus


@pytest.mark.parametrize(("device", "gpus"), [("cuda", 1), ("cpu", 0), ("auto", 0)])
def test_only_networks_on_a_stated_gpu_ask_for_one(device, gpus):
    there, job = cluster(device, stages={"cam": {"cpus": 4}}), next(JOBS.batch_jobs("cam"))
    network, other = there.batch_resources(job, network=True), there.batch_resources(partial_jobs()[0])
    assert network.get("gpu", 0) == gpus and "gpu" not in other
    assert (network["cpus_per_task"], network[SHARE]) == ((4, SHARES) if gpus else (1, SHARES // 4))
    assert there.job_resources("classifier", 9, 3, network=True).get("gpu", 0) == gpus


def test_a_gpu_that_extra_options_ask_for_is_not_asked_for_twice():
    there = cluster("cuda", stages={"cam": {"gpu": 0, "extra": "--gres=gpu:a100:1"}})
    found = there.batch_resources(next(JOBS.batch_jobs("cam")), network=True)
    assert "gpu" not in found and found[SHARE] == SHARES


def test_a_training_has_its_threads_and_the_time_of_every_image_it_shows():
    (job,) = JOBS.training_jobs("classifier")
    training = job.settings["classifier"]
    shown = sum(training["batch"] for _ in range(int(len(IDS) * training["epochs"]) // training["batch"]))
    assert shown_images(job) == shown
    (last,) = JOBS.training_jobs("segmentation")
    settings = last.settings["segmentation"]["training"]
    assert shown_images(last) == settings["iterations"] * settings["batch"]
    found = cluster(stages={"classifier": {"seconds": 1}}).job_resources("classifier", shown, 3)
    assert found["cpus_per_task"] == 3
    assert found["runtime"](None, 1) == int(-(-(3 * (shown + START_SECONDS) / 60 + SPARE_MINUTES) // 1))


def test_a_solved_head_computes_each_image_once():
    settings = merge(CONFIG, {"classifier": {"train": "head"}, "experiments": {}, "sweeps": {}, "against": {}})
    head = plan(data=dataset(IDS, IDS))
    solved = type(head)(read_experiments(settings, SCHEMA), head.data, "results/tiny", 32)
    (job,) = solved.training_jobs("classifier")
    assert shown_images(job) == len(IDS)


def test_what_a_stage_does_not_name_is_that_of_default():
    there = cluster(stages={"pseudo": {"mem_mb": 5}})
    assert asdict(there.demand("pseudo")) == ROW | {"mem_mb": 5} and asdict(there.demand("correct")) == ROW


def test_auto_is_warned_of_where_jobs_run_elsewhere():
    assert device_remarks({"device": "auto"}, used=False) == device_remarks({"device": "cuda"}, used=True) == []
    (line,) = device_remarks({"device": "auto"}, used=True)
    assert line.startswith("device: auto asks the cluster for no GPU")


def test_what_the_command_line_says_of_groups_prevails():
    assert group_components({"a", "b"}, {"b": 2}) == {"a": SHARES, "b": 2}


@pytest.mark.parametrize(("name", "executor"), [("slurm", "slurm"), ("kubernetes", "cluster-generic")])
def test_a_clusters_profile_holds_what_every_run_takes(name, executor):
    default, own = (yaml.safe_load((ROOT / f"profiles/{part}/config.yaml").read_text()) for part in ("default", name))
    del default["resources"]  # one job on the GPU: of a machine, not of a cluster
    assert own["executor"] == executor and default.items() <= own.items() and "resources" not in own
