"""Experiments: their names, what a wrong one is told, and which of them share a stage's files."""

import copy
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from wsgcn.experiments import COMMON, UNNAMED, changes_by_name, dependencies, describe, folders, merge, read_experiments
from wsgcn.settings import flatten

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "rules/schemas/config.yaml"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
BASE = CONFIG["experiment"]


def config_with(experiments: Mapping | None = None, sweeps: Mapping | None = None, **others: object) -> dict:
    """config.yaml with these experiments and sweeps alone."""
    return copy.deepcopy(CONFIG) | {"experiments": experiments or {}, "sweeps": sweeps or {}} | others


def complaints(*arguments: object, **others: object) -> list[str]:
    with pytest.raises(ValueError) as caught:
        read_experiments(config_with(*arguments, **others), SCHEMA)
    return str(caught.value).splitlines()


@pytest.fixture(scope="module")
def experiments() -> dict[str, dict]:
    """Those of config.yaml."""
    return read_experiments(CONFIG, SCHEMA)


def part_of(settings: Mapping) -> dict:
    """The settings as `read_experiments` gives them."""
    return {key: value for key, value in settings.items() if key not in COMMON}


# One config over another


def test_merge_goes_key_by_key_through_sections_only():
    base = {"a": {"b": {"c": 1, "d": 2}, "e": [1, 2]}, "f": 3, "g": {"h": 4}, "i": 5}
    changes = {"a": {"b": {"c": 9}, "e": [7]}, "f": {"x": 1}, "g": 8, "new": {"y": 2}}
    before = copy.deepcopy((base, changes))
    assert merge(base, changes) == {
        "a": {"b": {"c": 9, "d": 2}, "e": [7]},
        "f": {"x": 1},
        "g": 8,
        "i": 5,
        "new": {"y": 2},
    }
    assert (base, changes) == before


def test_merging_nothing_changes_nothing():
    assert merge(CONFIG, {}) == CONFIG
    assert merge(CONFIG, CONFIG) == CONFIG


# Names


def test_the_base_is_first_then_the_experiments_then_the_sweeps():
    config = {
        "experiment": "base",
        "experiments": {"b": {"x": 1}, "a": {"section": {"y": 2}}},
        "sweeps": {"section.deep.lr": [0.5, 1, 2], "word": ["p", "q"]},
        "section": {"y": 0, "deep": {"lr": 1}},
        "word": "q",
        "x": 0,
    }
    assert list(changes_by_name(config).items()) == [
        ("base", {}),
        ("b", {"x": 1}),
        ("a", {"section": {"y": 2}}),
        ("lr-0.5", {"section": {"deep": {"lr": 0.5}}}),
        ("lr-2", {"section": {"deep": {"lr": 2}}}),
        ("word-p", {"word": "p"}),
    ]


def test_the_sweeps_of_the_config_have_a_name_a_value_but_not_the_base_s(experiments):
    expected = [BASE, *CONFIG["experiments"]]
    for key, values in CONFIG["sweeps"].items():
        section, name = key.split(".")
        expected += [f"{name}-{value}" for value in values if value != CONFIG[section][name]]
    assert list(experiments) == expected


@pytest.mark.parametrize("value", [0.5, 1, 1.0])
def test_the_base_s_own_value_is_left_out_wherever_an_overlay_moves_it(value):
    config = config_with(sweeps={"refine.lambda_ent": [0.5, 1, 2]}, refine=CONFIG["refine"] | {"lambda_ent": value})
    assert list(changes_by_name(config)) == [BASE] + [f"lambda_ent-{v}" for v in (0.5, 1, 2) if v != value]


@pytest.mark.parametrize(
    ("experiments", "sweeps", "name"),
    [
        ({BASE: {}}, {}, BASE),
        ({"sigma1-77": {"seed": 77}}, {"refine.sigma1": [77]}, "sigma1-77"),
        ({}, {"refine.sigma1": [77, 77]}, "sigma1-77"),
        ({}, {"partial.alpha_low": [77], "psa.labels.alpha_low": [77]}, "alpha_low-77"),
        ({}, {"irnet.training.epochs": [76, 77], "refine.epochs": [77]}, "epochs-77"),
    ],
    ids=str,
)
def test_two_experiments_of_one_name_are_an_error(experiments, sweeps, name):
    assert complaints(experiments, sweeps) == [f"config: two experiments are called {name}"]


@pytest.mark.parametrize(
    ("sweeps", "name"),
    [
        ({"cam.scales": [[77]]}, "scales-[77]"),
        ({"dataset.root": ["a/b"]}, "root-a/b"),
        ({"backbone.weights": ["my net.pt"]}, "weights-my net.pt"),
        ({"refine.": [1]}, "-1"),
    ],
    ids=str,
)
def test_a_swept_value_that_makes_no_name_is_an_error(sweeps, name):
    assert complaints({}, sweeps) == [f"config: experiment {name}: letters, digits, '.', '_' and '-' make a name"]


BAD_NAMES = ["my run", "", "../x", "-x", ".x", "a/b", "é"]


def test_bad_names_of_experiments_are_all_told():
    lines = complaints(dict.fromkeys(BAD_NAMES, {}))
    shown = sorted(json.dumps(name) for name in BAD_NAMES)
    assert [line.split(" names folders")[0] for line in lines] == [f"config: experiments: {name}" for name in shown]


@pytest.mark.parametrize("name", [*BAD_NAMES, "x\n"])
def test_a_bad_name_never_becomes_a_folder_s(name):
    with pytest.raises(ValueError, match="letters, digits, '.', '_' and '-' make a name"):
        changes_by_name(config_with({name: {}}))


def test_good_names_are_taken():
    names = ["a", "2", "A.b_c-1", "0.5"]
    assert list(read_experiments(config_with({name: {} for name in names}), SCHEMA)) == [BASE, *names]


def test_a_number_is_no_name():
    assert complaints({2: {}}) == ["config: experiments: 2 is not text"]


# Settings


def test_settings_are_the_base_s_with_the_changes_and_without_what_all_have_in_common(experiments):
    base = flatten(part_of(CONFIG))
    expected = {BASE: base} | {name: base | flatten(changes) for name, changes in CONFIG["experiments"].items()}
    for key, values in CONFIG["sweeps"].items():
        expected |= {f"{key.split('.')[-1]}-{value}": base | {key: value} for value in values if value != base[key]}
    assert {name: flatten(settings) for name, settings in experiments.items()} == expected
    assert experiments[BASE] == part_of(CONFIG)


def test_what_is_common_and_what_is_not_are_the_whole_config(experiments):
    assert set(COMMON) | set(experiments[BASE]) == set(CONFIG)
    assert set(COMMON) & set(experiments[BASE]) == set()


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_experiments_stand_on_each_overlay(overlay):
    config = merge(CONFIG, yaml.safe_load(overlay.read_text()))
    names = [BASE, "wsgcn-p", "psa-random-walk", "released-code"]
    config |= {
        "experiments": {name: CONFIG["experiments"][name] for name in names[1:]},
        "sweeps": {},
        "segmentation_for": "none",
    }
    assert list(read_experiments(config, SCHEMA)) == names


def test_what_all_have_in_common_no_experiment_may_change():
    """Not even to what it is."""
    assert complaints({"mine": {key: CONFIG[key] for key in COMMON}, "other": {"seed": 1}}) == [
        f"config: experiment mine: {key} cannot differ between experiments" for key in COMMON
    ]


def test_nor_may_a_sweep():
    assert complaints({}, {"batch_size": [77], "report.images": [77]}) == [
        "config: experiment batch_size-77: batch_size cannot differ between experiments",
        "config: experiment images-77: report cannot differ between experiments",
    ]


@pytest.mark.parametrize(
    ("experiments", "sweeps", "sentence"),
    [
        ({"my-run": {"refine": {"sigma": 1}}}, {}, "my-run: unknown key refine.sigma; did you mean sigma2?"),
        ({"a": {"sead": 1}}, {}, "a: unknown key sead; did you mean seed?"),
        ({"a": {"backbone": {"zz": 1}}}, {}, "a: unknown key backbone.zz; known are name, weights"),
        ({"a": {"psa": {"labels": {"crf": {"iteration": 1}}}}}, {},
            "a: unknown key psa.labels.crf.iteration; did you mean iterations?"),
        ({"a": {"refine": {"lr": -1}}}, {}, "a: refine.lr: -1 is not above 0"),
        ({"a": {"refine": {"lr": "1e-3"}}}, {}, 'a: refine.lr: "1e-3" is not a number'),
        ({"a": {"refine": 3}}, {}, "a: refine: 3 is not a section of keys"),
        ({"a": {"seed": {"x": 3}}}, {}, 'a: seed: {"x": 3} is not an integer'),
        ({"a": {"affinity": "irn"}}, {}, "a: affinity: irn is none of irnet, psa; did you mean irnet?"),
        ({}, {"refine.lambda_end": [1]}, "lambda_end-1: unknown key refine.lambda_end; did you mean lambda_ent?"),
        ({}, {"refin.lambda_ent": [1]}, "lambda_ent-1: unknown key refin; did you mean refine?"),
        ({}, {"lambda_ent": [1]}, "lambda_ent-1: unknown key lambda_ent; known are "),
        ({}, {"refine.lr.x": [1]}, 'x-1: refine.lr: {"x": 1} is not a number'),
        ({}, {"refine": [1]}, "refine-1: refine: 1 is not a section of keys"),
        ({}, {"graph.steps": [2, 0.5]}, "steps-0.5: graph.steps: 0.5 is not an integer"),
        ({}, {"refine.laplacian": ["papers"]},
            "laplacian-papers: refine.laplacian: papers is none of paper, code; did you mean paper?"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_setting_is_told_with_its_experiment(experiments, sweeps, sentence):
    (line,) = complaints(experiments, sweeps)
    expected = f"config: experiment {sentence}"
    assert line.startswith(expected) and (line == expected or expected[-1] == " ")


@pytest.mark.parametrize(
    ("experiments", "sweeps", "sentence"),
    [
        ({"a": 3}, {}, "experiments.a: 3 is not a section of keys"),
        ({"a": None}, {}, "experiments.a: null is not a section of keys"),
        ({}, {"seed": 3}, "sweeps.seed: 3 is not a list"),
        ({}, {"seed": []}, "sweeps.seed: [] should be non-empty"),
    ],
    ids=str,
)
def test_what_is_no_change_is_told(experiments, sweeps, sentence):
    assert complaints(experiments, sweeps) == [f"config: {sentence}"]


def test_all_problems_of_all_experiments_are_told_at_once():
    bad = {
        "a": {"device": "cpu", "sead": 1, "refine": {"lambda_end": 1, "lr": -1}},
        "ok": {"seed": 2},
        "b": {"refine": 3},
    }
    assert complaints(bad, {"refine.lambda_end": [1]}) == [
        "config: experiment a: device cannot differ between experiments",
        "config: experiment a: refine.lr: -1 is not above 0",
        "config: experiment a: unknown key refine.lambda_end; did you mean lambda_ent?",
        "config: experiment a: unknown key sead; did you mean seed?",
        "config: experiment b: refine: 3 is not a section of keys",
        "config: experiment lambda_end-1: unknown key refine.lambda_end; did you mean lambda_ent?",
    ]


def test_a_wrong_base_is_told_once_and_not_with_every_experiment():
    lines = complaints(CONFIG["experiments"], seed=-1)
    assert lines == ["config: seed: -1 is below the minimum of 0"]


# In words


def test_describe_tells_what_differs_from_the_base():
    graph = CONFIG["graph"]
    experiments = {
        "none": {},
        "same": {"seed": CONFIG["seed"], "graph": {"steps": graph["steps"]}},
        "some": {"seed": 77, "graph": {"steps": graph["steps"], "beta": 66}, "cam": {"scales": [5, 4]}},
    }
    config = config_with(experiments, {"refine.sigma1": [77]}, experiment="mine")
    assert {name: describe(name, config) for name in changes_by_name(config)} == {
        "mine": "the base: the settings of the config as they stand",
        "none": "nothing changed",
        "same": "nothing changed",
        "some": f"seed 77 instead of {CONFIG['seed']}, graph.beta 66 instead of {graph['beta']}, "
        f"cam.scales [5, 4] instead of {CONFIG['cam']['scales']}",
        "sigma1-77": f"refine.sigma1 77 instead of {CONFIG['refine']['sigma1']}",
    }


# Which stages there are, and what each depends on

READS = {  # whose files a stage reads, by rules/
    "classifier": [],
    "cam": ["classifier"],
    "cam_label": ["cam"],
    "irnet_label": ["cam"],
    "boundary": ["irnet_label"],
    "irnet_affinity": ["boundary"],
    "psa_label": ["cam"],
    "affinitynet": ["psa_label"],
    "psa_affinity": ["affinitynet"],
    "partial": ["cam"],
    "refined": ["partial", "irnet_affinity", "psa_affinity", "cam"],
    "pseudo": ["refined"],
    "segmentation": ["pseudo"],
    "predict": ["segmentation"],
}
OWN = {  # the settings that a stage itself works with
    "classifier": ["seed", "backbone", "classifier"],
    "cam": ["cam"],
    "cam_label": ["background_score"],
    "irnet_label": ["irnet.labels"],
    "boundary": ["seed", "backbone", "irnet.training"],
    "irnet_affinity": [],
    "psa_label": ["psa.labels"],
    "affinitynet": ["seed", "backbone", "psa.training"],
    "psa_affinity": [],
    "partial": ["partial"],
    "refined": {
        "gcn": ["affinity", "refinement", "seed", "graph", "refine"],
        "random_walk": ["affinity", "refinement", "graph.radius", "graph.beta", "random_walk"],
    },
    "pseudo": ["pseudo"],
    "segmentation": ["seed", "segmentation.training"],
    "predict": ["segmentation.prediction"],
}
KINDS = [
    {"affinity": affinity, "refinement": refinement, "cam": {"folder": folder}}
    for affinity in ("irnet", "psa")
    for refinement in ("gcn", "random_walk")
    for folder in ("", "elsewhere")
]


def stages_of(kind: Mapping) -> list[str]:
    """The stages that experiments of this kind have."""
    missing = {"irnet_label", "boundary", "irnet_affinity"} if kind["affinity"] == "psa" else set()
    missing |= {"psa_label", "affinitynet", "psa_affinity"} if kind["affinity"] == "irnet" else set()
    missing |= {"partial"} if kind["refinement"] == "random_walk" else set()
    missing |= {"classifier"} if kind["cam"]["folder"] else set()
    return [stage for stage in READS if stage not in missing]


def before(stage: str, stages: list[str]) -> Iterator[str]:
    """A stage and, again and again, whatever of `stages` it reads."""
    yield stage
    for other in READS[stage]:
        if other in stages:
            yield from before(other, stages)


def under(key: str, prefixes: Iterable[str]) -> bool:
    """Whether a dotted key is one of some sections' or settings'."""
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def one_changed(settings: Mapping, key: str) -> dict:
    """The settings with one value, by its dotted key, that it has never had."""
    change: object = "something else"
    for part in reversed(key.split(".")):
        change = {part: change}
    return merge(settings, change)


def parted(settings: Mapping, change: Mapping) -> set[str]:
    """The stages that an experiment of this change does not share with an experiment of the settings."""
    found = folders({"first": settings, "second": merge(settings, change)})
    assert all(set(by) == {"first", "second"} for by in found.values())
    return {stage for stage, by in found.items() if by["first"] != by["second"]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(flatten(kind).values()))
def test_a_setting_parts_the_stages_that_it_reaches_and_no_others(kind):
    """Every single setting of every kind of experiment, against a walk through the stages' inputs."""
    settings = merge(part_of(CONFIG), kind)
    stages = stages_of(kind)
    assert set(dependencies(settings)) == set(stages)
    for key in flatten(settings):
        if key in ("affinity", "refinement", "cam.folder"):  # those change the kind
            continue
        expected = set()
        for stage in stages:
            for reached in before(stage, stages):
                own = OWN[reached][kind["refinement"]] if reached == "refined" else OWN[reached]
                if under(key, own):
                    expected.add(stage)
        assert parted(settings, one_changed(settings, key)) == expected, key


def test_no_rule_reads_a_setting_that_its_stage_s_folder_does_not_depend_on():
    known = {}
    for kind in KINDS:
        if not kind["cam"]["folder"]:
            for stage, keys in dependencies(merge(part_of(CONFIG), kind)).items():
                known.setdefault(stage, set()).update(keys)
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    reads = re.findall(r"""(?:setting|weights_file)\(["'](\w+)["'], ((?:["']\w+["'](?:, )?)+)\)""", rules)
    assert len(reads) > 25
    for stage, keys in reads:
        assert under(".".join(re.findall(r"\w+", keys)), known[stage]), (stage, keys)


def test_what_stages_depend_on_are_settings_that_there_are():
    for kind in KINDS:
        for stage, needed in dependencies(merge(CONFIG, kind)).items():
            for prefix in needed:
                assert any(under(key, [prefix]) for key in flatten(CONFIG)), (stage, prefix)


# Who shares what


@pytest.fixture(scope="module")
def found(experiments) -> dict[str, dict[str, str]]:
    """The folders of config.yaml's experiments."""
    return folders(experiments)


def folders_of(name: str, found: Mapping) -> dict[str, str]:
    return {stage: by[name] for stage, by in found.items() if name in by}


def test_the_base_s_files_have_no_name_up_to_the_partial_label(found):
    assert folders_of(BASE, found) == {
        "classifier": "", "cam": "", "cam_label": "", "irnet_label": "", "boundary": "", "irnet_affinity": "",
        "partial": "", "refined": f"{BASE}/", "pseudo": f"{BASE}/", "segmentation": f"{BASE}/", "predict": f"{BASE}/",
    }  # fmt: skip


def changed_sections(name: str) -> set[str]:
    """The sections in which an experiment of config.yaml differs from its base."""
    base, own = flatten(CONFIG), flatten(changes_by_name(CONFIG)[name])
    return {key.split(".")[0] for key, value in own.items() if base[key] != value}


def test_what_changes_the_refinement_shares_everything_before(experiments, found):
    names = [name for name in experiments if changed_sections(name) and changed_sections(name) <= {"graph", "refine"}]
    assert {"no-entropy", "released-code"} <= set(names)
    for name in names:
        own = dict.fromkeys(["refined", "pseudo", "segmentation", "predict"], f"{name}/")
        assert folders_of(name, found) == folders_of(BASE, found) | own


def test_what_changes_the_partial_label_parts_there(experiments, found):
    names = [name for name in experiments if {"partial"} <= changed_sections(name) <= {"partial", "graph", "refine"}]
    assert "paper-settings" in names
    for name in names:
        own = dict.fromkeys(["partial", "refined", "pseudo", "segmentation", "predict"], f"{name}/")
        assert folders_of(name, found) == folders_of(BASE, found) | own


def test_wsgcn_p_shares_cams_and_partial_labels_and_has_affinitynet_s_to_itself(found):
    shared = dict.fromkeys(["classifier", "cam", "cam_label", "partial"], "")
    unnamed = dict.fromkeys(["psa_label", "affinitynet", "psa_affinity"], "")
    own = dict.fromkeys(["refined", "pseudo", "segmentation", "predict"], "wsgcn-p/")
    assert folders_of("wsgcn-p", found) == shared | unnamed | own


@pytest.mark.parametrize("name, like", [("irn-random-walk", BASE), ("psa-random-walk", "wsgcn-p")])
def test_a_random_walk_has_no_partial_label_and_shares_the_affinities(name, like, found):
    own = dict.fromkeys(["refined", "pseudo", "segmentation", "predict"], f"{name}/")
    expected = folders_of(like, found) | own
    del expected["partial"]
    assert folders_of(name, found) == expected


def second(change: Mapping) -> dict[str, str]:
    """The folders of an experiment `other` beside config.yaml's base."""
    return folders_of("other", folders({BASE: part_of(CONFIG), "other": merge(part_of(CONFIG), change)}))


def base_s_but(*stages: str) -> dict[str, str]:
    """The folders of the base, with these stages `other`'s own."""
    return folders_of(BASE, folders({BASE: part_of(CONFIG)})) | dict.fromkeys(stages, "other/")


def test_other_cams_part_from_there_on_and_need_no_classifier():
    expected = base_s_but(*stages_of({"affinity": "irnet", "refinement": "gcn", "cam": {"folder": "x"}}))
    del expected["classifier"]
    assert second({"cam": {"folder": "elsewhere"}}) == expected


def test_the_classifier_is_unnamed_where_the_base_has_none_and_its_cams_are_not():
    base = merge(part_of(CONFIG), {"cam": {"folder": "elsewhere"}})
    found = folders({"base": base, "own": part_of(CONFIG), "twin": part_of(CONFIG)})
    assert found["classifier"] == {"own": "", "twin": ""}
    assert found["cam"] == {"base": "", "own": "own/", "twin": "own/"}


def test_cams_from_elsewhere_do_not_ask_what_the_classifier_is():
    base = merge(part_of(CONFIG), {"cam": {"folder": "elsewhere"}})
    other = merge(base, {"classifier": {"epochs": 77}})
    assert all(by["base"] == by["other"] for by in folders({"base": base, "other": other}).values())


@pytest.mark.parametrize(
    ("change", "own"),
    [
        ({}, []),
        ({"pseudo": {"crf": {"iterations": 77}}}, ["pseudo", "segmentation", "predict"]),
        ({"segmentation": {"training": {"iterations": 77}}}, ["segmentation", "predict"]),
        ({"segmentation": {"prediction": {"scales": [77]}}}, ["predict"]),
        ({"background_score": 0.77}, ["cam_label"]),
        ({"psa": {"labels": {"alpha_low": 77}, "training": {"epochs": 77}}}, []),
        ({"random_walk": {"steps": 77}}, []),
        ({"irnet": {"labels": {"certainty": 0.77}}},
            ["irnet_label", "boundary", "irnet_affinity", "refined", "pseudo", "segmentation", "predict"]),
        ({"irnet": {"training": {"radius": 77}}},
            ["boundary", "irnet_affinity", "refined", "pseudo", "segmentation", "predict"]),
        ({"seed": 77}, [s for s in READS if "psa" not in s and s != "affinitynet"]),
    ],
    ids=str,
)  # fmt: skip
def test_an_experiment_parts_where_it_first_differs(change, own):
    assert second(change) == base_s_but(*own)


def test_irnet_s_settings_do_not_part_an_experiment_of_affinitynet():
    assert parted(merge(part_of(CONFIG), {"affinity": "psa"}), {"irnet": {"training": {"epochs": 77}}}) == set()


def test_a_walk_does_not_ask_for_the_gcn_s_settings():
    walk = merge(part_of(CONFIG), {"refinement": "random_walk"})
    change = {"refine": {"epochs": 77}, "graph": {"steps": 77, "features": "weighted"}, "partial": {"cam_floor": 0.77}}
    assert parted(walk, change) == set()
    assert parted(walk, {"graph": {"beta": 77}}) == {"refined", "pseudo", "segmentation", "predict"}


def test_the_order_of_keys_parts_nothing():
    turned = {key: part_of(CONFIG)[key] for key in reversed(part_of(CONFIG))}
    turned["refine"] = {key: turned["refine"][key] for key in reversed(turned["refine"])}
    assert all(by["first"] == by["second"] for by in folders({"first": part_of(CONFIG), "second": turned}).values())


OTHERS = {  # beside those of the config
    "foreign": {"cam": {"folder": "elsewhere"}},
    "foreign-walk": {"cam": {"folder": "elsewhere"}, "refinement": "random_walk"},
    "foreign-again": {"cam": {"folder": "elsewhere"}, "classifier": {"epochs": 77}},
    "twin": {"refine": {"lambda_ent": 0}},  # of no-entropy
    "same": {},
    "psa-labels": {"psa": {"labels": {"alpha_low": 77}}},  # an experiment of IRNet
    "wsgcn-p-labels": {"affinity": "psa", "psa": {"labels": {"alpha_low": 77}}},
    "wsgcn-p-training": {"affinity": "psa", "psa": {"training": {"epochs": 77}}},
    "smooth": {"pseudo": {"crf": {"iterations": 77}}},
    "smooth-long": {"pseudo": {"crf": {"iterations": 77}}, "segmentation": {"training": {"iterations": 77}}},
    "long": {"segmentation": {"training": {"iterations": 77}}},
    "seed-77": {"seed": 77},
    "more-background": {"background_score": 0.77},
}


@pytest.fixture(scope="module")
def many(experiments) -> dict[str, dict]:
    """config.yaml's experiments, and more that part elsewhere."""
    return experiments | {name: merge(experiments[BASE], change) for name, change in OTHERS.items()}


def test_experiments_share_a_stage_s_folder_just_when_they_agree_on_all_that_it_depends_on(many):
    found, values = folders(many), {}
    for name, settings in many.items():
        flat = flatten(settings)
        for stage, needed in dependencies(settings).items():
            values[name, stage] = {key: value for key, value in flat.items() if under(key, needed)}
    shared, not_shared = 0, 0
    for stage, by in found.items():
        for a, b in itertools.combinations(by, 2):
            agree = values[a, stage] == values[b, stage]
            assert (by[a] == by[b]) == agree, (a, b, stage)
            shared, not_shared = shared + agree, not_shared + (not agree)
    assert shared > 100 and not_shared > 100


def test_each_experiment_has_a_folder_for_each_of_its_stages_and_no_other(many):
    found = folders(many)
    for name, settings in many.items():
        kind = {"affinity": settings["affinity"], "refinement": settings["refinement"], "cam": settings["cam"]}
        assert set(folders_of(name, found)) == set(stages_of(kind)), name


def test_a_folder_is_called_after_the_first_experiment_in_it(many):
    for stage, by in folders(many).items():
        for folder in set(by.values()):
            first = next(name for name in by if by[name] == folder)
            unnamed = stage in UNNAMED and first == next(iter(by))
            assert folder == ("" if unnamed else f"{first}/")


def test_an_experiment_at_the_end_moves_no_files(many):
    """Nor is anything made anew: every folder keeps the experiment that it is called after."""
    whole, names = folders(many), list(many)
    for count in range(1, len(names)):
        some = folders({name: many[name] for name in names[:count]})
        for stage, by in some.items():
            assert by == {name: whole[stage][name] for name in by}


def test_an_experiment_that_goes_moves_only_those_that_shared_its_own_folders(many):
    found = folders(many)
    for gone in list(many)[1:]:
        left = folders({name: settings for name, settings in many.items() if name != gone})
        for stage, by in found.items():
            first_in_it = [name for name in by if by[name] == by.get(gone)][:1]
            moved = {name for name in by if name != gone and left[stage][name] != by[name]}
            if first_in_it != [gone]:
                assert not moved, (gone, stage)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"segmentation_for": ["wsgcn-i", "nope"]}, "config: segmentation_for: no experiment is called nope"),
        (
            {"experiments": {"p": {"affinity": "psa", "graph": {"features": "weighted"}}}},
            "config: experiment p: graph.features: AffinityNet has no boundary layer",
        ),
        ({"sweeps": {3: [1]}}, "config: sweeps"),
        ({"sweeps": {"cam.flip": [1]}}, "config: experiment flip-1: cam.flip: 1 is not true or false"),
    ],
    ids=str,
)
def test_what_only_all_experiments_together_show_is_told(changes, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        read_experiments(config_with() | changes, SCHEMA)


def test_a_number_is_itself_with_or_without_a_point():
    config = config_with({"ten": {"graph": {"beta": 10.0}}}, {"graph.beta": [10.0]})
    found = folders(read_experiments(config, SCHEMA))
    assert set(found["refined"]) == {BASE, "ten"}
    assert len(set(found["refined"].values())) == 1
