"""Settings to choose: their values, what is refused, their jobs, the overlay of what was chosen.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_choice_plan.py`.
"""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from configs import BASE, CONFIG, SCHEMA, SETTINGS, complaints, config_with
from plans import dataset, images, plan

from wsgcn.evaluation.choice import AUTO, Candidate, Decision, summarise
from wsgcn.workflow.choice import overlay_text, reasons
from wsgcn.workflow.directives import judged_inputs, judged_params
from wsgcn.workflow.experiments import candidates, describe, idle_choices, merge, read_experiments
from wsgcn.workflow.inputs import _choice_problems
from wsgcn.workflow.settings import problems_of
from wsgcn.workflow.sharing import told_settings

RATIO = CONFIG["partial"]["confident_ratio"]
VALUES = {"partial.confident_ratio": [RATIO, 0.6], "refinement": ["none"]}


def test_the_base_s_value_is_always_among_those_to_choose_from():
    config = config_with(choose=VALUES)
    found = read_experiments(config, SCHEMA)
    assert list(found) == [BASE, "confident_ratio-0.6", "refinement-none"]
    assert found["confident_ratio-0.6"]["partial"]["confident_ratio"] == 0.6
    assert candidates(config) == {
        "partial.confident_ratio": {BASE: RATIO, "confident_ratio-0.6": 0.6},
        "refinement": {BASE: "gcn", "refinement-none": "none"},
    }
    assert describe("refinement-none", config, found) == "refinement none instead of gcn"
    assert candidates(config_with()) == {}


def test_a_value_that_is_swept_too_is_one_experiment():
    config = config_with(None, {"refine.lambda_ent": [2]}, choose={"refine.lambda_ent": ["2", 7]})
    assert list(read_experiments(config, SCHEMA)) == [BASE, "lambda_ent-2", "lambda_ent-7"]
    assert candidates(config)["refine.lambda_ent"] == {BASE: 1, "lambda_ent-2": 2, "lambda_ent-7": 7}


@pytest.mark.parametrize(
    ("choose", "line"),
    [
        ({"refine.sigma": [3]}, "experiment sigma-3: unknown key refine.sigma; did you mean sigma2?"),
        ({"refine.lr": [-1]}, "experiment lr--1: refine.lr: -1 is not above 0"),
        ({"batch_size": [1]}, "experiment batch_size-1: batch_size cannot differ between experiments"),
        ({"refine.lr": 3}, "choose.refine.lr: 3 is not a list"),
        ({"refine.lr": [7, 7]}, "two experiments are named lr-7"),
    ],
)
def test_what_cannot_be_chosen_is_refused(choose, line):
    assert complaints(choose=choose) == [f"config: {line}"]


@pytest.mark.parametrize(
    ("choose", "idle"),
    [
        ({"background_score": [0.2]}, True),
        ({"psa.labels.alpha_low": [7, 8]}, True),
        ({"refine.lr": [7, 8]}, False),
        ({"mil.l2": [0.1]}, True),
    ],
)
def test_a_setting_on_which_no_label_depends_is_refused(choose, idle):
    config = config_with(choose=choose)
    [key] = choose
    line = f"config: choose.{key}: no label of {BASE} depends on it, so there is nothing to choose"
    assert idle_choices(config, read_experiments(config, SCHEMA)) == [line] * idle


def test_an_unknown_rule_is_refused():
    [line] = complaints(choose_by="thruth")
    assert line.startswith("config: choose_by: thruth must be one of auto, truth") and "did you mean truth?" in line


# Rules that cannot judge


def choice_problems(rule, data, choose=VALUES, **settings):
    config = config_with(choose=choose, choose_by=rule, **settings)
    return _choice_problems(config, read_experiments(config, SCHEMA), data)


def test_a_rule_that_cannot_judge_is_refused_before_anything_is_computed():
    masked, bare = (dataset(label=[]), dataset(label=[]))
    masked = replace(masked, label=images(*"abcde"))
    bare = replace(bare, label=images(*"abcde", masked=False))
    assert choice_problems("truth", masked) == []
    assert choice_problems("truth", bare) == [
        "choose_by: truth needs masks of 5 images of dataset.label or more, which has 0"
    ]
    assert choice_problems("consistency", masked) == [
        "choose_by: consistency needs images of dataset.label that lack a class, which all of them show"
    ]
    some = replace(masked, label=masked.label | {"f": replace(masked.label["a"], id="f", classes=(2,))})
    assert choice_problems("consistency", some) == []
    assert choice_problems("walk_agreement", masked) == [
        "choose_by: walk_agreement needs a GCN's affinities, which refinement-none does not read"
    ]
    for rule in (AUTO, "crf_agreement", "mean_rank"):
        assert choice_problems(rule, bare) == []
    last_crf = {"pseudo.crf_input": ["double_softmax"]}
    assert choice_problems("crf_agreement", some, last_crf) == [
        "choose_by: crf_agreement cannot judge pseudo.crf_input: it favours the least CRF"
    ]
    for rule in (AUTO, "mean_rank"):
        assert choice_problems(rule, bare, last_crf) == [
            "choose: pseudo.crf_input needs choose_by: truth with 5 masks, or images of dataset.label that lack a class"
        ]
        assert choice_problems(rule, some, last_crf) == []
    assert choice_problems(AUTO, masked, last_crf) == choice_problems("walk_agreement", masked, last_crf) == []
    assert choice_problems("crf_agreement", replace(bare, label={})) == [], "other problems say that nothing is there"
    config = config_with(choose_by="truth")
    assert _choice_problems(config, read_experiments(config, SCHEMA), bare) == [], "nothing is to be chosen"


# Jobs


def test_candidates_are_judged_by_their_own_walk_and_the_base_s_backbone():
    found = plan(
        {"walk": {"refinement": "random_walk"}, "cams": {"refinement": "none"}, "near": {"graph": {"radius": 3}}}
    )
    jobs = {job.experiment: job for job in found.experiment_jobs("judge", ["walk", "cams", "near"])}
    assert [job.name for job in jobs.values()] == ["judge_walk", "judge_cams", "judge_near"]
    for name in ("walk", "cams"):
        assert not judged_inputs(jobs[name]).keys() & {"cams", "affinities"}
        assert judged_params(jobs[name], CONFIG)["walk"] == {}
    inputs, params = judged_inputs(jobs["near"]), judged_params(jobs["near"], CONFIG)
    assert inputs["affinities"] == found.files("near", "irnet_affinity", "abd")
    assert inputs["labels"] == [f"results/tiny/pseudo/near/{name}.png" for name in "abd"]
    assert inputs["refined"] == [f"results/tiny/refined/near/{name}.npz" for name in "abd"]
    walk = told_settings(CONFIG, "random_walk")
    assert params["walk"] == {"radius": 3, "beta": CONFIG["graph"]["beta"], "settings": walk}
    assert params["backbone"] == told_settings(CONFIG, "backbone") and params["labels"] == [[1]] * 3


# The overlay


def decided(setting, value, other):
    scores = {"crf_agreement": {"a": 0.1}}, {"crf_agreement": {"a": 0.3}}
    values = [Candidate(v, f"x-{v}", own, np.zeros((0, 3, 4))) for v, own in zip((other, value), scores, strict=True)]
    return summarise(Decision(setting, values, AUTO, 1))


def test_the_overlay_sets_what_was_chosen_and_says_why(monkeypatch):
    summaries = [
        decided("partial.alpha_high", 8, 2),
        decided("partial.alpha_low", 2, 8),
        decided("refinement", "none", "gcn"),
    ]
    text = overlay_text(summaries, "photos")
    overlay = yaml.safe_load(text)
    assert text.startswith("# Chosen by `snakemake choose` for photos.")
    assert overlay["partial"] == {"alpha_high": 8, "alpha_low": 2} and overlay["refinement"] == "none"
    assert overlay["chosen"]["refinement"] == {"value": "none", "why": summaries[2]["why"]}
    config = merge(CONFIG, overlay)
    assert problems_of(config, SCHEMA) == []
    assert reasons(config, merge(SETTINGS, overlay))["chosen"] == {
        "partial.alpha_high": f"8, {summaries[0]['why']}",
        "partial.alpha_low": f"2, {summaries[1]['why']}",
        "refinement": f"none, {summaries[2]['why']}",
    }


def test_no_reason_is_given_for_a_setting_that_has_another_value():
    config = merge(
        CONFIG, {"chosen": {"refine.lambda_ent": {"value": 7.0, "why": "w"}, "gone": {"value": 1, "why": "w"}}}
    )
    assert reasons(config, SETTINGS) == {} and reasons(CONFIG, SETTINGS) == {}
    assert reasons(config, merge(SETTINGS, {"refine": {"lambda_ent": 7}})) == {
        "chosen": {"refine.lambda_ent": "7.0, w"}
    }
