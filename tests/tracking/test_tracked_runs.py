"""The runs of stages, experiments and the benchmark: what of their files goes into MLflow, under which names.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_tracked_runs.py`.
"""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from wsgcn.evaluation.ablations import Ablations
from wsgcn.files import write_arrays, write_json, write_skipped
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.tracking import views
from wsgcn.tracking.benchmark import track_benchmark
from wsgcn.tracking.choice import track_choice
from wsgcn.tracking.experiments import (
    complete_experiment,
    log_comparisons,
    read_parents,
    read_runs,
    start_experiment,
)
from wsgcn.tracking.review import track_review
from wsgcn.tracking.stages import StageRun, read_curves, track_stage
from wsgcn.tracking.tracker import PARENT_TAG
from wsgcn.tracking.views import save_views

STAGE = StageRun("mine", "refine", {"refine": {"sigma1": 3}}, "words", {"code": "abc", "device": "cpu"})


def evaluation(stage="refined", **values):
    defaults = {
        "split": "train",
        "protocol": f"how {stage} came about",
        "miou": 0.5,
        "coverage": 1.0,
        "precision": 0.75,
    }
    defaults |= {"seconds_per_image": None, "iou": {"cat": 0.25}, "skipped": {}, "without_background": 0.125}
    rows = [{"image": "a", "miou": 0.25, "coverage": 1.0}, {"image": "b", "miou": None, "coverage": 0.0}]
    return {"stage": stage, "by_image": rows} | defaults | values


# A stage


def test_stage_run_has_settings_metrics_files_and_a_table(tracker, client, status, tags, tmp_path):
    parent = start_experiment(tracker, "mine", {"seed": 0}, "")
    (tmp_path / "refine.png").write_bytes(b"a chart")
    curves = pd.DataFrame({"loss": [2.0, 1.0]}, index=[1, 2])
    sweep = evaluation("cam", sweep={"0.05": 0.5, "0.30": 0.625, "0.60": None}, seconds_per_image=2.0)
    sweep["by_image"] = [{"image": "a", "miou": 0.125, "coverage": 1.0}]
    files = [str(tmp_path / "refine.png")]
    run = track_stage(tracker, STAGE, [evaluation(), sweep], curves, 1.5, files)
    assert tracker.current_run({"experiment": "mine", "stage": "refine"}) == run and status(run) == "FINISHED"
    data = client.get_run(run).data
    assert client.get_run(run).info.run_name == "mine/refine" and data.params == {"sigma1": "3"}
    expected = {"code": "abc", "device": "cpu", "description": "words", PARENT_TAG: parent}
    expected |= {"protocol.cam": "how cam came about", "protocol.refined": "how refined came about"}
    assert expected.items() <= data.tags.items()
    values = {"miou": 0.5, "coverage": 1.0, "precision": 0.75, "iou/cat": 0.25}
    assert data.metrics == {
        **{f"train/{stage}/{name}": value for stage in ("refined", "cam") for name, value in values.items()},
        "train/cam/seconds_per_image": 2.0,
        "train/cam/miou_by_background_percent": 0.625,
        "labels/seconds_per_image": 1.5,
        "loss": 1.0,
    }
    history = client.get_metric_history(run, "train/cam/miou_by_background_percent")
    assert sorted((metric.step, metric.value) for metric in history) == [(5, 0.5), (30, 0.625)]
    assert {file.path for file in client.list_artifacts(run)} == {"refine.png", "images.json"}
    with open(client.download_artifacts(run, "images.json", str(tmp_path))) as stream:
        table = json.load(stream)
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["stage"], row["image"]) for row in rows] == [("cam", "a"), ("refined", "a"), ("refined", "b")]


def test_stage_run_before_its_experiment_has_no_parent(tracker, tags, client):
    run = track_stage(tracker, STAGE, [], None, None, [])
    assert PARENT_TAG not in tags(run) and client.get_run(run).data.metrics == {}
    assert not client.list_artifacts(run)


def test_failed_stage_run_leaves_the_earlier_one_current(tracker, client, store):
    first = track_stage(tracker, STAGE, [], None, None, [])
    with pytest.raises(FileNotFoundError):
        track_stage(tracker, STAGE, [], None, None, ["missing.png"])
    assert tracker.current_run({"experiment": "mine", "stage": "refine"}) == first
    statuses = {run.info.status for run in client.search_runs([store["experiment_id"]])}
    assert statuses == {"FINISHED", "FAILED"}


def test_curves_of_a_training_are_its_history(tmp_path):
    (tmp_path / "history.csv").write_text("step,loss\n1,0.5\n5,0.25\n")
    curves = read_curves(str(tmp_path / "history.csv"), None)
    assert curves["loss"].to_dict() == {1: 0.5, 5: 0.25} and curves.index.name == "step"


def test_curves_of_the_refinement_are_the_mean_over_images(tmp_path, rng):
    losses = rng.random((3, 12, len(LOSSES))).astype(np.float32)
    paths = [str(tmp_path / f"{k}.npz") for k in range(4)]
    for path, values in zip(paths, losses, strict=False):
        write_arrays(path, losses=values)
    write_skipped(paths[3], "refine: no")
    curves = read_curves(None, paths)
    assert list(curves) == list(LOSSES) and curves.index.tolist() == list(range(1, 13)) and curves.index.name == "epoch"
    np.testing.assert_array_equal(curves.to_numpy(), losses.mean(0))
    write_arrays(paths[0], keys=np.array([], np.uint8), scores=np.ones((1, 2, 2)))  # a negative: no network
    np.testing.assert_allclose(read_curves(None, [paths[0], paths[1]]), read_curves(None, paths[1:2]))
    assert read_curves(None, paths[3:]).shape == (0, len(LOSSES))
    assert read_curves(None, None) is None


# An experiment


def test_experiment_is_current_at_once_and_finished_when_complete(tracker, client, status, tags, tmp_path):
    parent = start_experiment(tracker, "mine", {"refine": {"window": 5}}, "words")
    assert tracker.current_run({"experiment": "mine", "stage": "experiment"}) == parent and status(parent) == "RUNNING"
    assert client.get_run(parent).info.run_name == "mine" and client.get_run(parent).data.params == {"window": "5"}
    own = track_stage(tracker, STAGE, [], None, None, [])
    other = start_experiment(tracker, "other", {}, "")
    taken, free = (
        tracker.start_run(name, {"experiment": "other", "stage": name}, {}, "") for name in ("cam", "partial")
    )
    tracker.set_parent(other, [taken])
    (tmp_path / "mine.txt").write_text("the summary")
    evaluations = [evaluation("partial", coverage=0.5), evaluation("refined_crf", seconds_per_image=3.0)]
    files = [str(tmp_path / "mine.txt")]
    complete_experiment(tracker, parent, [own], [taken, free], evaluations, {"classifier": 1.5}, 2, files)
    assert [tags(run)[PARENT_TAG] for run in (own, taken, free)] == [parent, other, parent]
    assert status(parent) == "FINISHED" and tags(parent)["protocol.partial"] == "how partial came about"
    assert [file.path for file in client.list_artifacts(parent)] == ["mine.txt"]
    assert client.get_run(parent).data.metrics == {
        "train/partial/miou": 0.5,
        "train/partial/coverage": 0.5,
        "train/partial/precision": 0.75,
        "train/partial/without_background": 0.125,
        "train/partial/iou/cat": 0.25,
        "train/refined_crf/miou": 0.5,
        "train/refined_crf/seconds_per_image": 3.0,
        "train/refined_crf/iou/cat": 0.25,
        "minutes/classifier": 1.5,
        "skipped_images": 2.0,
    }


def test_runs_are_read_from_the_files_of_jobs(tmp_path):
    paths = [str(tmp_path / name / "parent.json") for name in ("a", "b")]
    for path, run in zip(paths, ("one", "two"), strict=True):
        write_json(path, {"run_id": run})
    assert read_runs(paths) == ["one", "two"] and read_parents(paths) == {"a": "one", "b": "two"}


def test_comparisons_go_to_each_experiment_and_retire_removed_ones(tracker, client, tags, tmp_path):
    parents = {name: start_experiment(tracker, name, {}, "") for name in ("base", "mine")}
    removed = start_experiment(tracker, "removed", {}, "")
    columns = [f"{key}{suffix}" for key in ("difference", "low", "high") for suffix in ("", "_no_crf")]
    columns += [f"miou{suffix}_{bound}" for suffix in ("", "_no_crf") for bound in ("low", "high")]
    rows = [{"experiment": "base", "disagreement": None} | dict.fromkeys(columns)]
    rows.append({"experiment": "mine", "disagreement": 0.25} | {name: k / 16 for k, name in enumerate(columns)})
    evaluations = {name: {stage: evaluation(stage) for stage in ("refined", "refined_crf")} for name in parents}
    pictures = {("mine", "base"): str(tmp_path / "mine.png"), ("mine", "third"): str(tmp_path / "third.png")}
    for name in ("mine.png", "table.csv"):
        (tmp_path / name).write_text("text")
    log_comparisons(tracker, parents, Ablations("base", evaluations, rows, []), pictures, [str(tmp_path / "table.csv")])
    assert (
        client.get_run(parents["base"]).data.metrics == {} and len(client.get_run(parents["mine"]).data.metrics) == 11
    )
    assert client.get_run(parents["mine"]).data.metrics["train/refined_crf/disagreement_with_base"] == 0.25
    assert {tags(run)["base_run"] for run in parents.values()} == {parents["base"]}
    assert tags(parents["mine"])["base"] == "base" and tags(removed)["current"] == "no"
    assert [file.path for file in client.list_artifacts(parents["base"])] == ["table.csv"]
    assert [file.path for file in client.list_artifacts(parents["mine"], "disagreement")] == ["disagreement/mine.png"]


# The benchmark and the views


def test_benchmark_run_has_the_means_of_each_method(tracker, client, status, tmp_path):
    means = pd.DataFrame({"method": ["sparse", "dense, no cache"], "seconds": [1.0, 4.0], "peak_mb": [10.0, 20.0]})
    means = means.assign(equal_percent=[100.0, np.nan], equal_percent_small=np.nan, ratio=[4.0, np.nan], nodes=7)
    (tmp_path / "core.csv").write_text("x")
    run = track_benchmark(tracker, means, {"refine": {"lr": 0.1}}, "words", [tmp_path / "core.csv"])
    assert tracker.current_run({"stage": "benchmark"}) == run and status(run) == "FINISHED"
    assert client.get_run(run).info.run_name == "benchmark" and client.get_run(run).data.params == {"refine.lr": "0.1"}
    assert client.get_run(run).data.metrics == {
        "sparse/seconds": 1.0,
        "sparse/peak_mb": 10.0,
        "sparse/equal_percent": 100.0,
        "sparse/ratio": 4.0,
        "dense no cache/seconds": 4.0,
        "dense no cache/peak_mb": 20.0,
    }


def test_views_of_experiments_and_losses_are_linked(store, client):
    links = save_views(store, "cats", "train", "val")
    tags = client.get_experiment(store["experiment_id"]).tags
    note = tags["mlflow.note.content"]
    assert note.startswith("Experiments on cats, one row each: [table](") and all(
        link in note for link in links.values()
    )
    assert links["table"].endswith("runs?viewStateShareKey=summary&workflowType=machine_learning")
    table = json.loads(json.loads(tags["mlflow.sharedViewState.summary"])["state"])
    assert table["selectedColumns"] == [
        "attributes.`Description`",
        *(f"metrics.`train/{stage}/miou`" for stage in ("cam", "partial", "refined", "refined_crf")),
        "metrics.`train/refined_crf/difference_to_base`",
        "metrics.`val/segmentation_multi_crf/miou`",
        *(f"params.`{name}`" for name in ("sigma1", "sigma2", "lambda_ent", "lambda_lap")),
    ]
    assert table["orderByKey"] == "metrics.`train/refined_crf/miou`"
    assert table["searchFilter"] == "tags.stage = 'experiment' and tags.current = 'yes'"
    losses = json.loads(json.loads(tags["mlflow.sharedViewState.losses"])["state"])
    assert [chart["metricKey"] for chart in losses["compareRunCharts"]] == list(LOSSES)
    assert losses["searchFilter"] == "tags.stage = 'refine' and tags.current = 'yes'"


def test_view_is_stored_once_however_often_it_is_saved():
    tags = {}
    client = SimpleNamespace(set_experiment_tag=lambda experiment, key, value: tags.update({(experiment, key): value}))
    save = [client, "1", ["a/miou", "b/miou"], ["sigma1"], "a/miou", "tags.current = 'yes'"]
    link = views.save_view(*save)
    stored = dict(tags)
    assert views.save_view(*save) == link and tags == stored
    save[2] = ["a/miou"]
    assert views.save_view(*save) == link
    assert tags.keys() == stored.keys() and tags != stored


# The choice of settings


def test_a_choice_is_one_run_that_says_whether_truth_was_used(tracker, client, status, tmp_path):
    (tmp_path / "choice.txt").write_text("a table")
    row = {"value": 8, "experiment": "alpha_high-8", "scores": {"crf_agreement": 0.5}, "miou": None, "low": None}
    summary = {"setting": "partial.alpha_high", "value": 8, "rule": "mean_rank", "why": "words", "regrets": {}}
    summary |= {"candidates": [row | {"high": None}], "regrets_of_few": {}}
    first = track_choice(tracker, [summary], "photos", [])
    known = summary | {
        "rule": "truth",
        "candidates": [row | {"miou": 0.25, "low": 0.125, "high": 0.5}],
        "regrets": {"no choice": {"value": 2, "miou": 0.125, "regret": 0.0625}},
        "regrets_of_few": {"5": 0.5},
    }
    run = track_choice(tracker, [known], "photos", [tmp_path / "choice.txt"])
    data, earlier = client.get_run(run).data, client.get_run(first).data
    assert earlier.params == {
        "truth_used": "False",
        "chosen.partial.alpha_high": "8",
        "why.partial.alpha_high": "words",
    }
    assert data.params["truth_used"] == "True" and data.tags["description"] == "settings of photos, chosen with masks"
    assert earlier.tags["description"] == "settings of photos, chosen without truth"
    assert earlier.metrics == {"choice/partial_alpha_high/alpha_high-8/crf_agreement": 0.5}
    assert data.metrics == earlier.metrics | {
        "choice/partial_alpha_high/alpha_high-8/miou": 0.25,
        "choice/partial_alpha_high/alpha_high-8/miou_low": 0.125,
        "choice/partial_alpha_high/alpha_high-8/miou_high": 0.5,
        "regret/partial_alpha_high/no choice": 0.0625,
        "regret/partial_alpha_high/masks_5": 0.5,
    }
    assert status(run) == "FINISHED" and (earlier.tags["current"], data.tags["current"]) == ("no", "yes")
    assert [file.path for file in client.list_artifacts(run)] == ["choice.txt"]


# The review


def test_the_review_s_run_says_how_good_the_scores_are(tracker, client, status, tmp_path):
    rows = [
        {"score": "area", "auroc": 0.75, "low": 0.5, "high": 0.875, "images": 9, "worst": 3},
        {"score": "softmin", "auroc": 0.5, "low": float("nan"), "high": float("nan"), "images": 9, "worst": 3},
    ]
    (tmp_path / "queue.csv").write_text("rank")
    settings, files = {"score": "area", "temperature": 0.1}, [tmp_path / "queue.csv"]
    first = track_review(tracker, "mine", "train", settings, "words", [], files)
    run = track_review(tracker, "mine", "train", settings, "words", rows, files)
    assert tracker.current_run({"experiment": "mine", "stage": "review"}) == run != first
    assert status(run) == "FINISHED" and client.get_run(first).data.metrics == {}
    data = client.get_run(run).data
    assert data.metrics == {
        "train/review/auroc/area": 0.75,
        "train/review/auroc_low/area": 0.5,
        "train/review/auroc_high/area": 0.875,
        "train/review/auroc/softmin": 0.5,
    }
    assert data.params == {"review.score": "area", "review.temperature": "0.1"}
    assert [file.path for file in client.list_artifacts(run)] == ["queue.csv"]
