"""config.yaml in the forms that tests of experiments want."""

import copy
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from wsgcn.workflow.experiments import COMMON, merge, read_experiments

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "rules/schemas/config.yaml"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
BASE = CONFIG["experiment"]
SETTINGS = {key: value for key, value in CONFIG.items() if key not in COMMON}  # the base's


def config_with(experiments: Mapping | None = None, sweeps: Mapping | None = None, **others: object) -> dict:
    """config.yaml with these experiments and sweeps alone, and no further comparisons."""
    return copy.deepcopy(CONFIG) | {"experiments": experiments or {}, "sweeps": sweeps or {}, "against": {}} | others


def complaints(*arguments: object, **others: object) -> list[str]:
    with pytest.raises(ValueError) as caught:
        read_experiments(config_with(*arguments, **others), SCHEMA)
    return str(caught.value).splitlines()


KINDS = [
    merge(SETTINGS, {"affinity": affinity, "refinement": refinement, "cam": {"folder": folder}})
    for affinity in ("irnet", "psa")
    for refinement in ("gcn", "random_walk", "none")
    for folder in ("", "elsewhere")
] + [
    merge(SETTINGS, change)
    for change in ({"classifier": {"train": "head"}}, {"cam_source": "mil"}, {"cam_source": "self_training"})
]
