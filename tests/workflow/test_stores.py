"""The store of a finished project that moves, loses runs, is on a server; jobs without their workflow's environment.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_stores.py`.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tiny_project import ROOT, snakemake

from wsgcn.files import read_json
from wsgcn.tracking.store import ensure_experiment

sys.path.insert(0, str(ROOT / "tests/tracking"))
from interface import free_port, served  # noqa: E402

RUN = "results/tiny/mlflow/wsgcn-i/refine.json"
SECRET = "s3cret-word"


@pytest.fixture
def clone(project, tmp_path):
    return Path(shutil.copytree(project, tmp_path / "a copy", symlinks=True))


def client_of(folder):
    return MlflowClient(f"sqlite:///{folder}/results/mlflow.db")


def pictures(folder, within=None):
    """{run's name: its pictures} of the current runs; every one must exist, in a folder if one is named."""
    client = client_of(folder)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    found = {}
    for run in client.search_runs([experiment], "tags.current = 'yes'"):
        files = [file.path for file in client.list_artifacts(run.info.run_id) if file.path.endswith(".png")]
        found[run.info.run_name] = files
        assert all(Path(client.download_artifacts(run.info.run_id, file)).stat().st_size for file in files)
        assert not within or run.info.artifact_uri.startswith(within.as_uri() + "/")
    return found


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_copied_then_renamed_project_keeps_its_pictures_and_writes_to_itself(project, clone):
    before, shown = files_of(project / "results"), pictures(project)
    output = snakemake(clone, RUN, "--forcerun", "track_refine_wsgcn-i")
    assert "the MLflow store has moved with its files" in output
    assert pictures(clone, within=clone) == shown and "wsgcn-i/refine" in shown and any(shown.values())
    renamed = clone.rename(clone.with_name("renamed"))
    assert "has moved" in snakemake(renamed, RUN, "--forcerun", "track_refine_wsgcn-i")
    assert "has moved" not in snakemake(renamed, RUN, "--forcerun", "track_refine_wsgcn-i")
    assert pictures(renamed, within=renamed) == shown
    assert files_of(project / "results") == before


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_what_was_deleted_in_the_interface_does_not_end_later_runs(what, clone):
    client = client_of(clone)
    if what == "run":
        client.delete_run(read_json(clone / "results/tiny/mlflow/wsgcn-i/parent.json")["run_id"])
    else:
        client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    output = snakemake(clone, "--forcerun", "summary_wsgcn-i")
    assert "deleted in MLflow, but still in use here, so restored" in output
    names = list(pictures(clone))
    assert "wsgcn-i" in names and len(set(names)) == len(names)


def test_a_store_that_is_gone_is_named_before_anything_runs(clone):
    (clone / "results/mlflow.db").unlink()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--forcerun", "refine_wsgcn-i_train_0"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert done.returncode and "is gone: bring it back, or delete results/tiny/mlflow" in done.stderr
    assert "rule refine" not in done.stderr


def run_as_a_queue_does(folder, *arguments):
    """A job of a workflow that has started there, without an environment of its own."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--mode", "remote", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_jobs_with_an_empty_environment_know_their_workflow(clone):
    snakemake(clone, "results/tiny/mlflow/views.json", "--forcerun", "views")  # the workflow that they are of
    client = client_of(clone)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    other = client.create_run(
        experiment, tags={"experiment": "wsgcn-i", "stage": "refine", "folder": "", "current": "yes"}
    )
    run_as_a_queue_does(
        clone, "--force", "--target-jobs", "track_refine_wsgcn-i:", "--allowed-rules", "track_refine_wsgcn-i", "--", RUN
    )
    [run] = client.search_runs([experiment], f"attributes.run_id = '{read_json(clone / RUN)['run_id']}'")
    assert run.data.tags["folder"] == (clone / ".snakemake/name").read_text().split()[0]
    assert run.data.tags["workflow"] == (clone / ".snakemake/workflow").read_text()
    assert client.get_run(other.info.run_id).info.status == "RUNNING"  # another folder's
    names = list(pictures_of_this_folder(client, experiment, run.data.tags["folder"]))
    assert len(set(names)) == len(names)


def pictures_of_this_folder(client, experiment, folder):
    query = f"tags.current = 'yes' and tags.folder = '{folder}'"
    return [run.info.run_name for run in client.search_runs([experiment], query)]


def test_a_server_that_is_away_is_said_within_seconds_and_waited_for(clone, tmp_path):
    """And the password of its address is in no file and no output."""
    store = f"sqlite:///{tmp_path}/server.db"
    ensure_experiment(store, "first", str(tmp_path / "files"))
    port, start = free_port(), time.monotonic()
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:{port}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", RUN]
    process = subprocess.Popen(command, cwd=clone, env=environment, stderr=subprocess.PIPE, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    while not any("does not answer" in line for line in lines):
        assert process.poll() is None and time.monotonic() - start < 30, lines
        time.sleep(0.1)
    with served(store, tmp_path, port) as (_, answers):
        assert process.wait(180) == 0, lines
        reader.join()
        found = MlflowClient(f"http://127.0.0.1:{port}")
        experiment = found.get_experiment_by_name("tiny").experiment_id
        assert found.search_runs([experiment], "tags.current = 'yes'")
    assert any("answers again" in line for line in lines)
    written = [path for path in clone.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not written and SECRET not in "".join(lines)
