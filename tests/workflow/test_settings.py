"""The config and its overlays against the schema, and the messages about a wrong config."""

import copy
import datetime
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import jsonschema
import pytest
import yaml

from wsgcn.text import flatten, shorten
from wsgcn.workflow.settings import numbers_from_text, problems_of
from wsgcn.workflow.stages import registry_names

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "rules/schemas/config.yaml"
OVERLAYS = sorted((ROOT / "configs").glob("*.yaml"))
REGISTERED_KEYS = {
    "dataset__kind": "readers",
    "cam_source": "cam_sources",
    "affinity": "affinities",
    "refinement": "refiners",
    "segmentation_network": "segmentation_networks",
}
REMOVED = object()


@functools.cache
def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


SECTIONS = ", ".join(read(SCHEMA)["properties"])


def merge(base: Mapping, over: Mapping) -> dict:
    """As Snakemake lays one config over another."""
    both = dict(base)
    for key, value in over.items():
        both[key] = merge(both.get(key, {}), value) if isinstance(value, Mapping) else value
    return both


def changed(**changes: object) -> dict:
    """config.yaml with values set, or REMOVED, by key, dots written as two underscores."""
    config = copy.deepcopy(read(ROOT / "config.yaml"))
    for path, value in changes.items():
        *sections, key = path.split("__")
        section = config
        for name in sections:
            section = section[name]
        section[key] = value
        if value is REMOVED:
            del section[key]
    return config


def test_the_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(read(SCHEMA))


def test_the_default_is_valid():
    assert not problems_of(read(ROOT / "config.yaml"), SCHEMA)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_each_overlay_is_valid(overlay):
    assert not problems_of(merge(read(ROOT / "config.yaml"), read(overlay)), SCHEMA)


GOOD = [
    {"refine__lambda_ent": 1},  # an integer is a number
    {"refine__dropout": 0},
    {"graph__steps": 0},
    {"cam__scales": [1]},
    {"segmentation__training__scales": []},
    {"irnet__training__scale": [1, 1]},
    {"dataset__kind": "folder", "dataset__root": "pictures", "dataset__classes": ["cat"]},
    {"dataset__name": "a.B_c-1", "experiment": "2"},
    {"dataset__name": "mlflow", "experiment": "a" * 100},
    {"dataset__label": f"{'long/' * 50}{'a' * 96}.txt", "seed": 2**64 - 1},
    {"backbone__weights": "weights/my net.pt"},
    {"refinement": "none", "segmentation_for": "base"},
    {"experiments": {"a": None, "b": {}}, "against": {}, "sweeps": {"seed": []}},
]


@pytest.mark.parametrize("changes", GOOD, ids=str)
def test_good_values_are_accepted(changes):
    assert not problems_of(changed(**changes), SCHEMA)


def test_numbers_written_as_text():
    """As from `--config 'refine={lr: 0.2}'`, and from YAML's 1e-4; text stays where the schema wants text."""
    config = changed(
        refine__lr="1e-4",
        refine__epochs="20",
        refine__lambda_ent="0.2",
        cam__flip="false",
        cam__scales=["1", "0.5", ".5e+1"],
        dataset__name="2012",
    )
    numbers_from_text(config, SCHEMA)
    numbers = {"lr": 1e-4, "epochs": 20, "lambda_ent": 0.2}
    assert config == changed(
        **{f"refine__{key}": value for key, value in numbers.items()},
        cam__flip=False,
        cam__scales=[1, 0.5, 5],
        dataset__name="2012",
    )
    assert type(config["refine"]["epochs"]) is int


NOT_INTEGERS = ["high", "", "nan", "inf", "true", "[1", "1.5", "null", "0x", "- 1", "1:30", "1_000", "٣", "1\n"]
NOT_INTEGERS += ["2021-02-30", "1" * 400, "9" * 5000, "0" * 5000 + "1", "[" * 5000, "1e999"]


@pytest.mark.parametrize("text", NOT_INTEGERS, ids=shorten)
def test_text_that_does_not_spell_a_number_stays(text):
    config = changed(batch_size=text, refine__lr="12:30")
    numbers_from_text(config, SCHEMA)
    assert config["batch_size"] == text
    expected = [f"batch_size: {shorten(json.dumps(text))} is not an integer", 'refine.lr: "12:30" is not a number']
    assert problems_of(config, SCHEMA) == expected


FOLDER = "must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
TAKEN = "is the name of something else in results/"
PATTERN = "has { or }, which Snakemake reads as a wildcard"
METRICS = "must have a name of at most 100 characters that does not start with .., as it is part of metrics' names"
LONG = f"dataset.classes: {json.dumps([str(k) for k in range(300)])[:110]}"
BAD = [
    # types
    ("seed", 0.0, "seed: 0.0 is not an integer"),
    ("seed", True, "seed: true is not an integer"),
    ("batch_size", "32", 'batch_size: "32" is not an integer'),
    ("refine__lr", "1e-4", 'refine.lr: "1e-4" is not a number'),  # what YAML makes of 1e-4
    ("refine__lr", float("nan"), "refine.lr: NaN is not a number"),
    ("refine__sigma2", float("inf"), "refine.sigma2: Infinity is not a number"),
    ("refine__hidden", None, "refine.hidden: null is not an integer"),
    ("cam__flip", "yes", 'cam.flip: "yes" is not true or false'),
    ("cam__scales", 1, "cam.scales: 1 is not a list or auto"),
    ("classifier__long_side", 320, "classifier.long_side: 320 is not a list"),
    ("classifier__long_side", [320, "640"], 'classifier.long_side[1]: "640" is not a number'),
    ("cam__scales", [1, "2"], 'cam.scales[1]: "2" is not a number'),
    ("dataset__root", None, "dataset.root: null is not text"),
    ("dataset__name", 2012, "dataset.name: 2012 is not text"),
    ("device", False, "device: false is not text"),
    ("seed", 10**400, f"seed: 1{'0' * 109} … is not an integer"),
    ("graph__beta", -(10**400), f"graph.beta: -1{'0' * 108} … is not a number"),
    ("refine__lr", datetime.date(2021, 1, 1), 'refine.lr: "2021-01-01" is not a number'),
    ("refine__lr", {datetime.date(2021, 1, 1): 1, "a": 2}, 'refine.lr: {"a": 2} is not a number'),
    ("refine__lr", "x" * 5000, f'refine.lr: "{"x" * 109} … is not a number'),
    ("pseudo", None, "pseudo: null is not a section of keys"),
    ("irnet__labels__crf", [3], "irnet.labels.crf: [3] is not a section of keys"),
    # ranges
    ("seed", 2**64, f"seed: {2**64} is above the maximum of {2**64 - 1}"),
    ("background_score", 1.5, "background_score: 1.5 is above the maximum of 1"),
    ("partial__confident_ratio", -0.1, "partial.confident_ratio: -0.1 is below the minimum of 0"),
    ("refine__dropout", 1, "refine.dropout: 1 is not below 1"),
    ("refine__lr", 0, "refine.lr: 0 is not above 0"),
    ("graph__steps", -1, "graph.steps: -1 is below the minimum of 0"),
    ("graph__radius", 1, "graph.radius: 1 is below the minimum of 2"),
    ("classifier__epochs", 0, "classifier.epochs: 0 is below the minimum of 1"),
    (
        "segmentation__prediction__crf__bilateral_sxy",
        0,
        "segmentation.prediction.crf.bilateral_sxy: 0 is below the minimum of 0.1",
    ),
    ("cam__scales", [], "cam.scales: [] should be non-empty"),
    ("cam__scales", [1, 0], "cam.scales[1]: 0 is not above 0"),
    ("segmentation__training__scales", [-1], "segmentation.training.scales[0]: -1 is not above 0"),
    ("irnet__training__scale", [1], "irnet.training.scale: [1] is too short"),
    ("irnet__training__scale", [1, 2, 3], "irnet.training.scale: [1, 2, 3] is too long"),
    ("irnet__training__scale", [1.5, 0.5], "irnet.training.scale: [1.5, 0.5] is not in ascending order"),
    ("classifier__long_side", [220, 120], "classifier.long_side: [220, 120] is not in ascending order"),
    ("dataset__classes", ["cat", "cat"], 'dataset.classes: ["cat", "cat"] has non-unique elements'),
    ("dataset__classes", [str(k) for k in range(300)], f"{LONG} … is too long"),
    ("dataset__train", "", 'dataset.train: "" should be non-empty'),
    ("dataset__label", "lists/" + "a" * 101, f'dataset.label: "lists/{"a" * 101}" {METRICS}'),
    ("dataset__evaluate", "..a.txt", f'dataset.evaluate: "..a.txt" {METRICS}'),
    ("dataset__train", "{a}/b.txt", f'dataset.train: "{{a}}/b.txt" {PATTERN}'),
    ("pseudo__crf__bilateral_srgb", 1e-7, "pseudo.crf.bilateral_srgb: 1e-07 is below the minimum of 0.1"),
    ("experiment", "model.pt", 'experiment: "model.pt" must not end like the name of a file'),
    # choices and names
    ("dataset__kind", "vocc", "dataset.kind: vocc must be one of demo, voc, folder, coco; did you mean voc?"),
    ("dataset__kind", "x", "dataset.kind: x must be one of demo, voc, folder, coco"),
    ("dataset__kind", ["voc"], 'dataset.kind: ["voc"] is not text'),
    ("device", "gpu", "device: gpu must be one of auto, cpu, cuda"),
    ("graph__normalisation", "rows", "graph.normalisation: rows must be one of symmetric, row; did you mean row?"),
    ("refine__window", 4, "refine.window: 4 must be one of 1, 3, 5, 7, 9, 11"),
    ("refine__window", "5", 'refine.window: "5" is not an integer'),
    ("experiment", "my run", f'experiment: "my run" {FOLDER}'),
    ("dataset__name", "../x", f'dataset.name: "../x" {FOLDER}'),
    ("dataset__name", "", f'dataset.name: "" {FOLDER}'),
    ("dataset__name", "abc\n", f'dataset.name: "abc\\n" {FOLDER}'),
    ("experiment", "abc\n", f'experiment: "abc\\n" {FOLDER}'),
    ("dataset__name", "a" * 101, f'dataset.name: "{"a" * 101}" {FOLDER}'),
    ("dataset__name", "mlflow.db", f'dataset.name: "mlflow.db" {TAKEN}'),
    ("dataset__name", "mlflow.db.lock", f'dataset.name: "mlflow.db.lock" {TAKEN}'),
    ("dataset__name", "mlartifacts", f'dataset.name: "mlartifacts" {TAKEN}'),
    ("dataset__name", "README.md", f'dataset.name: "README.md" {TAKEN}'),
    ("cam__folder", "cams/{x}", f'cam.folder: "cams/{{x}}" {PATTERN}'),
    ("backbone__weights", "a}.pt", f'backbone.weights: "a}}.pt" {PATTERN}'),
    ("segmentation__training__backbone__weights", "{\n", f'segmentation.training.backbone.weights: "{{\\n" {PATTERN}'),
    # keys
    ("graph__beta", REMOVED, "graph.beta: is missing"),
    ("seed", REMOVED, "seed: is missing"),
    ("sead", 1, "unknown key sead; did you mean seed?"),
    ("zz", 1, f"unknown key zz; known are {SECTIONS}"),
    ("z" * 5000, 1, f"unknown key {'z' * 110} …; known are {SECTIONS}"),
    ("device", "a\nb", r"device: a\nb must be one of auto, cpu, cuda"),
    ("refine__lambda_end", 1, "unknown key refine.lambda_end; did you mean lambda_ent?"),
    ("backbone__zz", 1, "unknown key backbone.zz; known are name, weights, dilated"),
    ("irnet__training__epoch", 1, "unknown key irnet.training.epoch; did you mean epochs?"),
    (
        "segmentation__prediction__crf__iteration",
        1,
        "unknown key segmentation.prediction.crf.iteration; did you mean iterations?",
    ),
    # between keys
    ("dataset__kind", "voc", "dataset.root: must not be empty for data of kind voc"),
    ("dataset__kind", "folder", "dataset.root: must not be empty for data of kind folder"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), BAD, ids=[sentence for *_, sentence in BAD])
def test_bad_value_gets_one_sentence(key, value, sentence):
    assert problems_of(changed(**{key: value}), SCHEMA) == [sentence]


REGISTRY_SCHEMA = """
type: object
properties:
  affinity: {type: string, registry: affinities}
  inner: {type: object, properties: {kinds: {type: array, items: {type: string, registry: readers}}}}
"""
REGISTRIES = {"affinities": ["irnet", "psa"], "readers": ["demo", "voc"]}


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        ({"affinity": "psa", "inner": {"kinds": ["voc", "demo"]}}, []),
        ({"affinity": "irn"}, ["affinity: irn must be one of irnet, psa; did you mean irnet?"]),
        ({"affinity": "x"}, ["affinity: x must be one of irnet, psa"]),
        ({"affinity": 3}, ["affinity: 3 is not text"]),
        ({"inner": {"kinds": ["demo", "voc2"]}}, ["inner.kinds[1]: voc2 must be one of demo, voc; did you mean voc?"]),
    ],
    ids=str,
)
def test_names_in_a_registry(config, problems, tmp_path):
    (tmp_path / "schema.yaml").write_text(REGISTRY_SCHEMA)
    assert problems_of(config, tmp_path / "schema.yaml", registries=REGISTRIES) == problems


def test_registries_are_read_when_a_config_is_checked(tmp_path):
    """A method that is added to a registry is accepted at once."""
    (tmp_path / "schema.yaml").write_text(REGISTRY_SCHEMA)
    assert problems_of({"affinity": "mine"}, tmp_path / "schema.yaml", registries=REGISTRIES)
    more = REGISTRIES | {"affinities": [*REGISTRIES["affinities"], "mine"]}
    assert not problems_of({"affinity": "mine"}, tmp_path / "schema.yaml", registries=more)


@pytest.mark.parametrize(("key", "registry"), REGISTERED_KEYS.items())
def test_every_name_of_a_registry_is_accepted(key, registry):
    for name in registry_names(registry):
        assert not problems_of(changed(**{key: name, "dataset__root": "data"}), SCHEMA)
    (problem,) = problems_of(changed(**{key: "xyz"}), SCHEMA)
    names = [*registry_names(registry), *(["auto"] if key == "cam_source" else [])]
    assert problem == f"{key.replace('__', '.')}: xyz must be one of {', '.join(names)}"


def test_all_problems_are_reported_together():
    config = changed(
        dataset__kind="voc",
        dataset__nane="x",
        graph__beta=REMOVED,
        graph__radius=REMOVED,
        refine__dropout=1.5,
        seed=-1,
    )
    assert problems_of(config, SCHEMA) == [
        "dataset.root: must not be empty for data of kind voc",
        "graph.beta: is missing",
        "graph.radius: is missing",
        "refine.dropout: 1.5 is not below 1",
        "seed: -1 is below the minimum of 0",
        "unknown key dataset.nane; did you mean name?",
    ]


def test_an_empty_config_lacks_every_section():
    assert problems_of({}, SCHEMA) == sorted(f"{name}: is missing" for name in SECTIONS.split(", "))
    assert problems_of({}, SCHEMA, whole=False) == []


def test_keys_that_are_not_text_are_reported():
    config = changed(against={1: "cam-only"}, sweeps={datetime.date(2021, 1, 1): []}, experiments={2: 3})
    config["refine"][5] = 1
    assert problems_of(config, SCHEMA) == [
        "against: 1 is not text",
        "experiments: 2 is not text",
        "experiments[2]: 3 is not a section of keys",
        'sweeps: "2021-01-01" is not text',
        f"unknown key refine.5; known are {', '.join(read(ROOT / 'config.yaml')['refine'])}",
    ]


def described(schema: Mapping, whole: Mapping, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and description of every key, sections included."""
    for key, part in schema["properties"].items():
        yield f"{prefix}{key}", part.get("description", "")
        target = whole["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if "properties" in target:
            yield from described(target, whole, f"{prefix}{key}.")


def test_every_key_is_described_and_required():
    schema, config = read(SCHEMA), read(ROOT / "config.yaml")
    descriptions = dict(described(schema, schema))
    named = ("experiments", "against", "sweeps")  # whose keys are names
    keys = flatten({k: v for k, v in config.items() if k not in named})
    assert {key for key in keys if not key.startswith("cluster.stages.")} <= set(descriptions)
    assert not [key for key, text in descriptions.items() if not text.endswith(".") or "\n" in text]
    stack = [schema]
    while stack:
        part = stack.pop()
        if "properties" in part and part.get("type") == "object":
            optional = part is schema["$defs"]["demand"]  # completed by another one
            assert part["additionalProperties"] is False
            assert part.get("required", []) == ([] if optional else list(part["properties"]))
        stack += [value for value in part.values() if isinstance(value, dict)]
