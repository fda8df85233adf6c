"""The workflow on a real Slurm of one node, in minutes. Run alone: `python -m pytest -m cluster tests/cluster -s`."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from slurm import slurm, why_missing
from tiny_project import copy_workflow, snakemake, write_config

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(why_missing()), reason=why_missing())]

DATASET = {"demo_train": 12, "demo_val": 4, "demo_size": 80}
FEW_MEGABYTES = {"stages": {name: {"mem_mb": 2000} for name in ("default", "classifier", "boundary", "segmentation")}}
CONFIG = {"dataset": DATASET, "device": "cpu", "cluster": FEW_MEGABYTES}
# Without a database of finished jobs, Slurm itself is asked for them; few seconds between two questions.
OPTIONS = "--slurm-status-command squeue --slurm-no-account --slurm-init-seconds-before-status-checks 5".split()
LIMIT_SECONDS = 3000


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """The same project, run on this machine."""
    folder = tmp_path_factory.mktemp("local")
    copy_workflow(folder)
    write_config(folder, CONFIG)
    snakemake(folder, "all")
    return folder


def start(folder: Path, environment: dict, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *OPTIONS, *arguments]
    log = open(folder / "head.log", "a")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def jobs(environment: dict) -> list[tuple[str, str]]:
    """(rule or group, state) of all jobs that Slurm remembers."""
    command = ["squeue", "--states=all", "--noheader", "--format=%k|%T"]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(line.split("|")) for line in lines]


def wait_for(condition, head: subprocess.Popen, log: Path) -> None:
    for _ in range(LIMIT_SECONDS):
        if condition():
            return
        assert head.poll() is None, f"the head has ended: {log.read_text()[-6000:]}"
        time.sleep(1)
    raise AssertionError(f"waited in vain: {log.read_text()[-6000:]}")


def node(environment: dict, **changes: str) -> None:
    """Change the state of the one node."""
    shown = subprocess.run(["sinfo", "-h", "-o", "%N"], env=environment, capture_output=True, text=True, check=True)
    words = [f"{key}={value}" for key, value in changes.items()]
    subprocess.run(["scontrol", "update", f"NodeName={shown.stdout.strip()}", *words], env=environment, check=True)


def files(folder: Path) -> dict[str, bytes]:
    """The labels, confidences and predictions of a project."""
    found = [
        path for part in ("pseudo", "confidence", "segmentation") for path in folder.glob(f"results/*/{part}/**/*.png")
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_run_whose_head_dies_twice_computes_each_job_once_and_the_same_labels(environment, local, tmp_path):
    copy_workflow(tmp_path)
    write_config(tmp_path, CONFIG)
    log = tmp_path / "head.log"

    # Killed with a job queued: the node takes none.
    node(environment, State="DRAIN", Reason="test")
    head = start(tmp_path, environment, "all")
    wait_for(lambda: any(state == "PENDING" for _, state in jobs(environment)), head, log)
    head.send_signal(signal.SIGKILL)
    head.wait()
    node(environment, State="RESUME")
    time.sleep(5)  # so that it may even start

    # Killed while a training runs.
    head = start(tmp_path, environment, "all")
    wait_for(lambda: ("rule_classifier", "RUNNING") in jobs(environment), head, log)
    head.send_signal(signal.SIGKILL)
    head.wait()
    planned = subprocess.run(
        [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", "-n", "all"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "of an earlier run that died are still in Slurm" in planned.stderr

    head = start(tmp_path, environment, "all")
    assert head.wait(LIMIT_SECONDS) == 0, log.read_text()[-8000:]
    assert "earlier run that died" in log.read_text()

    completed = Counter(name for name, state in jobs(environment) if state == "COMPLETED")
    print(f"\n{sum(completed.values())} jobs of Slurm:", *sorted(completed), sep="\n")
    assert completed and set(completed.values()) == {1}
    assert {state for _, state in jobs(environment)} <= {"COMPLETED", "CANCELLED"}
    light = ("evaluate", "track", "report", "summary", "experiment", "views", "store", "register")
    assert not [name for name in completed if name.removeprefix("rule_").startswith(light)]
    assert files(tmp_path) and files(tmp_path) == files(local)

    # Nothing is left to do, and a change of a setting still reruns what the dead heads' jobs computed.
    again = snakemake(tmp_path, "-n", "all")
    assert "Nothing to be done" in again
    changed = snakemake(tmp_path, "-n", "--config", "classifier={lr_head: 0.3}", "--", "labels")
    assert "classifier" in changed
    assert not list((tmp_path / ".snakemake/heads").iterdir())
    assert os.path.getsize(log)
