"""Experiments: their names, their settings, and what a wrong one is told."""

import copy
import json

import pytest
import yaml
from configs import BASE, CONFIG, KINDS, ROOT, SCHEMA, SETTINGS, complaints, config_with

from wsgcn import experiments as module
from wsgcn.experiments import (
    changes_by_name,
    describe,
    merge,
    read_experiments,
    used,
)
from wsgcn.settings import flatten


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


def test_the_base_is_first_then_the_experiments_then_the_sweeps():
    config = {
        "experiment": "base",
        "experiments": {"b": {"x": 1}, "gone": None, "a": {"section": {"y": 2}}, "base": {"x": 5}, "same": {}},
        "sweeps": {"section.deep.lr": [0.5, 1.0, 2], "x": [], "word": ["p", "q"]},
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
    ]


def test_nulls_the_base_s_own_name_and_empty_sweeps_stand_for_nothing():
    """An overlay takes experiments away, or makes one the base: its entry is not laid over the settings."""
    config = merge(CONFIG, {"experiments": {"no-entropy": None}, "sweeps": dict.fromkeys(CONFIG["sweeps"], [])})
    assert list(read_experiments(config, SCHEMA)) == [BASE, *(n for n in CONFIG["experiments"] if n != "no-entropy")]
    config = config_with({"seed-7": None, "b": {"seed": 8}, "mine": {"seed": 9}}, {"seed": [7]}, experiment="mine")
    found = read_experiments(config, SCHEMA)
    assert {name: settings["seed"] for name, settings in found.items()} == {"mine": CONFIG["seed"], "b": 8, "seed-7": 7}
    assert complaints({}, {"seed": [7]}, experiment="seed-7") == ["config: two experiments are called seed-7"]


BAD_NAMES = ["my run", "", "../x", "-x", ".x", "a/b", "é"]


def test_bad_names_are_all_told_and_never_become_a_folder_s():
    lines = complaints(dict.fromkeys(BAD_NAMES, {}))
    shown = sorted(json.dumps(name) for name in BAD_NAMES)
    assert [line.split(" names folders")[0] for line in lines] == [f"config: experiments: {name}" for name in shown]
    for name in [*BAD_NAMES, "x\n"]:  # whatever the schema lets through
        with pytest.raises(ValueError, match="letters, digits, '.', '_' and '-' make a name"):
            changes_by_name(config_with({name: {}}))
    names = ["a", "2", "A.b_c-1", "0.5"]
    assert list(read_experiments(config_with({name: {} for name in names}), SCHEMA)) == [BASE, *names]


# Settings


def test_settings_are_the_base_s_with_the_changes_and_without_what_all_have_in_common(experiments):
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


def test_what_all_have_in_common_no_experiment_may_change():
    """Not even to what it is; nor may a sweep. It is whatever no stage of any experiment depends on."""
    assert {key.split(".")[0] for kind in KINDS for key in used(kind)} == set(CONFIG) - set(module.COMMON)
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
        ("sweeps", {"refine.sigma1": [77, 77]}, "two experiments are called sigma1-77"),
        ("sweeps", {"partial.alpha_low": [7], "psa.labels.alpha_low": [7]}, "two experiments are called alpha_low-7"),
        ("sweeps", {"cam.scales": [[7]]}, "experiment scales-[7]: letters, digits, '.', '_' and '-' make a name"),
        ("sweeps", {"dataset.root": ["a/b"]}, "experiment root-a/b: letters, digits, '.', '_' and '-' make a name"),
        ("sweeps", {"seed": 3}, "sweeps.seed: 3 is not a list"),
        ("sweeps", {3: [1]}, "sweeps..."),
        ("segmentation_for", "bse", "segmentation_for: no experiment is called bse; did you mean base?"),
        ("segmentation_for", 3, "segmentation_for: 3 is not ..."),
        ("segmentation_for", [BASE, "xyz"], "segmentation_for: no experiment is called xyz"),
        ("against", {BASE: "nope"}, "against: no experiment is called nope"),
        ("against", {"nope": BASE}, "against: no experiment is called nope"),
        ("against", {BASE: "nope"}, "against: no experiment is called nope"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_line(key, value, sentence):
    (line,) = complaints(**{key: value})
    assert line.startswith(f"config: {sentence.removesuffix('...')}")
    assert sentence.endswith("...") or line == f"config: {sentence}"


@pytest.mark.parametrize("asked", ["base", "all", "none", "sigma1-7", [], [BASE], ["a", "sigma1-7"]], ids=str)
def test_segmentation_for_and_against_may_name_any_experiment(asked):
    others = {"segmentation_for": asked, "against": {"a": "sigma1-7", BASE: "a"}}
    found = read_experiments(config_with({"a": {}}, {"refine.sigma1": [7]}, **others), SCHEMA)
    assert list(found) == [BASE, "a", "sigma1-7"]
    gone = complaints({"a": None}, {"refine.sigma1": [7]}, **others)
    assert gone[:2] == ["config: against: no experiment is called a"] * 2


def test_all_problems_of_all_experiments_are_told_at_once():
    bad = {"a": {"device": "cpu", "sead": 1, "refine": {"lr": -1}}, "ok": {"seed": 2}, "b": {"refine": 3}}
    assert complaints(bad, {"refine.lambda_end": [1]}, against={"ok": "x"}, segmentation_for=["z"]) == [
        "config: experiment a: device cannot differ between experiments",
        "config: experiment a: refine.lr: -1 is not above 0",
        "config: experiment a: unknown key sead; did you mean seed?",
        "config: experiment b: refine: 3 is not a section of keys",
        "config: experiment lambda_end-1: unknown key refine.lambda_end; did you mean lambda_ent?",
        "config: against: no experiment is called x",
        "config: segmentation_for: no experiment is called z",
    ]
    # A wrong base is told once and not with every experiment.
    assert complaints(CONFIG["experiments"], seed=-1) == ["config: seed: -1 is below the minimum of 0"]


def test_describe_tells_what_differs_from_the_base():
    beta, scales = CONFIG["graph"]["beta"], CONFIG["cam"]["scales"]
    changes = {"seed": CONFIG["seed"], "graph": {"beta": 66}, "cam": {"scales": [5]}}
    config = config_with({"none": {}, "some": changes}, {"seed": [77]}, experiment="mine")
    assert {name: describe(name, config) for name in changes_by_name(config)} == {
        "mine": "the base: the config as it stands",
        "none": "nothing changed",
        "some": f"graph.beta 66 instead of {beta}, cam.scales [5] instead of {scales}",
        "seed-77": f"seed 77 instead of {CONFIG['seed']}",
    }
