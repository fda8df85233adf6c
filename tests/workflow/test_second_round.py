"""A second round: the experiment whose labels it learns from, its jobs, a whole run.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_second_round.py`.
"""

import json

import numpy as np
import pytest
from configs import BASE, CONFIG, SCHEMA, config_with
from plans import dataset
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.files import read_label, write_label
from wsgcn.workflow.directives import cam_params, training_inputs, training_params
from wsgcn.workflow.experiments import (
    add_first_round,
    describe,
    first_round_problems,
    idle_choices,
    merge,
    read_experiments,
    unknown_first_round,
)
from wsgcn.workflow.plan import Plan
from wsgcn.workflow.request import Request
from wsgcn.workflow.sharing import relevant_settings
from wsgcn.workflow.start import repeated_experiments

SECOND = {"cam_source": "self_training"}
FIRST = {"self_training": {"first": "mil"}}


def settings_of(experiments=None, **base):
    """A config whose base has two rounds, and the settings of its experiments."""
    config = config_with(experiments, **SECOND)
    config["self_training"] |= base
    return config, add_first_round(config, read_experiments(config, SCHEMA))


def plan_of(experiments=None, corrections=(), **others) -> Plan:
    _, found = settings_of(experiments)
    return Plan(found, dataset(), "results/tiny", 32, corrections=dict.fromkeys(corrections, "x.png"), **others)


def test_the_first_round_is_the_base_with_another_source():
    config, found = settings_of({"no-entropy": {"refine": {"lambda_ent": 0}}}, first="mil")
    assert list(found) == [BASE, "first-round", "no-entropy"]
    assert found["first-round"] == found[BASE] | {"cam_source": "mil"}
    assert describe("first-round", config, found) == "cam_source mil instead of self_training"
    assert add_first_round(config, found) == found, "it is there"


def test_without_self_training_there_is_none():
    config = config_with()
    found = read_experiments(config, SCHEMA)
    assert add_first_round(config, found) == found and "first-round" not in config["experiments"]


def test_an_own_first_round_stays_unless_it_learns_from_itself():
    _, found = settings_of({"first-round": {"cam_source": "mil", "refine": {"epochs": 7}}})
    assert found["first-round"]["refine"]["epochs"] == 7 and first_round_problems(found) == []
    _, found = settings_of({"first-round": {"refine": {"epochs": 7}}})
    (problem,) = first_round_problems(found)
    assert problem == (
        "config: experiment first-round: cam_source: self_training would learn from its own labels; "
        "give it classifier or mil, or another name"
    )


def test_the_base_cannot_be_the_first_round():
    config = config_with({"second": SECOND}, experiment="first-round")
    (problem,) = first_round_problems(read_experiments(config, SCHEMA))
    assert problem == "config: experiment: first-round is the name of the round that self_training learns from"


def test_an_entry_that_was_removed_is_there_all_the_same():
    config, found = settings_of({"first-round": None})
    assert describe("first-round", config, found) == "cam_source classifier instead of self_training"


def test_a_first_round_reads_no_external_cams():
    config = config_with({"second": SECOND | {"cam": {"folder": ""}}}, cam=CONFIG["cam"] | {"folder": "cams"})
    found = add_first_round(config, read_experiments(config, SCHEMA))
    assert found["first-round"]["cam"]["folder"] == "" and found["first-round"]["cam_source"] == "classifier"


def test_all_experiments_have_one_first_round():
    _, found = settings_of({"other": {"self_training": {"first": "mil"}}})
    assert first_round_problems(found) == [
        "config: experiment other: self_training.first cannot differ between experiments"
    ]


def test_comparisons_can_name_the_first_round():
    """Where it may be added; whether it is, is known once every `auto` has a value."""
    config = config_with({"x": {"seed": 1}}, against={"x": "first-round"}, **SECOND)
    found = add_first_round(config, read_experiments(config, SCHEMA))
    assert unknown_first_round(config, found) == []
    config = config_with({"x": {"seed": 1}}, against={"x": "first-round"}, cam_source="auto")
    config["segmentation_for"] = ["first-round"]
    why = "unknown experiment first-round: no cam_source is self_training"
    assert unknown_first_round(config, read_experiments(config, SCHEMA)) == [
        f"config: against: {why}",
        f"config: segmentation_for: {why}",
    ]
    with pytest.raises(ValueError, match="against: unknown experiment first-round"):
        read_experiments(config_with({"x": {"seed": 1}}, against={"x": "first-round"}), SCHEMA)


def test_the_second_round_learns_the_labels_of_the_first():
    plan = plan_of()
    (first, second) = sorted(plan.training_jobs("classifier"), key=lambda job: job.experiment)
    assert (first.experiment, second.experiment) == ("first-round", BASE)
    inputs = training_inputs(second)
    assert inputs["labels"] == [f"results/tiny/pseudo/first-round/{image}.png" for image in "abd"]
    assert inputs["features"] == [f"results/tiny/classifier/features/{image}.npz" for image in "abd"]
    assert first.ids == ["a", "b", "c"] and second.ids == ["a", "b", "d"]
    assert training_params(second)["method"] == "self_training" and training_params(second)["classes"] == 2
    params = cam_params(next(job for job in plan.batch_jobs("cam") if job.experiment == BASE))
    assert params["views"] == {"scale": 1, "stride": 8} and params["hidden"] == 64


def test_its_features_are_of_the_images_to_label():
    _, found = settings_of(first="mil")
    plan = Plan(found, dataset(), "results/tiny", 32)
    ids = {job.experiment: set() for job in plan.batch_jobs("features")}
    for job in plan.batch_jobs("features"):
        ids[job.experiment] |= set(job.ids)
    assert ids == {"first-round": set("abc"), BASE: set("abd")}


@pytest.mark.parametrize("word", ["labels", BASE, "no-entropy"])
def test_who_needs_the_second_round_needs_the_first(word):
    plan = plan_of({"no-entropy": {"refine": {"lambda_ent": 0}}, "plain": {"cam_source": "classifier"}})
    asked = plan.asking(Request((word,)), BASE).asked
    assert "first-round" in asked and ("no-entropy" in asked) == (word == "no-entropy") and "plain" not in asked


@pytest.mark.parametrize("equal", ["plain", BASE])
def test_labels_that_equal_those_of_the_first_round_have_their_corrections(equal):
    """They lie elsewhere, though all before them is shared."""
    if equal == BASE:
        config = config_with({"second": SECOND})
    else:
        config = config_with({"plain": {"cam_source": "classifier"}}, **SECOND)
    found = add_first_round(config, read_experiments(config, SCHEMA))
    plan = Plan(found, dataset(), "results/tiny", 32, corrections={"a": "x.png"})
    assert plan.folders["refined"][equal] == plan.folders["refined"]["first-round"]
    assert plan.folders["pseudo"][equal] == f"{equal}/" and plan.folders["pseudo"]["first-round"] == "first-round/"
    assert equal in [job.experiment for job in plan.correction_jobs()]
    assert not [job for job in plan.correction_jobs() if job.experiment == "first-round"]
    learner = next(job for job in plan.training_jobs("classifier") if job.settings["cam_source"] == "self_training")
    assert "results/tiny/pseudo/first-round/a.png" in training_inputs(learner)["labels"]


def test_what_the_first_round_alone_reads_cannot_be_chosen():
    config, found = settings_of()
    config["choose"] = {"classifier.epochs": [99]}
    found["epochs-99"] = merge(found[BASE], {"classifier": {"epochs": 99}})
    assert idle_choices(config, found) == [
        "config: choose.classifier.epochs: is read by first-round alone, which all experiments share"
    ]


def test_what_the_first_round_alone_reads_is_said_of_an_experiment():
    plan = plan_of({"short": {"classifier": {"epochs": 2}}, "own": {"self_training": {"steps": 9}}})
    assert repeated_experiments(plan) == [
        f"experiment short: its results are those of {BASE}, since first-round alone reads classifier.epochs, and all "
        "experiments share it"
    ]


def test_a_correction_changes_no_label_that_others_learn_from():
    plan = plan_of(corrections=("a",))
    assert [(job.experiment, job.ids) for job in plan.correction_jobs()] == [(BASE, ["a"])]
    assert {job.experiment for job in plan.review_jobs("review_queue")} == {BASE}
    assert relevant_settings(plan.experiments[BASE])["self_training.first"] == "classifier"
    assert plan.labelled_by_batches(BASE, "abd") == ["b", "d"]
    assert plan.labelled_by_batches("first-round", "abd") == ["a", "b", "d"]
    (second,) = (job for job in plan.training_jobs("classifier") if job.experiment == BASE)
    assert "results/tiny/pseudo/first-round/a.png" in training_inputs(second)["labels"]


def test_two_rounds_from_tags_to_labels(tmp_path):
    """A run, a correction, a run: it changes its own label alone."""
    copy_workflow(tmp_path)
    dataset = {"demo_train": 8, "demo_val": 2, "demo_size": 64}
    write_config(tmp_path, {"dataset": dataset, **SECOND, "self_training": {"steps": 5}})
    output = snakemake(tmp_path, "labels")
    assert "training the classifier of locations on the labels of the first round on 8 images" in output
    results = tmp_path / "results/demo"
    labels = {path.name: path.read_bytes() for path in (results / "pseudo/wsgcn-i").glob("*.png")}
    assert len(labels) == 8 == len(list((results / "pseudo/first-round").glob("*.png")))
    image = sorted(labels)[0]
    correction = np.full(read_label(results / f"pseudo/wsgcn-i/{image}").shape, 255, np.uint8)
    correction[:9, :9] = 1
    (results / "corrections").mkdir(parents=True)
    write_label(results / f"corrections/{image}", correction)
    again = snakemake(tmp_path, "labels")
    assert "corrected label of" in again and "training" not in again
    changed = {
        path.name for path in (results / "pseudo/wsgcn-i").glob("*.png") if path.read_bytes() != labels[path.name]
    }
    assert changed == {image}
    snakemake(tmp_path, "first-round")
    metrics = json.loads((results / "evaluation/first-round/refined_crf.json").read_text())
    assert metrics["images"] == 8 and "Nothing to be done" in snakemake(tmp_path, "labels", "--dry-run")
