"""Which experiments share a stage's files: those that agree on all that it depends on."""

import functools
import itertools
import re
from collections.abc import Iterable, Mapping

import pytest
from configs import BASE, CONFIG, KINDS, ROOT, SCHEMA, SETTINGS

from wsgcn.data.dataset import Dataset, Image
from wsgcn.text import flatten
from wsgcn.workflow.directives import (
    cam_inputs,
    cam_params,
    features_params,
    infer_params,
    label_params,
    predict_params,
    refiner_inputs,
    refiner_params,
    training_inputs,
    training_params,
)
from wsgcn.workflow.experiments import merge, read_experiments
from wsgcn.workflow.flow import dependencies, stages_of, trainings_of
from wsgcn.workflow.measured import TRACKED
from wsgcn.workflow.plan import Plan
from wsgcn.workflow.rows import CamSource, SegmentationNetwork
from wsgcn.workflow.sharing import (
    LATER_DEFAULTS,
    LATER_SETTINGS,
    dataset_settings,
    folders,
    relevant_settings,
    select,
    select_params,
    told_settings,
    value_of,
)
from wsgcn.workflow.stages import AFFINITIES, CAM_SOURCES, PARTIAL, PSEUDO, SEGMENTATION_NETWORKS

by_kind = pytest.mark.parametrize(
    "settings", KINDS, ids=lambda kind: "-".join([kind["affinity"], kind["refinement"], kind["cam"]["folder"]])
)


def under(prefixes: Iterable[str]) -> set[str]:
    """The dotted keys of the settings that some sections' or settings' keys name."""
    return {key for key in flatten(SETTINGS) for prefix in prefixes if f"{key}.".startswith(f"{prefix}.")}


class Recorder(dict):
    """Settings that note which of their values are read, by dotted keys; a section that is handed on counts whole."""

    def __init__(self, settings: Mapping, found: set[str], prefix: str = ""):
        super().__init__(settings)
        self.found, self.prefix = found, prefix

    def __getitem__(self, key):
        value, name = super().__getitem__(key), f"{self.prefix}{key}"
        if isinstance(value, Mapping):
            return Recorder(value, self.found, f"{name}.")
        self.found.add(name)
        return value


def keys_in(value: object) -> set[str]:
    """All keys of the recorders within a job's parameters."""
    if isinstance(value, Recorder):
        return under([value.prefix.removesuffix(".")])
    return set().union(*map(keys_in, value.values())) if isinstance(value, Mapping) else set()


def test_later_settings_of_the_data_set_at_their_default_are_no_parameter():
    section = CONFIG["dataset"]
    assert section.keys() - dataset_settings(section).keys() == LATER_SETTINGS.keys()
    changed = section | {"negative": "normal", "others": "negative", "corrections": "mended"}
    assert dataset_settings(changed) == changed


@pytest.mark.parametrize("key", LATER_DEFAULTS)
def test_a_later_setting_is_told_just_where_it_is_not_its_default(key):
    section, _, name = key.rpartition(".")
    assert value_of(SETTINGS, key) == LATER_DEFAULTS[key]
    changed = merge(SETTINGS, one_changed(key))
    for settings, told in ((SETTINGS, False), (changed, True)):
        params = select_params(settings, {"own": key, "several": (key, "seed")})
        assert ("own" in params) == (name in params["several"]) == told and "seed" in params["several"]
        if section:
            assert (name in told_settings(settings, section)) == told
            assert told_settings(settings, section).keys() <= value_of(settings, section).keys()
    methods = {"affinity": "psa" if key.startswith("psa") else "irnet"}
    methods["refinement"] = "random_walk" if key.startswith("random_walk") else "gcn"
    base, other = (relevant_settings(own | methods) for own in (SETTINGS, changed))
    assert other.keys() - base.keys() == {key}


IMAGE = Image("a", "a.jpg", (1,), None)
DATA = Dataset(("cat",), {"a": IMAGE}, {"a": IMAGE}, {"a": IMAGE}, (0, 1), ("cat",))


def read_by_rules(settings: Mapping, stage: str) -> set[str]:
    """The settings that a stage's rule reads: its parameters, its inputs and which rule it is."""
    found: set[str] = set()
    plan = Plan({BASE: settings}, DATA, "results", batch_size=1)
    job = next(plan.training_jobs(stage) if stage in trainings_of(settings) else plan.batch_jobs(stage))
    object.__setattr__(plan, "experiments", {BASE: Recorder(settings, found)})
    affinity = settings["affinity"]
    given = {
        **dict.fromkeys(trainings_of(settings), training_params),
        "features": features_params,
        "cam": lambda job: cam_params(job) | cam_inputs(job),
        f"{affinity}_label": lambda job: label_params(job, affinity),
        f"{affinity}_affinity": lambda job: infer_params(job, affinity),
        "refined": refiner_params,
        "predict": predict_params,
        "partial": lambda job: select_params(job.settings, PARTIAL),
        "pseudo": lambda job: select_params(job.settings, PSEUDO),
    }[stage](job)
    return found | keys_in(given)


CHOICES = {
    "affinity", "refinement", "cam_source", "classifier.train", "self_training.first", "cam.folder",
    "segmentation_network",
}  # fmt: skip
"""Which rule it is, and what that reads: each choice parts the experiments by other stages or other settings."""
WEIGHTS = {"corrections.affinity_weight", "corrections.segmentation_weight"}  # count where they are not the default


RULES = {  # whose inputs and, of labels, whose settings stand in the rules themselves
    "features": ("cam", "features_params"),
    "label": ("affinity", "label_params"),
    "affinity": ("affinity", "infer_params"),
    "partial": ("partial", "label_partial"),
    "pseudo": ("pseudo", "label_pseudo"),
    "predict": ("segmentation", "predict_params"),
}


def inputs_in_rules(stage: str, plan: Plan, affinity: str) -> set[str]:
    """The stages that a rule's text names as its inputs."""
    file, mark = RULES[stage.removeprefix(f"{affinity}_")]
    text = (ROOT / f"rules/{file}.smk").read_text()
    (rule,) = [rule for rule in text.split("rule:")[1:] if mark in rule]
    block = rule[rule.index("input:") : rule.index("output:")]
    names = re.findall(r"job\.files?\(([^)]*)\)", block)
    return {eval(name, {"row": AFFINITIES[affinity]}) for name in names}


def inputs_of(settings: Mapping, stage: str) -> set[str]:
    """The stages whose files a stage's rule reads, by the paths of its inputs."""
    plan = Plan({BASE: settings}, DATA, "results", batch_size=1)
    job = next(plan.training_jobs(stage) if stage in trainings_of(settings) else plan.batch_jobs(stage))
    if stage not in trainings_of(settings) and stage not in ("cam", "refined"):
        return inputs_in_rules(stage, plan, settings["affinity"])
    given = {"cam": cam_inputs, "refined": refiner_inputs}.get(stage, training_inputs)(job)
    paths = {path for value in given.values() for path in ([value] if isinstance(value, str) else value)}
    made = {}
    for name, row in stages_of(settings).items():
        if row.file:
            files = plan.files(BASE, name, ["a"]) if "{image}" in row.file else [plan.file(BASE, name)]
            made |= dict.fromkeys(files, name)
    return {made[path] for path in paths if path in made}


@by_kind
def test_a_stage_comes_after_those_whose_files_its_rule_reads(settings):
    for name, stage in stages_of(settings).items():
        if name != "cam_label":
            assert set(stage.after) == inputs_of(settings, name), name


@by_kind
def test_a_stage_depends_on_just_what_its_rules_and_those_before_it_read(settings):
    stages, needed = stages_of(settings), {name: under(keys) for name, keys in dependencies(settings).items()}
    unread = under(["cam"]) if settings["cam"]["folder"] else set()  # external CAMs have their own scales
    found: dict[str, set[str]] = {}
    for name, stage in stages.items():
        before = set().union(*(found[other] for other in stage.after))
        own = {"background_score"} if name == "cam_label" else read_by_rules(settings, name)
        found[name] = own | before
        assert found[name] - CHOICES - WEIGHTS - unread == needed[name] - CHOICES - unread, name
    assert "affinity" in needed["refined"] or settings["refinement"] == "none"
    assert "refinement" in needed["refined"] and {"cam.folder", "classifier.train", "cam_source"} & needed["cam"]


def test_the_rules_of_labels_read_what_the_test_above_says():
    for stage, params in {"partial": "PARTIAL", "pseudo": "PSEUDO"}.items():
        text = (ROOT / f"rules/{stage}.smk").read_text()
        assert re.findall(r"job\.settings, (\w+)", text) == [params] and "settings[" not in text


@by_kind
def test_what_is_logged_of_a_stage_is_the_same_for_all_that_share_it(settings):
    for row in TRACKED.values():
        if row.stage in dependencies(settings):
            assert under(row.settings(settings)) <= under(dependencies(settings)[row.stage]), row.stage


# Who shares what

LATE = ["refined", "pseudo", "segmentation", "predict"]  # which always have a name
PSA, WALK, NONE = {"affinity": "psa"}, {"refinement": "random_walk"}, {"refinement": "none"}
EXTERNAL = {"cam": {"folder": "elsewhere"}}


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
    assert beside_the_base(EXTERNAL) == {stage: "other/" for stage in base if stage != "classifier"}
    found = folders({"base": merge(SETTINGS, EXTERNAL), "own": SETTINGS, "twin": SETTINGS})
    assert found["classifier"] == {"own": "", "twin": ""}
    assert found["cam"] == {"base": "", "own": "own/", "twin": "own/"}


def test_equal_settings_part_nothing_however_they_are_written():
    turned = {key: SETTINGS[key] for key in reversed(SETTINGS)}
    turned["refine"] = {key: turned["refine"][key] for key in reversed(turned["refine"])}
    assert all(by["first"] == by["second"] for by in folders({"first": SETTINGS, "second": turned}).values())
    ten, point = ({"graph": {"beta": value}} for value in (10, 10.0))  # 1 is 1.0, but not true
    assert parted(merge(SETTINGS, ten), point) == []
    assert parted(merge(SETTINGS, {"cam": {"flip": True}}), {"cam": {"flip": 1}})


def test_select_returns_settings_and_sections_by_their_dotted_keys():
    settings = {"a": {"b": {"c": 1}, "d": 2}, "e": [3]}
    found = select(settings, ("e", "a.b.c", "a.b"))
    assert list(found.items()) == [("e", [3]), ("a.b.c", 1), ("a.b", {"c": 1})]


@by_kind
def test_what_is_used_is_what_parts_some_stage(settings):
    found = relevant_settings(settings)
    assert found == select(settings, found)
    idle = {"random_walk.alpha"} | ({"graph.features"} if settings["affinity"] == "psa" else set())
    assert set(found) == {
        key
        for key in flatten(settings)
        if key == "refinement"  # another kind, of other stages, as those below
        or (key == "cam.folder" and "cam.folder" in found)
        or (key == "cam_source" and settings["cam_source"] in ("mil", "self_training"))
        or (key == "self_training.first" and settings["cam_source"] == "self_training")
        or (key == "classifier.train" and settings["classifier"]["train"] == "head")
        or (key == "affinity" and settings["refinement"] != "none")
        or (key not in (*CHOICES, *WEIGHTS, *idle, *LATER_DEFAULTS) and parted(settings, one_changed(key)))
    }
    assert list(found) == [key for key in flatten(SETTINGS) if key in found]


@pytest.fixture(scope="module")
def many() -> dict[str, dict]:
    """config.yaml's experiments, and more that part elsewhere."""
    smooth, labels = {"pseudo": {"crf": {"iterations": 77}}}, {"psa": {"labels": {"alpha_low": 77}}}
    long = {"segmentation": {"training": {"iterations": 77}}}
    others = {
        "external": EXTERNAL, "external-walk": EXTERNAL | WALK,
        "external-again": EXTERNAL | {"classifier": {"epochs": 77}},
        "twin": CONFIG["experiments"]["no-entropy"], "same": {}, "psa-labels": labels, "wsgcn-p-labels": PSA | labels,
        "wsgcn-p-training": PSA | {"psa": {"training": {"epochs": 77}}}, "smooth": smooth, "smooth-long": smooth | long,
        "long": long, "seed-77": {"seed": 77}, "more-background": {"background_score": 0.77},
        "cam-psa": NONE | PSA, "cam-more": NONE | {"background_score": 0.77},
    }  # fmt: skip
    return read_experiments(CONFIG, SCHEMA) | {name: merge(SETTINGS, change) for name, change in others.items()}


def test_experiments_share_the_folder_of_a_stage_just_when_they_agree_on_all_its_settings(many):
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
            unnamed = stage not in LATE and first == next(iter(by))
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


def test_what_a_further_method_reads_parts_its_experiments(monkeypatch):
    """The folder of a source of CAMs, and what a segmentation network predicts by."""
    monkeypatch.setitem(CAM_SOURCES, "maps", CamSource("maps", "a:b", {}, folder="maps.folder"))
    training = SEGMENTATION_NETWORKS["deeplabv2"].training
    monkeypatch.setitem(SEGMENTATION_NETWORKS, "fcn", SegmentationNetwork("FCN", training, "a:b", {"mode": "fcn.mode"}))
    own = SETTINGS | {"cam_source": "maps", "segmentation_network": "fcn", "maps": {"folder": "a"}, "fcn": {"mode": 1}}
    assert parted(own, {"maps": {"folder": "b"}})[:2] == ["cam", "cam_label"]
    assert parted(own, {"fcn": {"mode": 2}}) == ["predict"]
    tracked = TRACKED["segmentation"].settings(own)
    assert "fcn.mode" in tracked and "maps.folder" in TRACKED["cam"].settings(own)
    assert under(key for key in tracked if not key.startswith("fcn")) <= under(dependencies(own)["predict"])
