"""MLflow runs in a store of their own: what is logged, what replaces what, whose children runs are."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import wsgcn
from wsgcn.tracking.runs import (
    PARENT_TAG,
    current_run,
    end_runs,
    ensure_experiment,
    finish_run,
    log,
    log_files,
    mark_current,
    mark_others_superseded,
    parameters,
    runs_without_parent,
    set_parent,
    start_run,
    workflow_tags,
)

PARAMETERS = {
    "refine": {"lr": 0.01, "sigma1": 3, "window": 5},
    "graph": {"steps": 256},
    "irnet.labels": {"crf": {"a": 1}},
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store, whose creation takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    ensure_experiment(uri, "first", str(folder / "artifacts"))
    return uri


@pytest.fixture
def client(uri):
    return MlflowClient(uri)


@pytest.fixture
def store(uri, request, tmp_path):
    """An experiment of MLflow for each test."""
    return {"uri": uri, "experiment_id": ensure_experiment(uri, request.node.name, str(tmp_path / "artifacts"))}


@pytest.fixture
def start(store):
    """start(experiment, stage, **settings): the id of a run that is current at once."""

    def call(experiment, stage="experiment", **settings):
        what = {"experiment": experiment, "stage": stage}
        run = start_run(store, f"{experiment}/{stage}", what, settings, "as it is")
        mark_current(store, run, what)
        return run

    return call


@pytest.fixture
def tags(client):
    return lambda run: client.get_run(run).data.tags


# The store


def test_an_experiment_is_made_once(uri, client, tmp_path):
    first = ensure_experiment(uri, "made once", str(tmp_path / "artifacts"))
    assert ensure_experiment(uri, "made once", str(tmp_path / "elsewhere")) == first
    assert client.get_experiment(first).artifact_location == (tmp_path / "artifacts").as_uri()


def test_a_store_that_is_gone_is_told_and_not_made_anew(tmp_path):
    store = {"uri": f"sqlite:///{tmp_path / 'gone.db'}", "experiment_id": "1"}
    with pytest.raises(ValueError, match="^the MLflow store sqlite:.*gone.db is gone; delete results"):
        start_run(store, "x", {"experiment": "x"}, {}, "")
    assert not list(tmp_path.iterdir())


CREATE = """
import sys
from wsgcn.tracking.runs import ensure_experiment
print(ensure_experiment(sys.argv[1], sys.argv[2], sys.argv[3]))
"""


def test_a_store_that_several_make_at_once_is_one(tmp_path):
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])}
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, uri, name, str(tmp_path / "artifacts")],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        for name in ("a", "a", "b", "b")
    ]  # fmt: skip
    a, same, b, again = (maker.communicate(timeout=120)[0].strip() for maker in makers)
    assert a == same != b == again
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["mlflow.db", "mlflow.db.lock"]


LOG = """
import sys
from wsgcn.tracking.runs import adopt, ensure_experiment, finish_run, log, promote, start_run
uri, name, artifacts = sys.argv[1:]
store = {"uri": uri, "experiment_id": ensure_experiment(uri, name, artifacts)}
what = {"experiment": name, "stage": "experiment"}
parent = start_run(store, name, what, {"a": 1}, "")
promote(store, parent, what)
for k in range(8):
    what = {"experiment": name, "stage": f"stage {k % 4}"}
    child = start_run(store, f"{name}/{k}", what, {"k": k}, "")
    adopt(store, parent, [child])
    log(store, child, metrics={f"m{i}": i for i in range(30)})
    finish_run(store, child)
    promote(store, child, what)
finish_run(store, parent)
"""


def test_four_workflows_share_a_store(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])}
    names = ["a", "a", "b", "c"]  # two folders with the same data set and experiment among them
    several = [
        subprocess.Popen(
            [sys.executable, "-c", LOG, uri, name, str(tmp_path)], env=environment | {"WSGCN_FOLDER": f"folder{k}"}
        )
        for k, name in enumerate(names)
    ]
    assert [one.wait(timeout=300) for one in several] == [0] * 4
    client = MlflowClient(uri)
    for k, name in enumerate(names):
        experiment = client.get_experiment_by_name(name).experiment_id
        runs = client.search_runs([experiment], f"tags.folder = 'folder{k}'")
        assert len(runs) == 9 and {run.info.status for run in runs} == {"FINISHED"}
        current = [run for run in runs if run.data.tags["current"] == "yes"]
        assert len(current) == 5
        assert all(len(run.data.metrics) == 30 for run in runs if run.data.tags["stage"] != "experiment")


# Runs


def test_a_run_is_not_current_before_it_is_promoted(store, start, tags):
    old, what = start("mine", "refine"), {"experiment": "mine", "stage": "refine"}
    finish_run(store, old)
    new = start_run(store, "mine/refine", what, {}, "")
    assert current_run(store, what) == old and tags(new)["current"] == "no"
    mark_current(store, new, what)
    assert current_run(store, what) == new and tags(old)["replaced_by"] == new


def test_a_run_whose_process_died_does_not_run_for_ever(start, client, store):
    dead, ended = start("mine"), start("other")
    finish_run(store, ended)
    new = start("mine")
    assert client.get_run(dead).info.status == "KILLED"
    end_runs(store, "FAILED", workflow="another workflow")
    assert client.get_run(new).info.status == "RUNNING"
    end_runs(store, "KILLED", folder=workflow_tags()["folder"])
    assert [client.get_run(run).info.status for run in (new, ended)] == ["KILLED", "FINISHED"]


def test_folders_that_share_a_store_leave_each_other_alone(start, tags, store, monkeypatch):
    mine, what = start("mine"), {"experiment": "mine", "stage": "experiment"}
    monkeypatch.setenv("WSGCN_FOLDER", "another")
    theirs = start("mine")
    mark_others_superseded(store, [])
    assert current_run(store, what) is None and tags(theirs)["current"] == "no"
    monkeypatch.undo()
    assert current_run(store, what) == mine


def test_a_store_that_is_gone_is_not_made_by_ending_its_runs(tmp_path):
    end_runs({"uri": f"sqlite:///{tmp_path / 'gone.db'}", "experiment_id": "1"}, "KILLED", workflow="x")
    assert not list(tmp_path.iterdir())


def test_a_run_carries_settings_tags_and_a_description(start, client, store):
    run = client.get_run(start("mine", "refine", **PARAMETERS))
    assert run.info.run_name == "mine/refine" and run.info.status == "RUNNING"
    assert run.data.params == {
        "refine.lr": "0.01", "sigma1": "3", "window": "5", "graph.steps": "256", "irnet.labels.crf.a": "1"
    }  # fmt: skip
    assert run.data.params == parameters(PARAMETERS)
    expected = {"experiment": "mine", "stage": "refine", "current": "yes", "mlflow.note.content": "as it is"}
    assert expected.items() <= run.data.tags.items()
    finish_run(store, run.info.run_id)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_more_settings_than_mlflow_takes_at_once(start, client):
    settings = {f"key{k}": k for k in range(250)}
    assert client.get_run(start("mine", **settings)).data.params == {key: str(k) for key, k in settings.items()}


def test_a_run_replaces_the_one_of_its_experiment_and_stage_and_no_other(start, tags, store):
    old, other, child = start("mine"), start("other"), start("mine", "refine")
    new = start("mine")
    assert tags(old)["current"] == "no" and tags(old)["replaced_by"] == new
    for run in (new, other, child):
        assert tags(run)["current"] == "yes" and "replaced_by" not in tags(run)
    newest = start("mine")
    assert tags(old)["replaced_by"] == new and tags(new)["replaced_by"] == newest
    assert current_run(store, {"experiment": "mine", "stage": "experiment"}) == newest
    assert current_run(store, {"experiment": "mine", "stage": "refine"}) == child
    assert current_run(store, {"experiment": "no-one", "stage": "experiment"}) is None


def test_runs_of_another_data_set_are_left_alone(start, tags, store, uri, tmp_path):
    mine = start("mine")
    elsewhere = {"uri": uri, "experiment_id": ensure_experiment(uri, "another data set", str(tmp_path))}
    what = {"experiment": "mine", "stage": "experiment"}
    mark_current(elsewhere, start_run(elsewhere, "mine", what, {}, ""), what)
    mark_others_superseded(elsewhere, [])
    assert tags(mine)["current"] == "yes"
    assert current_run(elsewhere, {"experiment": "mine"}) is None


# What is logged


def test_single_metrics_keep_four_significant_digits_and_none_is_left_out(start, client, store):
    run = start("mine")
    metrics = {"share": 0.123456, "small": -0.00012345678, "large": 98765.4, "count": 3, "numpy": np.float32(2 / 3)}
    log(store, run, metrics=metrics | {"unknown": None})
    expected = {"share": 0.1235, "small": -0.0001235, "large": 98770.0, "count": 3.0, "numpy": 0.6667}
    assert client.get_run(run).data.metrics == expected


def test_curves_keep_all_their_digits_and_steps(start, client, store, rng):
    """More of them than MLflow takes at once."""
    run, values = start("mine"), rng.random((700, 2))
    curves = pd.DataFrame(values, columns=["loss", "loss_entropy"], index=np.arange(1, 701)).rename_axis("epoch")
    log(store, run, curves=curves, metrics={"share": 1 / 3}, tags={"protocol.cam": "by hand"})
    for name in curves:
        history = sorted(client.get_metric_history(run, name), key=lambda metric: metric.step)
        assert [metric.step for metric in history] == list(curves.index)
        assert [metric.value for metric in history] == curves[name].tolist()
    assert client.get_run(run).data.metrics["share"] == 0.3333
    assert client.get_run(run).data.tags["protocol.cam"] == "by hand"


def test_files_lie_where_they_are_asked_to(start, client, store, tmp_path):
    run, paths = start("mine"), [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_text(path.stem)
    log_files(store, run, paths[:1], [{"image": "x", "miou": None}])
    log_files(store, run, paths[1:], folder="disagreement")
    assert {found.path for found in client.list_artifacts(run)} == {"a.txt", "images.json", "disagreement"}
    assert [found.path for found in client.list_artifacts(run, "disagreement")] == ["disagreement/b.txt"]


# Parents and children


def test_runs_without_a_current_parent_are_orphans(start, store):
    """Shared stages' runs keep the parent that they have as long as it is current."""
    old, other = start("mine"), start("other")
    left, kept, alone = start("mine", "cam"), start("other", "refine"), start("mine", "partial")
    set_parent(store, old, [left])
    set_parent(store, other, [kept])
    assert runs_without_parent(store, [left, kept, alone]) == [alone]
    new = start("mine")
    assert runs_without_parent(store, [kept, left, alone]) == [left, alone] and runs_without_parent(store, []) == []
    set_parent(store, new, [alone])
    assert runs_without_parent(store, [left, kept, alone]) == [left]


def test_the_shared_children_of_a_replaced_parent_are_adopted_by_whoever_comes_first(start, tags, store):
    """As a summary does it: its own runs, and orphans among those it shares."""
    base = start("base")
    shared = [start("base", stage) for stage in ("classifier", "cam")]
    set_parent(store, base, shared)
    second = start("second")
    set_parent(store, second, runs_without_parent(store, shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {base}  # the base has them
    start("base")  # anew, its summary not yet written
    set_parent(store, second, runs_without_parent(store, shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {second}
    third = start("third")
    set_parent(store, third, runs_without_parent(store, shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {second}


def test_experiments_that_are_gone_are_retired(start, tags, store, client):
    kept = [start("base"), start("base", "cam"), start("other")]
    gone = [start("gone"), start("gone", "cam")]
    benchmark = start_run(store, "benchmark", {"stage": "benchmark"}, {}, "")
    mark_current(store, benchmark, {"stage": "benchmark"})
    foreign = client.create_run(store["experiment_id"], tags={"current": "yes"}).info.run_id
    before = client.create_run(store["experiment_id"], tags={"experiment": "gone"}).info.run_id
    mark_others_superseded(store, ["base", "other"])
    for run in (*kept, benchmark, foreign):
        assert tags(run)["current"] == "yes"
    for run in gone:
        assert tags(run)["current"] == "no" and "replaced_by" not in tags(run)
    assert "current" not in tags(before)
    assert runs_without_parent(store, [gone[1]]) == [gone[1]]


def test_the_children_of_a_retired_experiment_can_be_adopted(start, tags, store):
    gone = start("gone")
    child = start("other", "cam")
    set_parent(store, gone, [child])
    assert runs_without_parent(store, [child]) == []
    mark_others_superseded(store, ["other"])
    assert runs_without_parent(store, [child]) == [child] and tags(child)["current"] == "yes"


def test_an_experiment_that_comes_back_is_current_again(start, tags, store):
    first = start("mine")
    mark_others_superseded(store, [])
    again = start("mine")
    assert current_run(store, {"experiment": "mine", "stage": "experiment"}) == again
    assert tags(first)["current"] == "no" and "replaced_by" not in tags(first)
