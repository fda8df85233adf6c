"""Settings that are `auto`, chosen from the data set.

Run it alone: `.venv/bin/python -m pytest tests/workflow/test_fitted.py`.
"""

import copy
import math
from collections.abc import Iterator, Mapping

import pytest
import strategies  # noqa: F401
import yaml
from configs import CONFIG, ROOT, SCHEMA, SETTINGS, config_with
from hypothesis import given
from hypothesis import strategies as st
from tiny_project import merge

from wsgcn.data.dataset import Dataset, mask_values
from wsgcn.data.dataset import Image as Member
from wsgcn.text import flatten
from wsgcn.workflow.experiments import describe, read_experiments
from wsgcn.workflow.fitted import (
    BY_LABEL,
    BY_SIDE,
    BY_TRAIN,
    FITS,
    MAX_IMAGES_HEAD,
    MAX_IMAGES_SECOND,
    MIN_IMAGES_SECOND,
    MIN_NEGATIVE_SHARE,
    MIN_NEGATIVES,
    SIDES,
    UNKNOWN,
    DataFacts,
    describe_fits,
    facts_of,
    fit_experiments,
    fit_settings,
    leaves_open,
)
from wsgcn.workflow.settings import numbers_from_text, problems_of

FOLDER = yaml.safe_load((ROOT / "configs/folder.yaml").read_text())


def keys_with_auto(part: Mapping, prefix: str = "") -> Iterator[str]:
    """The dotted keys that the schema lets be `auto` beside their other values."""
    for key, inner in part["properties"].items():
        if "anyOf" in inner:
            assert len(inner["anyOf"]) == 2 and inner["anyOf"][0] == {"$ref": "#/$defs/auto"}
            yield f"{prefix}{key}"
        elif "properties" in inner:
            yield from keys_with_auto(inner, f"{prefix}{key}.")


AUTO_KEYS = list(keys_with_auto(yaml.safe_load(SCHEMA.read_text())))


def nest(values: Mapping[str, object]) -> dict:
    """Settings by dotted keys as sections."""
    found: dict = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        inner = found
        for name in sections:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return found


ALL_AUTO = nest(dict.fromkeys(AUTO_KEYS, "auto"))
COUNTS = st.integers(0, 20_000)
FACTS = st.builds(
    lambda train, label, share, side: DataFacts(train, label, int(train * share), side),
    COUNTS,
    COUNTS,
    st.floats(0, 1),
    st.floats(1, 20_000),
)


def fitted(facts: DataFacts, **others: object) -> dict[str, object]:
    """All values that are chosen, by dotted key."""
    flat = flatten(fit_settings(merge(merge(SETTINGS, ALL_AUTO), others), facts)[0])
    return {key: flat[key] for key in AUTO_KEYS}


def test_what_the_schema_lets_be_auto_is_chosen():
    assert sorted(AUTO_KEYS) == sorted(FITS)


def test_folder_data_leave_all_of_it_open_and_other_configs_nothing():
    assert sorted(key for key, value in flatten(FOLDER).items() if value == "auto") == sorted(FITS)
    for name in ("config.yaml", "configs/voc-animals.yaml", "configs/voc2012.yaml"):
        assert not leaves_open(yaml.safe_load((ROOT / name).read_text()))


@given(FACTS)
def test_any_data_set_gets_values_that_the_schema_allows(facts):
    settings, reasons = fit_settings(merge(CONFIG, ALL_AUTO), facts)
    assert not problems_of(settings, SCHEMA) and not leaves_open(settings) and reasons.keys() == set(AUTO_KEYS)
    assert all(reasons.values()) and settings["device"] == "auto"  # which is another auto


@given(st.dictionaries(st.sampled_from(AUTO_KEYS), st.just("auto")), FACTS)
def test_what_is_given_stays(auto, facts):
    settings, reasons = fit_settings(merge(SETTINGS, nest(auto)), facts)
    assert reasons.keys() == auto.keys()
    before, after = flatten(SETTINGS), flatten(settings)
    assert list(before) == list(after)
    assert {key: after[key] for key in before if key not in auto} == {k: before[k] for k in before if k not in auto}


def test_values_are_copies():
    first, second = (fit_settings(ALL_AUTO, UNKNOWN)[0] for _ in range(2))
    first["cam"]["scales"].append(9)
    assert second["cam"]["scales"] == BY_SIDE["cam.scales"][512]


def test_a_fact_that_passes_a_limit_changes_its_values_alone():
    few = DataFacts(60, 60, 0, 500)
    assert fitted(few) == fitted(DataFacts(80, 70, 10, 480))
    assert fitted(few)["cam_source"] == "self_training" and fitted(few)["self_training.first"] == "classifier"
    assert fitted(few)["classifier.train"] == "head"

    def changed(**facts: float) -> set[str]:
        other = fitted(DataFacts(**{**few.__dict__, **facts}))
        return {key for key, value in fitted(few).items() if other[key] != value}

    assert changed(negatives=math.ceil(MIN_NEGATIVE_SHARE * 60)) == {"cam_source", "self_training.first"}
    assert changed(negatives=math.ceil(MIN_NEGATIVE_SHARE * 60) - 1) == set()
    assert changed(train=MAX_IMAGES_HEAD) == set(BY_TRAIN)
    assert changed(train=MAX_IMAGES_HEAD + 1) == {"classifier.train", *BY_TRAIN}
    assert (
        changed(label=5000) == {"cam_source", *BY_LABEL} and fitted(DataFacts(60, 5000))["cam_source"] == "classifier"
    )
    assert changed(label=MAX_IMAGES_SECOND) == set(BY_LABEL)
    assert changed(label=MIN_IMAGES_SECOND) == set() and changed(label=MIN_IMAGES_SECOND - 1) == {"cam_source"}
    assert changed(side=250) == BY_SIDE.keys() - {"segmentation.training.crop"}


def test_a_few_negatives_cannot_show_what_is_ordinary():
    """Two of twelve are 17 %."""
    assert fitted(DataFacts(12, 12, 2, 500))["cam_source"] == "classifier"
    assert fitted(DataFacts(12, 12, MIN_NEGATIVES - 1, 500))["cam_source"] == "classifier"
    assert fitted(DataFacts(12, 12, MIN_NEGATIVES, 500))["cam_source"] == "mil"
    reasons = [fit_settings(ALL_AUTO, DataFacts(12, 12, count, 500))[1]["cam_source"] for count in (1, 2)]
    shown = "of 12 images to train on show no class"
    assert reasons == [f"1 {shown}", f"2 {shown}, fewer than 8"]


def test_external_cams_are_read_wherever_there_is_a_folder_of_them():
    assert fitted(DataFacts(60, 60, 40, 500), cam={"folder": "cams"})["cam_source"] == "external"


def test_more_images_rarely_change_anything():
    """Of nearly 4,000 numbers of images, six have other values than the next; most are no usual ones."""
    sizes = range(1, 4000)
    values = [fitted(DataFacts(n, n, n // 10, 500)) for n in sizes]
    different = [n for n, own, other in zip(sizes, values, values[1:], strict=False) if own != other]
    assert different == [MIN_IMAGES_SECOND - 1, 350, 800, MAX_IMAGES_SECOND, 1700, MAX_IMAGES_HEAD]
    assert not set(different) & {50, 60, 100, 150, 200, 250, 300, 400, 500, 600, 1000, 1200, 1500, 2000}


@pytest.mark.parametrize("side", [96, 128, 160, 200, 224, 256, 300, 320, 400, 480, 500, 512, 600, 640, 800, 1024, 1280])
def test_usual_sizes_are_far_from_the_limits(side):
    assert len({str(fitted(DataFacts(60, 60, 0, side * factor))) for factor in (0.95, 1, 1.05)}) == 1


@pytest.mark.parametrize("side", SIDES)
def test_images_are_seen_at_sizes_that_networks_know(side):
    values = fitted(DataFacts(60, 60, 0, side))
    for key in ("cam.scales", "segmentation.prediction.scales", "segmentation.training.scale"):
        assert all(256 <= scale * side <= 1024 for scale in values[key]), key
    for name in ("irnet", "psa"):
        crop = values[f"{name}.training.crop"]
        assert crop % 32 == 0 and (crop == min(max(side // 2, 128), 320))
    assert values["segmentation.training.crop"] <= max(values["segmentation.training.scale"]) * side


def member(name: str, *classes: int) -> Member:
    return Member(name, f"{name}.png", classes, None, not classes)


def test_facts_are_counted():
    train = {"a": member("a", 1), "b": member("b"), "c": member("c", 1, 2)}
    data = Dataset(("x", "y"), train, {"a": train["a"]}, {"d": member("d")}, mask_values("xy"), ("x", "y"))
    facts = facts_of(data, [100, 400, 200])
    assert (facts.train, facts.label, facts.negatives) == (3, 1, 1) and facts.side == pytest.approx(200)
    assert facts_of(data, []).side == UNKNOWN.side


def test_experiments_change_what_was_left_open_and_leave_open_what_was_given():
    experiments = {"fixed": {"cam_source": "mil"}, "open": {"mil": {"scale": "auto"}}}
    config = merge(config_with(experiments, {"irnet.training.crop": ["auto", 96]}), {"cam_source": "auto"})
    config["mil"]["scale"] = 4
    own, reasons = fit_experiments(read_experiments(config, SCHEMA), DataFacts(60, 60, 0, 256))
    assert [settings["cam_source"] for settings in own.values()] == ["self_training", "mil", *3 * ["self_training"]]
    assert own["open"]["mil"]["scale"] == 2 and own["fixed"]["mil"]["scale"] == 4
    assert own["crop-auto"]["irnet"]["training"]["crop"] == 128 and own["crop-96"]["irnet"]["training"]["crop"] == 96
    assert reasons["open"].keys() == {"cam_source", "mil.scale"} and reasons["fixed"] == {}
    assert describe("open", config, own) == "mil.scale 2 instead of 4"
    assert describe("fixed", config, own) == "cam_source mil instead of self_training"


# What a start says


def block_of(experiments: Mapping[str, Mapping], facts: DataFacts, segmented: tuple = ()) -> list[str]:
    settings = {name: merge(merge(SETTINGS, ALL_AUTO), changes) for name, changes in experiments.items()}
    return describe_fits(*fit_experiments(settings, facts), segmented)


def lines_of(*given: object) -> list[str]:
    return [" ".join(line.split()) for line in block_of(*given)]


def test_the_example_in_the_documentation_is_what_is_said():
    assert "\n".join(block_of({"base": {}}, DataFacts(60, 60, 20, 256))) in (ROOT / "docs/own-data.md").read_text()


def test_what_is_read_is_said_with_its_reason():
    heading, *lines = lines_of({"base": {}}, DataFacts(60, 60, 20, 256))
    assert heading == "settings chosen from the data set (docs/own-data.md):"
    side = "longer sides of about 256 pixels"
    assert lines == [
        "cam_source mil 20 of 60 images to train on show no class",
        "irnet.training.batch 8 60 images to train on",
        f"mil.scale 2 {side}",
        f"irnet.training.crop 128 {side}",
        f"irnet.training.scale [0.75, 1.5] {side}",
    ]


def test_what_is_not_read_is_not_said():
    keys = [line.split()[0] for line in lines_of({"base": {}}, UNKNOWN, ("base",))[1:]]
    assert keys[:2] == ["cam_source", "classifier.train"] and "segmentation.training.crop" in keys
    assert not [key for key in keys if key.startswith(("psa", "mil"))]
    external = lines_of({"base": {"cam": {"folder": "cams"}}}, UNKNOWN)[1:]
    assert not [line for line in external if line.startswith(("cam", "classifier"))]
    assert not lines_of({"base": nest({key: flatten(SETTINGS)[key] for key in AUTO_KEYS})}, UNKNOWN)
    assert not describe_fits({}, {}, ())


def test_of_other_experiments_the_differences_are_said():
    lines = lines_of({"base": {}, "other": {"affinity": "psa"}}, UNKNOWN)
    others = [line for line in lines if line.endswith(", in other")]
    assert [line.split()[0] for line in others] == [f"psa.training.{key}" for key in ("batch", "crop", "scale")]
    assert len(lines) == 1 + 3 + 3 + 3 and others == lines[-3:]


# In messages and texts


def test_other_values_are_refused_as_such():
    config = copy.deepcopy(CONFIG)
    config["irnet"]["training"] |= {"crop": "autos", "batch": 0, "scale": [2, 1]}
    config["psa"]["training"]["scale"] = [1, "auto"]
    config["classifier"]["train"] = "heads"
    assert problems_of(config, SCHEMA) == [
        "classifier.train: heads must be one of all, head, auto; did you mean head?",
        "irnet.training.batch: 0 is below the minimum of 1",
        'irnet.training.crop: "autos" is not an integer or auto',
        "irnet.training.scale: [2, 1] is not in ascending order",
        'psa.training.scale[1]: "auto" is not a number',
    ]
    config = merge(CONFIG, {"refine": {"lr": "auto"}})
    assert problems_of(config, SCHEMA) == ['refine.lr: "auto" is not a number']


def test_text_is_read_as_a_number_or_as_auto():
    config = merge(CONFIG, {"irnet": {"training": {"crop": "96", "batch": "auto", "scale": ["1", "2"]}}})
    numbers_from_text(config, SCHEMA)
    training = config["irnet"]["training"]
    assert training["crop"] == 96 and training["batch"] == "auto" and training["scale"] == [1, 2]
