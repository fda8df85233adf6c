"""Same seed, same files, whatever the cores, the batches and the moments at which the workflow is killed.

WSGCN_KILLS=20 kills the workflow in so many runs of their own, once each, instead of a few times in one run.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tiny_project import copy_workflow, snakemake, write_config

KILLS = int(os.environ.get("WSGCN_KILLS", "0"))
DEMO = {"name": "tiny", "demo_train": 10, "demo_val": 3, "demo_size": 80}
MADE = "partial pseudo segmentation classifier irnet cam affinity refined".split()


def clone(folder: Path, **changed) -> Path:
    copy_workflow(folder)
    write_config(folder, {"dataset": DEMO, "checkpoint_seconds": 0} | changed)
    return folder


def fingerprints(project: Path) -> dict[str, str]:
    """A hash of each file that the run made: arrays, labels, checkpoints, histories; of evaluations without times."""
    results, found = project / "results/tiny", {}
    for path in sorted(path for name in MADE for path in (results / name).rglob("*") if path.is_file()):
        found[str(path.relative_to(results))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((results / "evaluation").rglob("*.json")):
        scores = json.loads(path.read_text()) | {"seconds_per_image": None}
        found[str(path.relative_to(results))] = hashlib.sha256(json.dumps(scores).encode()).hexdigest()
    return found


def killed_after(project: Path, seconds: float, *arguments: str) -> bool:
    """Start the workflow in a process group of its own and kill that after some seconds; False where it was done."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=project, start_new_session=True, **output) as process:
        try:
            return process.wait(seconds) != 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True


def check_store(project: Path) -> None:
    """One current run a stage, none that seems to run, and every run can be read."""
    client = MlflowClient(f"sqlite:///{project}/results/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    current = [run for run in runs if run.data.tags["current"] == "yes"]
    stages = [run.data.tags["stage"] for run in current]
    assert len(stages) == len(set(stages)) == 8
    assert {run.info.status for run in current} == {"FINISHED"}
    parent = next(run for run in current if run.data.tags["stage"] == "experiment")
    others = {run.data.tags["mlflow.parentRunId"] for run in current if run is not parent}
    assert others == {parent.info.run_id}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, str], float]:
    """The files of a run that nobody disturbs, and the seconds that it took."""
    project, started = clone(tmp_path_factory.mktemp("undisturbed")), time.monotonic()
    snakemake(project)
    check_store(project)
    return fingerprints(project), time.monotonic() - started


def test_a_run_that_is_killed_ends_with_the_same_files(undisturbed, tmp_path):
    """Killed thrice, each time later in what is left, with other batches and a single core."""
    expected, seconds = undisturbed
    project, rng = clone(tmp_path, batch_size=3), random.Random(0)
    moments = [rng.uniform(5, seconds / 2) for _ in range(3)]
    assert all([killed_after(project, moment, "--cores", "1") for moment in moments])
    snakemake(project, "--cores", "1")
    assert fingerprints(project) == expected
    check_store(project)
    assert not list((project / "results").rglob(".[0-9]*-*")) and not list((project / "results").rglob("*.checkpoint"))


@pytest.mark.parametrize("k", range(KILLS))
def test_killed_once_at_any_moment(k, undisturbed, tmp_path):
    expected, seconds = undisturbed
    moment = random.Random(k).uniform(0, seconds)
    project = clone(tmp_path)
    killed = killed_after(project, moment)
    snakemake(project)
    print(f"run {k}: killed after {moment:.1f} of {seconds:.1f} s: {killed}")
    assert fingerprints(project) == expected
    check_store(project)


@pytest.mark.skipif(not KILLS, reason="takes ten minutes, and the right to mount: WSGCN_KILLS=1 as root")
def test_a_disk_that_is_full_again_and_again(undisturbed, tmp_path):
    """Each time it is told what did not fit, and a larger disk is all that it takes to go on."""
    size, times = 8, 0
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", tmp_path], check=True)
    try:
        project = clone(tmp_path)
        command = [sys.executable, "-m", "snakemake", "--cores", "2"]
        while (done := subprocess.run(command, cwd=project, capture_output=True, text=True)).returncode:
            assert "No space left on device: 'results/" in done.stderr, done.stderr[-4000:]
            size, times = size + 12, times + 1
            subprocess.run(["mount", "-o", f"remount,size={size}m", tmp_path], check=True)
        assert times > 1
        assert fingerprints(project) == undisturbed[0]
        check_store(project)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
