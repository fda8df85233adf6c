"""The workflow on a real Slurm of one node, in minutes. Run alone: `python -m pytest -m cluster tests/cluster -s`."""

import re
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
    """(rule or group, state) of all jobs that Slurm remembers, in the order of their submission."""
    command = ["squeue", "--states=all", "--noheader", "--format=%A|%k|%T"]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(name, state) for _, name, state in sorted((int(job), *rest) for job, *rest in map(_words, lines))]


def _words(line: str) -> list[str]:
    return line.split("|")


def wait_for(condition, head: subprocess.Popen, log: Path) -> None:
    for _ in range(LIMIT_SECONDS):
        if condition():
            return
        assert head.poll() is None, f"the head has ended: {log.read_text()[-6000:]}"
        time.sleep(1)
    raise AssertionError(f"waited in vain: {log.read_text()[-6000:]}")


def files(folder: Path) -> dict[str, bytes]:
    """The labels, confidences and predictions of a project."""
    found = [
        path for part in ("pseudo", "confidence", "segmentation") for path in folder.glob(f"results/*/{part}/**/*.png")
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_dead_heads_jobs_run_once_and_are_recorded(environment, tmp_path):
    """With jobs that take seconds: drawings, and labels without learning."""
    copy_workflow(tmp_path)
    short = {
        "minutes_per_job": 0.5,
        "stages": {name: {"seconds": 1, "mem_mb": 1000} for name in ("demo", "no_learning")},
    }
    write_config(tmp_path, CONFIG | {"batch_size": 4, "dataset": DATASET | {"demo_train": 48}, "cluster": short})
    log, target = tmp_path / "head.log", "results/demo/evaluation/no_learning.json"
    before = len(jobs(environment))

    # Four cores: some jobs run, and one is queued.
    head = start(tmp_path, environment, target)
    wait_for(lambda: {"RUNNING", "PENDING"} <= {state for _, state in jobs(environment)}, head, log)
    head.send_signal(signal.SIGKILL)
    head.wait()
    planned = subprocess.run(
        [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", "-n", target],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "of an earlier run that died are still in Slurm" in planned.stderr

    head = start(tmp_path, environment, target)
    assert head.wait(LIMIT_SECONDS) == 0, log.read_text()[-8000:]
    assert "earlier run that died" in log.read_text()
    completed = Counter(name for name, state in jobs(environment)[before:] if state == "COMPLETED")
    assert completed and set(completed.values()) == {1}

    # Nothing is left to do, and a change of a setting still reruns what nobody saw the dead head's jobs finish.
    assert "Nothing to be done" in snakemake(tmp_path, "-n", target)
    changed = snakemake(tmp_path, "-n", "--config", "dataset={demo_size: 81}", "--", target)
    assert len(re.findall(r"^demo_train_\d+ +1$", changed, re.MULTILINE)) == changed.count("\ndemo_train_") > 8
    assert not list((tmp_path / ".snakemake/heads").iterdir())


def test_the_whole_project_gives_the_labels_of_one_machine(environment, local, tmp_path):
    copy_workflow(tmp_path)
    write_config(tmp_path, CONFIG)
    before = len(jobs(environment))
    head, log = start(tmp_path, environment, "all"), tmp_path / "head.log"
    assert head.wait(LIMIT_SECONDS) == 0, log.read_text()[-8000:]
    completed = Counter(name for name, state in jobs(environment)[before:] if state == "COMPLETED")
    print(f"\n{sum(completed.values())} jobs of Slurm:", *sorted(completed), sep="\n")
    assert set(completed.values()) == {1}
    light = ("evaluate", "track", "report", "summary", "experiment", "views", "store", "register")
    assert not [name for name in completed if name.removeprefix("rule_").startswith(light)]
    assert files(tmp_path) and files(tmp_path) == files(local)
