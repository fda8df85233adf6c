"""Experiments: their names, their settings, and which problems are reported."""

import copy
import json
from datetime import date

import pytest
import yaml
from configs import BASE, CONFIG, KINDS, ROOT, SCHEMA, SETTINGS, complaints, config_with

from wsgcn.text import flatten, shorten
from wsgcn.workflow import experiments as module
from wsgcn.workflow.experiments import changes_by_name, describe, further_pairs, merge, read_experiments
from wsgcn.workflow.sharing import relevant_settings


@pytest.fixture(scope="module")
def experiments() -> dict[str, dict]:
    """Those of config.yaml."""
    return read_experiments(CONFIG, SCHEMA)


# One config over another


def test_merge_goes_key_by_key_through_sections_only():
    base = {"a": {"b": {"c": 1, "d": 2}, "e": [1, 2]}, "f": 3, "g": {"h": 4}, "i": 5}
    changes = {"a": {"b": {"c": 9}, "e": [7]}, "f": {"x": 1}, "g": 8, "new": {"y": 2}}
    before = copy.deepcopy((base, changes))
    merged = {"a": {"b": {"c": 9, "d": 2}, "e": [7]}, "f": {"x": 1}, "g": 8, "i": 5, "new": {"y": 2}}
    assert merge(base, changes) == merged and (base, changes) == before
    assert merge(base, {}) == merge(base, base) == base


# Names


def test_the_base_is_first_then_the_experiments_then_the_sweeps_then_what_is_chosen_from():
    config = {
        "experiment": "base",
        "experiments": {"b": {"x": 1}, "gone": None, "a": {"section": {"y": 2}}, "base": {"x": 5}, "same": {}},
        "sweeps": {"section.deep.lr": [0.5, 1.0, 2], "x": [], "word": ["p", "q"]},
        "choose": {"word": ["r", "p"], "section.deep.lr": [2, 1]},
        "section": {"y": 0, "deep": {"lr": 1}},
        "word": "q",
        "x": 0,
    }
    assert list(changes_by_name(config).items()) == [
        ("base", {}),
        ("b", {"x": 1}),
        ("a", {"section": {"y": 2}}),
        ("same", {}),
        ("lr-0.5", {"section": {"deep": {"lr": 0.5}}}),
        ("lr-2", {"section": {"deep": {"lr": 2}}}),
        ("word-p", {"word": "p"}),
        ("word-r", {"word": "r"}),
    ]


def test_nulls_the_name_of_the_base_and_empty_sweeps_add_no_experiment():
    """An overlay takes experiments away, or makes one the base: its entry is not laid over the settings."""
    config = merge(CONFIG, {"experiments": {"no-entropy": None}, "sweeps": dict.fromkeys(CONFIG["sweeps"], [])})
    assert list(read_experiments(config, SCHEMA)) == [BASE, *(n for n in CONFIG["experiments"] if n != "no-entropy")]
    config = config_with({"seed-7": None, "b": {"seed": 8}, "mine": {"seed": 9}}, {"seed": [7]}, experiment="mine")
    found = read_experiments(config, SCHEMA)
    assert {name: settings["seed"] for name, settings in found.items()} == {"mine": CONFIG["seed"], "b": 8, "seed-7": 7}
    assert complaints({}, {"seed": [7]}, experiment="seed-7") == ["config: two experiments are named seed-7"]


BAD_NAMES = ["my run", "", "../x", "-x", ".x", "a/b", "é", "x\n", "a" * 101]
DAY = date(2021, 1, 1)  # as YAML reads 2021-01-01
NAME = "the name must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"


def test_all_bad_names_are_reported_and_none_becomes_a_folder():
    lines = complaints(dict.fromkeys(BAD_NAMES, {}))
    shown = sorted(json.dumps(name) for name in BAD_NAMES)
    assert [line.split(" must be")[0] for line in lines] == [f"config: experiments: {name}" for name in shown]
    assert len(lines) == len(BAD_NAMES)  # each once
    for name in set(BAD_NAMES) - {"", "-x", ".x"}:  # of sweeps, where the schema sees none, and root--x would do
        assert f"config: experiment root-{shorten(name)}: {NAME}" in complaints({}, {"dataset.root": [name]})
    names = ["a", "2", "A.b_c-1", "0.5", "a" * 100]
    assert list(read_experiments(config_with({name: {} for name in names}), SCHEMA)) == [BASE, *names]


# Settings


def test_settings_are_those_of_the_base_with_the_changes_without_common_ones(experiments):
    base = flatten(SETTINGS)
    expected = {BASE: base} | {name: base | flatten(changes) for name, changes in CONFIG["experiments"].items()}
    for key, values in CONFIG["sweeps"].items():
        expected |= {f"{key.split('.')[-1]}-{value}": base | {key: value} for value in values if value != base[key]}
    assert {name: flatten(settings) for name, settings in experiments.items()} == expected
    assert list(experiments) == list(expected) and experiments[BASE] == SETTINGS


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_experiments_stand_on_each_overlay(overlay):
    config = merge(CONFIG, yaml.safe_load(overlay.read_text()))
    names = [name for name, changes in config["experiments"].items() if changes is not None]
    assert list(read_experiments(config, SCHEMA))[: len(names) + 1] == [BASE, *names]


def test_experiments_cannot_change_common_settings():
    """Not even to what it is; nor may a sweep. It is whatever no stage of any experiment depends on."""
    # Only further methods, other weights or another value than its first default make a setting relevant.
    unnamed = {"segmentation_network", "corrections", "grid_image"}
    relevant = {key.split(".")[0] for kind in KINDS for key in relevant_settings(kind)}
    assert relevant == set(CONFIG) - set(module.COMMON) - unnamed
    changes = {key: CONFIG[key] for key in module.COMMON}
    assert complaints({"mine": changes, "other": {"seed": 1}}, {"report.images": [77]}) == [
        *(f"config: experiment mine: {key} cannot differ between experiments" for key in module.COMMON),
        "config: experiment images-77: report cannot differ between experiments",
    ]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("experiments", {"a": {"refine": {"sigma": 1}}}, "experiment a: unknown key refine.sigma; did you mean ..."),
        ("experiments", {"a": {"refine": {"lr": -1}}}, "experiment a: refine.lr: -1 is not above 0"),
        ("experiments", {"a": {"refine": 3}}, "experiment a: refine: 3 is not a section of keys"),
        ("experiments", {2: {}}, "experiments: 2 is not text"),
        ("experiments", {"a": 3}, "experiments.a: 3 is not ..."),
        ("sweeps", {"refin.lambda_ent": [1]}, "experiment lambda_ent-1: unknown key refin; did you mean refine?"),
        ("sweeps", {"lambda_ent": [1]}, "experiment lambda_ent-1: unknown key lambda_ent; known are ..."),
        ("sweeps", {"refine.lr.x": [1]}, 'experiment x-1: refine.lr: {"x": 1} is not a number'),
        ("sweeps", {"refine": [1]}, "experiment refine-1: refine: 1 is not a section of keys"),
        ("sweeps", {"graph.steps": [2, 0.5]}, "experiment steps-0.5: graph.steps: 0.5 is not an integer"),
        ("sweeps", {"refine.sigma1": [77, 77]}, "two experiments are named sigma1-77"),
        ("sweeps", {"partial.alpha_low": [7], "psa.labels.alpha_low": [7]}, "two experiments are named alpha_low-7"),
        ("sweeps", {"cam.scales": [[7]]}, f"experiment scales-[7]: {NAME}"),
        ("sweeps", {"refine.lr": [DAY]}, 'experiment lr-2021-01-01: refine.lr: "2021-01-01" is not a number'),
        ("sweeps", {"refine.lr": ["2021-02-30"]}, 'experiment lr-2021-02-30: refine.lr: "2021-02-30" is not a number'),
        ("sweeps", {"seed": [2**64]}, f"experiment seed-{2**64}: seed: {2**64} is above the maximum of {2**64 - 1}"),
        ("sweeps", {"seed": 3}, "sweeps.seed: 3 is not a list"),
        ("sweeps", {3: [1]}, "sweeps: 3 is not text"),
        ("sweeps", {DAY: [1]}, 'sweeps: "2021-01-01" is not text'),
        ("sweeps", {"refine.lr": 3}, "sweeps.refine.lr: 3 is not a list"),
        ("experiment", 5, "experiment: 5 is not text"),
        ("segmentation_for", "bse", "segmentation_for: unknown experiment bse; did you mean base?"),
        ("segmentation_for", 3, "segmentation_for: 3 is not ..."),
        ("segmentation_for", [BASE, "xyz"], "segmentation_for: unknown experiment xyz"),
        ("segmentation_for", ["none"], "segmentation_for: none must be given alone, not in a list"),
        ("segmentation_for", [BASE, 3], "segmentation_for[1]: 3 is not text"),
        ("against", {1: "cam-only"}, "against: 1 is not text"),
        ("against", 3, "against: 3 is not a section of keys"),
        ("against", {BASE: "nope"}, "against: unknown experiment nope"),
        ("against", {"nope": BASE}, "against: unknown experiment nope"),
        ("against", {BASE: "nope"}, "against: unknown experiment nope"),
    ],
    ids=str,
)  # fmt: skip
def test_a_problem_is_reported_in_one_line(key, value, sentence):
    (line,) = complaints(**{key: value})
    assert line.startswith(f"config: {sentence.removesuffix('...')}")
    assert sentence.endswith("...") or line == f"config: {sentence}"


@pytest.mark.parametrize("asked", ["base", "all", "none", "sigma1-7", [], [BASE], ["a", "sigma1-7"]], ids=str)
def test_segmentation_for_and_against_may_name_any_experiment(asked):
    others = {"segmentation_for": asked, "against": {"a": "sigma1-7", BASE: "a"}}
    found = read_experiments(config_with({"a": {}}, {"refine.sigma1": [7]}, **others), SCHEMA)
    assert list(found) == [BASE, "a", "sigma1-7"]
    gone = complaints({"a": None}, {"refine.sigma1": [7]}, **others)
    assert gone[:2] == ["config: against: unknown experiment a"] * 2


def test_all_problems_of_all_experiments_are_reported_together():
    bad = {"a": {"device": "cpu", "sead": 1, "refine": {"lr": -1}}, "ok": {"seed": 2}, "b": {"refine": 3}}
    assert complaints(bad, {"refine.lambda_end": [1]}, against={"ok": "x"}, segmentation_for=["z"]) == [
        "config: experiment a: device cannot differ between experiments",
        "config: experiment a: refine.lr: -1 is not above 0",
        "config: experiment a: unknown key sead; did you mean seed?",
        "config: experiment b: refine: 3 is not a section of keys",
        "config: experiment lambda_end-1: unknown key refine.lambda_end; did you mean lambda_ent?",
        "config: against: unknown experiment x",
        "config: segmentation_for: unknown experiment z",
    ]


@pytest.mark.parametrize("section", [3, {}, {"epochs": 0}, CONFIG["refine"] | {"epochs": 0, "lr": "x"}], ids=str)
def test_problems_of_the_base_are_reported_once_and_not_per_experiment(section):
    base = complaints(refine=section)
    assert all(line.startswith("config: refine") for line in base)
    sweeps, added = CONFIG["sweeps"], {"mine": {"refine": {"epoch": 1}}}
    assert complaints(CONFIG["experiments"] | added, sweeps, refine=section) == [
        *base,
        "config: experiment mine: unknown key refine.epoch; did you mean epochs?",
    ]


def test_all_problems_of_an_unusable_config_are_reported_together():
    sweeps = {2: [1], "refine.sigma": [1], "refine.lr": 3, "seed": ["a b", 5, 5]}
    others = {"against": {"a": "x", "b": 4, 5: "a"}, "segmentation_for": ["y", 6]}
    assert complaints({"a": 3, 1: {"zz": 1}, "b": {"seed": "x"}}, sweeps, **others) == [
        "config: against.b: 4 is not text",
        "config: against: 5 is not text",
        "config: experiments.a: 3 is not a section of keys",
        "config: experiments: 1 is not text",
        "config: segmentation_for[1]: 6 is not text",
        "config: sweeps.refine.lr: 3 is not a list",
        "config: sweeps: 2 is not text",
        'config: experiment b: seed: "x" is not an integer',
        "config: experiment sigma-1: unknown key refine.sigma; did you mean sigma2?",
        'config: experiment seed-a b: seed: "a b" is not an integer',
        "config: two experiments are named seed-5",
        f"config: experiment seed-a b: {NAME}",
        "config: against: unknown experiment x",
        "config: segmentation_for: unknown experiment y",
    ]


def test_numbers_written_as_text_are_numbers_in_experiments_and_sweeps_too():
    """As YAML takes 1e-2 for a text: it is the base's 0.01, so no experiment of its own."""
    lr = CONFIG["refine"]["lr"]
    config = config_with({"a": {"refine": {"lr": f"{lr:e}"}}}, {"refine.lr": [f"{lr:e}", "5e-2"], "graph.steps": ["3"]})
    experiments = read_experiments(config, SCHEMA)
    assert list(experiments) == [BASE, "a", "lr-0.05", "steps-3"]
    assert [describe(name, config, experiments) for name in ("a", "lr-0.05", "steps-3")] == [
        "nothing changed",
        f"refine.lr 0.05 instead of {lr}",
        f"graph.steps 3 instead of {CONFIG['graph']['steps']}",
    ]


def test_large_seeds_differ():
    config = config_with({}, {"seed": [2**60, 2**60 + 1]}, seed=2**60)
    assert list(read_experiments(config, SCHEMA)) == [BASE, f"seed-{2**60 + 1}"]


def test_describe_lists_differences_to_the_base():
    beta, scales = CONFIG["graph"]["beta"], CONFIG["cam"]["scales"]
    changes = {"seed": CONFIG["seed"], "graph": {"beta": 66}, "cam": {"scales": [5]}}
    config = config_with({"none": {}, "some": changes}, {"seed": [77]}, experiment="mine")
    experiments = read_experiments(config, SCHEMA)
    assert {name: describe(name, config, experiments) for name in changes_by_name(config)} == {
        "mine": "the base: the config as it stands",
        "none": "nothing changed",
        "some": f"graph.beta 66 instead of {beta}, cam.scales [5] instead of {scales}",
        "seed-77": f"seed 77 instead of {CONFIG['seed']}",
    }


def test_a_comparison_that_is_null_or_with_the_base_is_no_further_one():
    config = config_with() | {"against": {"a": None, "b": BASE, "c": "a"}}
    assert further_pairs(config) == [("c", "a")]
