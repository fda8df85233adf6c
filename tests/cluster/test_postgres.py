"""Workflows of two data sets in three folders on one MLflow server on PostgreSQL, and servers that die in the middle.

Run alone: `.venv/bin/python -m pytest -m cluster tests/cluster/test_postgres.py`. Skipped with a reason where there is
no PostgreSQL, which Debian's package `postgresql` brings; the server's driver comes from PyPI.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from postgres import install_server_packages, serve_postgres
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.files import read_json

pytestmark = pytest.mark.cluster

DATASET = {"kind": "demo", "demo_train": 8, "demo_val": 4, "demo_size": 64}
MAX_RUN_S = 900


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    packages = install_server_packages(tmp_path_factory.mktemp("packages"))
    with serve_postgres(packages) as found, pytest.MonkeyPatch.context() as patch:
        for variable, value in found.credentials().items():
            patch.setenv(variable, value)
        yield found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three folders whose labels are computed: data set `one` twice, data set `two`."""
    found = {name: tmp_path_factory.mktemp(name) for name in ("first", "second", "third")}
    for name, dataset, seed in (("first", "one", 0), ("third", "two", 1)):
        copy_workflow(found[name])
        write_config(found[name], {"dataset": DATASET | {"name": dataset}, "seed": seed})
        snakemake(found[name], "all")
    shutil.copytree(found["first"], found["second"], symlinks=True, dirs_exist_ok=True)
    return found


def start(folder: Path, servers, *arguments: str) -> subprocess.Popen:
    """A workflow that logs to the server, with its output in run.log."""
    environment = os.environ | servers.credentials() | {"MLFLOW_TRACKING_URI": servers.address}
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    with open(folder / "run.log", "ab") as output:
        return subprocess.Popen([*command, *arguments], cwd=folder, env=environment, stdout=output, stderr=output)


def finish(process: subprocess.Popen, folder: Path) -> None:
    assert process.wait(MAX_RUN_S) == 0, (folder / "run.log").read_text()[-6000:]


def name_of(folder: Path) -> str:
    """The folder's name in the tags of its runs."""
    return (folder / ".snakemake/name").read_text().split()[0]


def runs_of(client: MlflowClient, dataset: str, folder: Path, condition: str = "") -> list:
    """The runs of a data set that this folder's workflows started."""
    experiment = client.get_experiment_by_name(dataset)
    query = f"tags.folder = '{name_of(folder)}'{condition}"
    return list(client.search_runs([experiment.experiment_id], query)) if experiment else []


def run_files(folder: Path, dataset: str) -> dict[str, str]:
    """The files that name a run, relative to the folder, with its id."""
    paths = (folder / f"results/{dataset}/mlflow").rglob("*.json")
    named = {str(path.relative_to(folder)): read_json(path) for path in paths if path.name != "model.json"}
    return {path: content["run_id"] for path, content in named.items() if "run_id" in content}


def check_runs(client: MlflowClient, dataset: str, folder: Path, tmp_path: Path) -> None:
    """The current runs are those that the folder's files name, whole, with their metrics, curves and pictures."""
    runs = {run.info.run_id: run for run in runs_of(client, dataset, folder, " and tags.current = 'yes'")}
    assert set(runs) == set(run_files(folder, dataset).values())
    by_name = {run.info.run_name: run for run in runs.values()}
    assert len(by_name) == len(runs) >= 5
    parent = by_name["wsgcn-i"]
    for name, run in by_name.items():
        assert run.info.status == "FINISHED", name
        assert name == "wsgcn-i" or run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    evaluations = {path.stem: read_json(path) for path in (folder / f"results/{dataset}/evaluation").rglob("*.json")}
    assert evaluations["refined_crf"]["miou"] == pytest.approx(parent.data.metrics["train/refined_crf/miou"], rel=1e-3)
    refined = by_name["wsgcn-i/refine"].info.run_id
    steps = [point.step for point in client.get_metric_history(refined, "loss")]
    assert steps and steps == sorted(set(steps))
    for run in (refined, by_name["wsgcn-i/pseudo"].info.run_id):
        files = [file.path for file in client.list_artifacts(run) if file.path.endswith(".png")]
        assert files and all(Path(client.download_artifacts(run, file, str(tmp_path))).stat().st_size for file in files)


def test_two_data_sets_and_three_folders_at_once(servers, folders, tmp_path):
    processes = {name: start(folder, servers, "all") for name, folder in folders.items()}
    for name, process in processes.items():
        finish(process, folders[name])
    client = MlflowClient(servers.address)
    for name, dataset in (("first", "one"), ("second", "one"), ("third", "two")):
        check_runs(client, dataset, folders[name], tmp_path)
    assert len({name_of(folder) for folder in folders.values()}) == 3
    assert len(client.search_model_versions("name = 'one'")) + len(client.search_model_versions("name = 'two'")) >= 2
    check_no_password(servers, folders)


def check_no_password(servers, folders):
    """In no file of the workflows, no log and no table."""
    tables = servers.dump()
    assert tables.count("INSERT INTO") > 50
    logs = [servers.mlflow.log, servers.database.log, servers.folder / "basic_auth.ini"]
    files = [path for folder in folders.values() for path in folder.rglob("*") if path.is_file()]
    files += [path for path in (servers.folder / "artifacts").rglob("*") if path.is_file()]
    for what, word in servers.secrets.items():
        assert word not in tables, what
        assert not [path for path in (*logs, *files) if word.encode() in path.read_bytes()], what


@pytest.mark.parametrize("which", ["mlflow", "database"])
def test_a_server_that_is_killed_in_mid_run_loses_nothing(which, servers, folders, tmp_path):
    """Nor one that is started again on the same port."""
    folder, client = folders["first"], MlflowClient(servers.address)
    before = run_files(folder, "one")
    known = {run.info.run_id for run in runs_of(client, "one", folder)}
    process, end = start(folder, servers, "all", "--forcerun", *before), time.monotonic() + MAX_RUN_S
    while {run.info.run_id for run in runs_of(client, "one", folder)} == known:
        assert process.poll() is None and time.monotonic() < end, (folder / "run.log").read_text()[-6000:]
        time.sleep(0.3)
    getattr(servers, which).stop(signal.SIGKILL)
    time.sleep(5)
    assert process.poll() is None, (folder / "run.log").read_text()[-6000:]
    getattr(servers, f"start_{which}")()
    finish(process, folder)
    check_runs(client, "one", folder, tmp_path)
    after = run_files(folder, "one")
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    for path, run in before.items():
        assert client.get_run(run).data.tags["replaced_by"] == after[path]
    check_no_password(servers, folders)
