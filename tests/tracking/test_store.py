"""The store of MLflow: created once by several processes, shared, gone.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_store.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

import wsgcn
from wsgcn.tracking.runs import end_runs, open_store
from wsgcn.tracking.store import ensure_experiment, is_gone, workflow_tags
from wsgcn.tracking.tracker import Tracker

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])}


@pytest.fixture
def gone(tmp_path):
    return {"uri": f"sqlite:///{tmp_path / 'gone.db'}", "experiment_id": "1"}


def test_experiment_is_created_once(uri, client, tmp_path):
    first = ensure_experiment(uri, "created once", str(tmp_path / "artifacts"))
    assert ensure_experiment(uri, "created once", str(tmp_path / "elsewhere")) == first
    assert client.get_experiment(first).artifact_location == (tmp_path / "artifacts").as_uri()


def test_store_that_is_gone_is_an_error_and_not_created_again(gone, tmp_path):
    with pytest.raises(ValueError, match="^the MLflow store sqlite:.*gone.db is gone; delete results"):
        Tracker(gone)
    assert is_gone(gone["uri"]) and not list(tmp_path.iterdir())


def test_ending_runs_does_not_create_a_store_that_is_gone(gone, tmp_path):
    end_runs(gone, "KILLED", workflow="x")
    assert not list(tmp_path.iterdir())


def test_servers_are_never_gone():
    assert not is_gone("http://127.0.0.1:1")


def test_opening_a_store_ends_the_runs_of_this_folder(uri, tmp_path, status, monkeypatch):
    """Of a workflow whose results were deleted since."""
    store = open_store(uri, "opened", str(tmp_path))
    tracker = Tracker(store)
    running = tracker.start_run("base", {"experiment": "base"}, {}, "")
    finished = tracker.start_run("other", {"experiment": "other"}, {}, "")
    tracker.finish_run(finished)
    monkeypatch.setenv("WSGCN_FOLDER", "another")
    unrelated = tracker.start_run("base", {"experiment": "base"}, {}, "")
    monkeypatch.undo()
    assert open_store(uri, "opened", str(tmp_path)) == store
    assert [status(run) for run in (running, finished, unrelated)] == ["KILLED", "FINISHED", "RUNNING"]


def test_end_runs_is_limited_to_its_tags(store, start, status):
    run, other = start("mine"), start("other")
    end_runs(store, "FAILED", workflow="another workflow")
    assert status(run) == "RUNNING"
    end_runs(store, "FAILED", **workflow_tags(), experiment="mine")
    assert [status(run), status(other)] == ["FAILED", "RUNNING"]


CREATE = """
import sys
from wsgcn.tracking.store import ensure_experiment
print(ensure_experiment(sys.argv[1], sys.argv[2], sys.argv[3]))
"""


def test_concurrent_processes_create_one_store(tmp_path):
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, uri, name, str(tmp_path / "artifacts")],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )
        for name in ("a", "a", "b", "b")
    ]  # fmt: skip
    a, same, b, again = (process.communicate(timeout=120)[0].strip() for process in processes)
    assert a == same != b == again
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["mlflow.db", "mlflow.db.lock"]


LOG = """
import sys
from wsgcn.tracking.experiments import start_experiment
from wsgcn.tracking.store import ensure_experiment
from wsgcn.tracking.tracker import Tracker
uri, name, artifacts = sys.argv[1:]
tracker = Tracker({"uri": uri, "experiment_id": ensure_experiment(uri, name, artifacts)})
parent = start_experiment(tracker, name, {"a": 1}, "")
for k in range(8):
    with tracker.run(f"{name}/{k}", {"experiment": name, "stage": f"stage {k % 4}"}, {"k": k}, "") as child:
        tracker.set_parent(parent, [child])
        tracker.log(child, metrics={f"m{i}": i for i in range(30)})
tracker.finish_run(parent)
"""


def test_four_workflows_share_a_store(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    names = ["a", "a", "b", "c"]  # two folders with the same data set and experiment among them
    workflows = [
        subprocess.Popen(
            [sys.executable, "-c", LOG, uri, name, str(tmp_path)], env=ENVIRONMENT | {"WSGCN_FOLDER": f"folder{k}"}
        )
        for k, name in enumerate(names)
    ]
    assert [workflow.wait(timeout=300) for workflow in workflows] == [0] * 4
    client = MlflowClient(uri)
    for k, name in enumerate(names):
        experiment = client.get_experiment_by_name(name).experiment_id
        runs = client.search_runs([experiment], f"tags.folder = 'folder{k}'")
        assert len(runs) == 9 and {run.info.status for run in runs} == {"FINISHED"}
        current = [run for run in runs if run.data.tags["current"] == "yes"]
        assert len(current) == 5
        assert all(len(run.data.metrics) == 30 for run in runs if run.data.tags["stage"] != "experiment")
