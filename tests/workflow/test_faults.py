"""Same seed, same files, whatever the cores, the batches and the moments at which the workflow is killed.

WSGCN_KILLS=20 also kills it in so many runs of their own, once each, and the demo as it is so many times in one run;
fills its disk; and runs four workflows on one store at once. That takes an hour.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tiny_project import ROOT, copy_workflow, snakemake, write_config
from tiny_voc import set_up_project

KILLS = int(os.environ.get("WSGCN_KILLS", "0"))
DEMO = {"name": "tiny", "demo_train": 10, "demo_val": 3, "demo_size": 80}
MADE = "partial pseudo segmentation classifier irnet cam affinity refined".split()


def clone(folder: Path, **changed) -> Path:
    copy_workflow(folder)
    write_config(folder, {"dataset": DEMO, "checkpoint_seconds": 0} | changed)
    return folder


def fingerprints(project: Path, name: str = "tiny") -> dict[str, str]:
    """A hash of each file that the run made: arrays, labels, checkpoints, histories; of evaluations without times."""
    results, found = project / "results" / name, {}
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
            assert process.wait(seconds) == 0, "failed by itself"
            return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True


def check_store(project: Path, name: str = "tiny", uri: str | None = None) -> None:
    """One current run per stage, none that seems to run, and every run can be read."""
    client = MlflowClient(uri or f"sqlite:///{project}/results/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    folder = (project / ".snakemake/name").read_text().split()[0]
    current = [run for run in runs if run.data.tags["current"] == "yes" and run.data.tags["folder"] == folder]
    stages = [run.data.tags["stage"] for run in current]
    assert len(stages) == len(set(stages)) == 8
    assert {run.info.status for run in current} == {"FINISHED"}
    parent = next(run for run in current if run.data.tags["stage"] == "experiment")
    others = {run.data.tags["mlflow.parentRunId"] for run in current if run is not parent}
    assert others == {parent.info.run_id}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, str], float]:
    """The files of an undisturbed run, and the seconds that it took."""
    project, started = clone(tmp_path_factory.mktemp("undisturbed")), time.monotonic()
    snakemake(project)
    check_store(project)
    return fingerprints(project), time.monotonic() - started


def test_a_run_that_is_killed_ends_with_the_same_files(project, tmp_path):
    """Killed thrice, with other batches and a single core; ended by eight. Nobody disturbed `project`."""
    set_up_project(tmp_path, batch_size=3, checkpoint_seconds=0)
    rng, expected = random.Random(0), fingerprints(project)
    assert all([killed_after(tmp_path, rng.uniform(5, 35), "--cores", "1") for _ in range(3)])
    snakemake(tmp_path, "--cores", "8")
    made = fingerprints(tmp_path)
    assert made == {file: expected[file] for file in made}
    assert {"segmentation/wsgcn-i/model.pt", "evaluation/wsgcn-i/refined_crf.json"} < made.keys()
    check_store(tmp_path)
    assert not list((tmp_path / "results").rglob(".[0-9]*-*"))
    assert not list((tmp_path / "results").rglob("*.checkpoint"))


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


@pytest.mark.skipif(not KILLS, reason="takes a quarter of an hour: WSGCN_KILLS=20")
def test_the_demo_killed_again_and_again(tmp_path):
    """The demo as `make` runs it, undisturbed and killed all along."""
    projects = [tmp_path / name for name in ("undisturbed", "killed")]
    for project in projects:
        copy_workflow(project)
        shutil.copy(ROOT / "config.yaml", project)
    snakemake(projects[0])
    rng = random.Random(0)
    killed = sum(killed_after(projects[1], rng.uniform(3, 20)) for _ in range(KILLS))
    print(f"killed {killed} times")
    assert killed == KILLS
    snakemake(projects[1])
    assert fingerprints(projects[1], "demo") == fingerprints(projects[0], "demo")
    check_store(projects[1], "demo")


@pytest.mark.skipif(not KILLS, reason="takes five minutes: WSGCN_KILLS=1")
def test_four_workflows_on_one_store_at_once(undisturbed, tmp_path):
    """Of the same data set and experiment; one has more jobs than the machine has cores."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    projects = [clone(tmp_path / f"project {k}") for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        cores = (str(cores) for cores in (1, 2, 2, 8))
        list(pool.map(lambda project, cores: snakemake(project, "--cores", cores, uri=uri), projects, cores))
    for project in projects:
        assert fingerprints(project) == undisturbed[0]
        check_store(project, uri=uri)


@pytest.mark.skipif(not KILLS, reason="takes ten minutes, and the right to mount: WSGCN_KILLS=1 as root")
def test_a_disk_that_is_full_again_and_again(undisturbed, tmp_path):
    """Each time the file that did not fit is reported, and a larger disk is enough to go on."""
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
