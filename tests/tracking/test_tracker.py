"""MLflow runs: what is logged, which run is current, whose children runs are.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_tracker.py`.
"""

import numpy as np
import pandas as pd
import pytest

from wsgcn.tracking.store import ensure_experiment, workflow_tags
from wsgcn.tracking.tracker import PARENT_TAG, Tracker, parameters

SETTINGS = {
    "refine": {"lr": 0.01, "sigma1": 3, "window": 5},
    "graph": {"steps": 256},
    "irnet.labels": {"crf": {"a": 1}},
}
REFINE = {"experiment": "mine", "stage": "refine"}
EXPERIMENT = {"experiment": "mine", "stage": "experiment"}


# A run as a context


def test_run_is_finished_and_current_after_its_block(tracker, start, tags, status):
    old = start("mine", "refine")
    with tracker.run("mine/refine", REFINE, {"seed": 1}, "words", {"code": "abc"}) as run:
        assert tracker.current_run(REFINE) == old and tags(run)["current"] == "no" and status(run) == "RUNNING"
        tracker.log(run, metrics={"miou": 0.5})
    assert tracker.current_run(REFINE) == run and status(run) == "FINISHED" and tags(run)["code"] == "abc"
    assert tags(old)["replaced_by"] == run and status(old) == "KILLED"


def test_run_with_an_exception_is_failed_and_leaves_the_earlier_one_current(tracker, start, tags, status, client):
    old = start("mine", "refine")
    tracker.finish_run(old)
    with pytest.raises(ZeroDivisionError):
        with tracker.run("mine/refine", REFINE, {"seed": 1}, "words") as run:
            tracker.log(run, metrics={"miou": 0.5})
            raise ZeroDivisionError
    assert status(run) == "FAILED" and tags(run)["current"] == "no" and tracker.current_run(REFINE) == old
    assert client.get_run(run).data.metrics == {"miou": 0.5} and "replaced_by" not in tags(old)
    with pytest.raises(KeyboardInterrupt), tracker.run("mine/refine", REFINE, {}, "") as interrupted:
        raise KeyboardInterrupt
    assert status(interrupted) == "FAILED"


def test_unreachable_store_does_not_hide_the_exception(tracker, monkeypatch):
    def fail(*_):
        raise OSError("the store is away")

    with pytest.raises(ZeroDivisionError):
        with tracker.run("mine/refine", REFINE, {}, ""):
            monkeypatch.setattr(tracker._client, "set_terminated", fail)
            raise ZeroDivisionError


def test_extra_tags_do_not_identify_a_run(tracker, tags):
    with tracker.run("mine/refine", REFINE, {}, "", {"code": "old"}) as first:
        pass
    with tracker.run("mine/refine", REFINE, {}, "", {"code": "new"}) as second:
        pass
    assert tags(first)["replaced_by"] == second and tracker.current_run(REFINE) == second


# Current runs


def test_run_is_not_current_before_it_is_marked(tracker, start, tags):
    old = start("mine", "refine")
    tracker.finish_run(old)
    new = tracker.start_run("mine/refine", REFINE, {}, "")
    assert tracker.current_run(REFINE) == old and tags(new)["current"] == "no"
    tracker.mark_current(new, REFINE)
    assert tracker.current_run(REFINE) == new and tags(old)["replaced_by"] == new


def test_runs_of_dead_processes_are_ended(tracker, start, status):
    dead, ended = start("mine"), start("other")
    tracker.finish_run(ended)
    new = start("mine")
    assert status(dead) == "KILLED"
    tracker.end_runs("FAILED", workflow="another workflow")
    assert status(new) == "RUNNING"
    tracker.end_runs("KILLED", folder=workflow_tags()["folder"])
    assert [status(run) for run in (new, ended)] == ["KILLED", "FINISHED"]


def test_folders_that_share_a_store_leave_each_other_alone(tracker, start, tags, monkeypatch):
    mine = start("mine")
    monkeypatch.setenv("WSGCN_FOLDER", "another")
    theirs = start("mine")
    tracker.mark_others_superseded([])
    assert tracker.current_run(EXPERIMENT) is None and tags(theirs)["current"] == "no"
    monkeypatch.undo()
    assert tracker.current_run(EXPERIMENT) == mine


def test_run_replaces_only_the_one_of_its_experiment_and_stage(tracker, start, tags):
    old, other, child = start("mine"), start("other"), start("mine", "refine")
    new = start("mine")
    assert tags(old)["current"] == "no" and tags(old)["replaced_by"] == new
    for run in (new, other, child):
        assert tags(run)["current"] == "yes" and "replaced_by" not in tags(run)
    newest = start("mine")
    assert tags(old)["replaced_by"] == new and tags(new)["replaced_by"] == newest
    assert tracker.current_run(EXPERIMENT) == newest
    assert tracker.current_run(REFINE) == child
    assert tracker.current_run({"experiment": "no-one", "stage": "experiment"}) is None


def test_runs_of_another_data_set_are_left_alone(start, tags, uri, tmp_path):
    mine = start("mine")
    other = Tracker({"uri": uri, "experiment_id": ensure_experiment(uri, "another data set", str(tmp_path))})
    other.mark_current(other.start_run("mine", EXPERIMENT, {}, ""), EXPERIMENT)
    other.mark_others_superseded([])
    assert tags(mine)["current"] == "yes"
    assert other.current_run({"experiment": "mine"}) is None


def test_tags_of_current_runs_by_experiment(tracker):
    for experiment, code in (("a", "old"), ("a", "new"), ("b", "new"), ("c", None)):
        extra = {"code": code} if code else {}
        with tracker.run(experiment, {"experiment": experiment, "stage": "refine"}, {}, "", extra):
            pass
    assert tracker.current_tags("refine", "code") == {"a": "new", "b": "new"}
    assert tracker.current_tags("cam", "code") == {}


# What is logged


def test_run_has_settings_tags_and_a_description(start, client):
    run = client.get_run(start("mine", "refine", **SETTINGS))
    assert run.info.run_name == "mine/refine" and run.info.status == "RUNNING"
    assert run.data.params == {
        "refine.lr": "0.01", "sigma1": "3", "window": "5", "graph.steps": "256", "irnet.labels.crf.a": "1"
    }  # fmt: skip
    assert run.data.params == parameters(SETTINGS)
    expected = REFINE | {"current": "yes", "mlflow.note.content": "a description", "description": "a description"}
    assert (expected | workflow_tags()).items() <= run.data.tags.items()


def test_more_settings_than_mlflow_accepts_per_call(start, client):
    settings = {f"key{k}": k for k in range(250)}
    assert client.get_run(start("mine", **settings)).data.params == {key: str(k) for key, k in settings.items()}


def test_single_metrics_have_four_significant_digits_without_none(tracker, start, client):
    run = start("mine")
    metrics = {"share": 0.123456, "small": -0.00012345678, "large": 98765.4, "count": 3, "numpy": np.float32(2 / 3)}
    tracker.log(run, metrics=metrics | {"unknown": None})
    expected = {"share": 0.1235, "small": -0.0001235, "large": 98770.0, "count": 3.0, "numpy": 0.6667}
    assert client.get_run(run).data.metrics == expected


def test_curves_keep_all_digits_and_steps(tracker, start, client, rng):
    """More values than MLflow accepts per call."""
    run, values = start("mine"), rng.random((700, 2))
    curves = pd.DataFrame(values, columns=["loss", "loss_entropy"], index=np.arange(1, 701)).rename_axis("epoch")
    tracker.log(run, curves=curves, metrics={"share": 1 / 3}, tags={"protocol.cam": "by hand"})
    for name in curves:
        history = sorted(client.get_metric_history(run, name), key=lambda metric: metric.step)
        assert [metric.step for metric in history] == list(curves.index)
        assert [metric.value for metric in history] == curves[name].tolist()
    assert client.get_run(run).data.metrics["share"] == 0.3333
    assert client.get_run(run).data.tags["protocol.cam"] == "by hand"


def test_files_are_attached_in_their_folder(tracker, start, client, tmp_path):
    run, paths = start("mine"), [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_text(path.stem)
    tracker.log_files(run, paths[:1], [{"image": "x", "miou": None}])
    tracker.log_files(run, paths[1:], folder="disagreement")
    assert {file.path for file in client.list_artifacts(run)} == {"a.txt", "images.json", "disagreement"}
    assert [file.path for file in client.list_artifacts(run, "disagreement")] == ["disagreement/b.txt"]


# Parents and children


def test_runs_without_a_current_parent(tracker, start):
    """Runs of shared stages keep their parent as long as it is current."""
    old, other = start("mine"), start("other")
    left, adopted, alone = start("mine", "cam"), start("other", "refine"), start("mine", "partial")
    tracker.set_parent(old, [left])
    tracker.set_parent(other, [adopted])
    assert tracker.runs_without_parent([left, adopted, alone]) == [alone]
    new = start("mine")
    assert tracker.runs_without_parent([adopted, left, alone]) == [left, alone]
    assert tracker.runs_without_parent([]) == []
    tracker.set_parent(new, [alone])
    assert tracker.runs_without_parent([left, adopted, alone]) == [left]


def test_shared_children_of_a_replaced_parent_go_to_the_first_experiment_that_asks(tracker, start, tags):
    """A summary takes its own runs, and of the shared ones those without a current parent."""
    base = start("base")
    shared = [start("base", stage) for stage in ("classifier", "cam")]
    tracker.set_parent(base, shared)
    second = start("second")
    tracker.set_parent(second, tracker.runs_without_parent(shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {base}  # the base has them
    start("base")  # again, its summary not yet written
    tracker.set_parent(second, tracker.runs_without_parent(shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {second}
    third = start("third")
    tracker.set_parent(third, tracker.runs_without_parent(shared))
    assert {tags(run)[PARENT_TAG] for run in shared} == {second}


def test_runs_of_removed_experiments_are_superseded(tracker, start, tags, store, client):
    remaining = [start("base"), start("base", "cam"), start("other")]
    gone = [start("gone"), start("gone", "cam")]
    with tracker.run("benchmark", {"stage": "benchmark"}, {}, "") as benchmark:
        pass
    untracked = client.create_run(store["experiment_id"], tags={"current": "yes"}).info.run_id
    before = client.create_run(store["experiment_id"], tags={"experiment": "gone"}).info.run_id
    tracker.mark_others_superseded(["base", "other"])
    for run in (*remaining, benchmark, untracked):
        assert tags(run)["current"] == "yes"
    for run in gone:
        assert tags(run)["current"] == "no" and "replaced_by" not in tags(run)
    assert "current" not in tags(before)
    assert tracker.runs_without_parent([gone[1]]) == [gone[1]]


def test_children_of_a_superseded_experiment_have_no_parent(tracker, start, tags):
    gone = start("gone")
    child = start("other", "cam")
    tracker.set_parent(gone, [child])
    assert tracker.runs_without_parent([child]) == []
    tracker.mark_others_superseded(["other"])
    assert tracker.runs_without_parent([child]) == [child] and tags(child)["current"] == "yes"


def test_experiment_that_returns_is_current_again(tracker, start, tags):
    first = start("mine")
    tracker.mark_others_superseded([])
    again = start("mine")
    assert tracker.current_run(EXPERIMENT) == again
    assert tags(first)["current"] == "no" and "replaced_by" not in tags(first)
