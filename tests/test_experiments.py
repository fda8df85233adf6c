"""Experiments: their names, what a wrong one is told, and which of them share a stage's files."""

import ast
import copy
import functools
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import yaml

from wsgcn import experiments as module
from wsgcn.experiments import (
    changes_by_name,
    dependencies,
    describe,
    folders,
    further_pairs,
    merge,
    part_of,
    read_experiments,
    used,
)
from wsgcn.settings import flatten

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "rules/schemas/config.yaml"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
BASE = CONFIG["experiment"]
SETTINGS = {key: value for key, value in CONFIG.items() if key not in module.COMMON}  # the base's


def config_with(experiments: Mapping | None = None, sweeps: Mapping | None = None, **others: object) -> dict:
    """config.yaml with these experiments and sweeps alone, and no further comparisons."""
    return copy.deepcopy(CONFIG) | {"experiments": experiments or {}, "sweeps": sweeps or {}, "against": {}} | others


def complaints(*arguments: object, **others: object) -> list[str]:
    with pytest.raises(ValueError) as caught:
        read_experiments(config_with(*arguments, **others), SCHEMA)
    return str(caught.value).splitlines()


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
        ("experiments", {"a": {"affinity": "psa", "graph": {"features": "weighted"}}},
            "experiment a: graph.features: AffinityNet has no boundary layer to weight its features; take plain"),
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
        ("segmentation_for", "some", "segmentation_for: ..."),
        ("segmentation_for", [BASE, "nope"], "segmentation_for: no experiment is called nope"),
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


def test_only_a_gcn_minds_features_that_affinitynet_cannot_weight():
    change = {"affinity": "psa", "graph": {"features": "weighted"}}
    walks = {name: change | {"refinement": name} for name in ("random_walk", "none")}
    assert list(read_experiments(config_with(walks), SCHEMA)) == [BASE, *walks]


@pytest.mark.parametrize("asked", ["base", "all", "none", [], [BASE], ["a", "sigma1-7"]], ids=str)
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


# What each stage depends on: the text of the rules says it

KINDS = [
    merge(SETTINGS, {"affinity": affinity, "refinement": refinement, "cam": {"folder": folder}})
    for affinity in ("irnet", "psa")
    for refinement in ("gcn", "random_walk", "none")
    for folder in ("", "elsewhere")
]
by_kind = pytest.mark.parametrize(
    "settings", KINDS, ids=lambda kind: "-".join([kind["affinity"], kind["refinement"], kind["cam"]["folder"]])
)
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
LOOPS = re.findall(r'(?m)^for folder, experiment in OWNERS\["(\w+)"\]\.items\(\):\n((?:    .*\n|\n)+)', RULES)


def under(prefixes: Iterable[str]) -> set[str]:
    """The dotted keys of the settings that some sections' or settings' keys name."""
    return {key for key in flatten(SETTINGS) for prefix in prefixes if f"{key}.".startswith(f"{prefix}.")}


def read_by(body: str) -> set[str]:
    """The settings that the rules of a loop read, the choice of the rules included."""
    reads = re.findall(r"""settings((?:\[["']\w+["']\])+)""", body)
    found = [under([".".join(re.findall(r"\w+", keys))]) for keys in reads]
    assert all(found), reads
    return set().union(*found)


def made_before(body: str, settings: Mapping) -> set[str]:
    """The stages whose files the rules of a loop read."""
    names = re.findall(r'[^_]of\(experiment, (f?"[^"]+"),', body) + re.findall(r'FOLDERS\[("\w+")\]\[experim', body)
    return {eval(name, {"settings": settings}) for name in names}


@by_kind
def test_a_stage_depends_on_just_what_its_rules_and_those_before_it_read(settings):
    bodies = {}
    for stage, body in LOOPS:
        skipped = [eval(guard, {"settings": settings}) for guard in re.findall(r"    if (.*):\n +continue\n", body)]
        if stage in dependencies(settings) and not any(skipped):
            assert stage not in bodies, "two rules make one file"
            bodies[stage] = body
    needed = {stage: under(keys) for stage, keys in dependencies(settings).items()}
    assert set(bodies) == set(needed) - {"cam_label"}  # the CAMs as labels, which only an evaluation reads
    unread = under(["cam"]) - {"cam.folder"} if settings["cam"]["folder"] else set()  # CAMs from there have them
    found = {}
    for stage in sorted(bodies, key=list(needed).index):
        before = made_before(bodies[stage], settings)
        assert before <= set(found) and (before or stage in ("classifier", "cam")), (stage, before)
        found[stage] = read_by(bodies[stage]).union(*(found[other] for other in before))
        assert found[stage] | unread == needed[stage] | unread, stage
    assert needed["cam_label"] == needed["cam"] | {"background_score"}


@by_kind
def test_what_is_logged_of_a_stage_is_the_same_for_all_that_share_it(settings):
    tables = (re.search(rf"(?ms)^{name} = (\{{.*?^\}})", RULES)[1] for name in ("TRACKED", "REFINED_BY"))
    tracked, refined_by = map(ast.literal_eval, tables)
    for stage, keys, _ in tracked.values():
        if stage in dependencies(settings):
            assert under(keys or refined_by[settings["refinement"]]) <= under(dependencies(settings)[stage]), stage


# Who shares what

LATE = ["refined", "pseudo", "segmentation", "predict"]  # which always have a name
PSA, WALK, NONE = {"affinity": "psa"}, {"refinement": "random_walk"}, {"refinement": "none"}
FOREIGN = {"cam": {"folder": "elsewhere"}}


def beside_the_base(change: Mapping) -> dict[str, str]:
    """The folders of an experiment `other` beside config.yaml's base."""
    found = folders({BASE: SETTINGS, "other": merge(SETTINGS, change)})
    return {stage: by["other"] for stage, by in found.items() if "other" in by}


def parted(settings: Mapping, change: Mapping) -> list[str]:
    """The stages that an experiment of this change does not share with an experiment of the settings."""
    found = folders({"first": settings, "second": merge(settings, change)})
    assert all(set(by) == {"first", "second"} for by in found.values())
    return [stage for stage, by in found.items() if by["first"] != by["second"]]


def one_changed(key: str) -> dict:
    """One value, by its dotted key, that it has never had."""
    return functools.reduce(lambda change, part: {part: change}, reversed(key.split(".")), "something else")


@pytest.mark.parametrize(
    ("change", "without", "unnamed"),
    [
        ({}, [], []),
        (PSA, ["irnet_label", "boundary", "irnet_affinity"], ["psa_label", "affinitynet", "psa_affinity"]),
        (WALK, ["partial"], []),
        (NONE, ["irnet_label", "boundary", "irnet_affinity", "partial"], []),
        (PSA | NONE, ["irnet_label", "boundary", "irnet_affinity", "partial"], []),
    ],
    ids=str,
)
def test_each_kind_of_experiment_has_its_stages_and_shares_what_it_can(change, without, unnamed):
    """A stage that the base has not goes without a name too."""
    base = folders({BASE: SETTINGS})
    stages = [stage for stage in base if stage not in without] + unnamed
    own = "other/" if change else f"{BASE}/"
    assert beside_the_base(change) == {stage: own if stage in LATE else "" for stage in stages}


def test_cams_from_elsewhere_part_there_and_need_no_classifier():
    base = folders({BASE: SETTINGS})
    assert beside_the_base(FOREIGN) == {stage: "other/" for stage in base if stage != "classifier"}
    found = folders({"base": merge(SETTINGS, FOREIGN), "own": SETTINGS, "twin": SETTINGS})
    assert found["classifier"] == {"own": "", "twin": ""}
    assert found["cam"] == {"base": "", "own": "own/", "twin": "own/"}


def test_equal_settings_part_nothing_however_they_are_written():
    turned = {key: SETTINGS[key] for key in reversed(SETTINGS)}
    turned["refine"] = {key: turned["refine"][key] for key in reversed(turned["refine"])}
    assert all(by["first"] == by["second"] for by in folders({"first": SETTINGS, "second": turned}).values())
    ten, point = ({"graph": {"beta": value}} for value in (10, 10.0))  # 1 is 1.0, but not true
    assert parted(merge(SETTINGS, ten), point) == []
    assert parted(merge(SETTINGS, {"cam": {"flip": True}}), {"cam": {"flip": 1}})


def test_part_of_has_settings_and_sections_by_their_dotted_keys():
    settings = {"a": {"b": {"c": 1}, "d": 2}, "e": [3]}
    found = part_of(settings, ("e", "a.b.c", "a.b"))
    assert list(found.items()) == [("e", [3]), ("a.b.c", 1), ("a.b", {"c": 1})]


@by_kind
def test_what_is_used_is_what_parts_some_stage(settings):
    found = used(settings)
    assert found == part_of(settings, found)
    assert under(found) == {
        key
        for key in flatten(settings)
        if key in ("refinement", "cam.folder")  # another kind, of other stages
        or (key == "affinity" and settings["refinement"] != "none")
        or (key not in ("refinement", "cam.folder", "affinity") and parted(settings, one_changed(key)))
    }
    assert list(found) == sorted(found, key=lambda key: (list(SETTINGS).index(key.split(".")[0]), key))


@pytest.fixture(scope="module")
def many(experiments) -> dict[str, dict]:
    """config.yaml's experiments, and more that part elsewhere."""
    smooth, labels = {"pseudo": {"crf": {"iterations": 77}}}, {"psa": {"labels": {"alpha_low": 77}}}
    long = {"segmentation": {"training": {"iterations": 77}}}
    others = {
        "foreign": FOREIGN, "foreign-walk": FOREIGN | WALK, "foreign-again": FOREIGN | {"classifier": {"epochs": 77}},
        "twin": CONFIG["experiments"]["no-entropy"], "same": {}, "psa-labels": labels, "wsgcn-p-labels": PSA | labels,
        "wsgcn-p-training": PSA | {"psa": {"training": {"epochs": 77}}}, "smooth": smooth, "smooth-long": smooth | long,
        "long": long, "seed-77": {"seed": 77}, "more-background": {"background_score": 0.77},
        "cam-psa": NONE | PSA, "cam-more": NONE | {"background_score": 0.77},
    }  # fmt: skip
    return experiments | {name: merge(SETTINGS, change) for name, change in others.items()}


def test_experiments_share_a_stage_s_folder_just_when_they_agree_on_all_that_it_depends_on(many):
    found, values = folders(many), {}
    for name, settings in many.items():
        flat = flatten(settings)
        for stage, needed in dependencies(settings).items():
            values[name, stage] = {key: flat[key] for key in under(needed)}
    assert {(name, stage) for stage, by in found.items() for name in by} == set(values)
    shared, not_shared = 0, 0
    for stage, by in found.items():
        for a, b in itertools.combinations(by, 2):
            agree = values[a, stage] == values[b, stage]
            assert (by[a] == by[b]) == agree, (a, b, stage)
            shared, not_shared = shared + agree, not_shared + (not agree)
    assert shared > 100 and not_shared > 100


def test_a_folder_is_called_after_the_first_experiment_in_it(many):
    for stage, by in folders(many).items():
        for folder in set(by.values()):
            first = next(name for name in by if by[name] == folder)
            unnamed = stage in module.UNNAMED and first == next(iter(by))
            assert folder == ("" if unnamed else f"{first}/")


def test_an_experiment_that_goes_moves_no_files_but_those_it_shares_under_its_name(many):
    whole, names = folders(many), list(many)
    for gone in names[1:]:
        left = folders({name: many[name] for name in names if name != gone})
        for stage, by in whole.items():
            others = [name for name in by if name != gone]
            if gone in by and next(name for name in by if by[name] == by[gone]) == gone:
                others = [name for name in others if by[name] != by[gone]]
            assert [left[stage][name] for name in others] == [by[name] for name in others], (gone, stage)


def test_a_comparison_that_is_null_or_with_the_base_is_no_further_one():
    config = config_with() | {"against": {"a": None, "b": BASE, "c": "a"}}
    assert further_pairs(config) == [("c", "a")]
