"""The config files and environments of the project, against each other."""

import re

import pytest
import yaml
from configs import ROOT
from tiny_project import merge

from wsgcn.text import flatten
from wsgcn.workflow.sharing import LATER_DEFAULTS


def read(path):
    return yaml.safe_load(path.read_text())


def test_the_conda_environment_has_the_same_pins():
    requirements = (ROOT / "envs/requirements.txt").read_text().splitlines()
    environment = yaml.safe_load((ROOT / "envs/wsgcn.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == [line for line in requirements if line and line[0] != "#"]


def test_voc2012_has_the_released_value_of_each_setting_that_computes_what_was_released():
    config = flatten(merge(read(ROOT / "config.yaml"), read(ROOT / "configs/voc2012.yaml")))
    assert not [key for key, default in LATER_DEFAULTS.items() if config[key] == default]


def test_voc2012_has_the_values_of_the_paper_in_the_comments():
    config = flatten(merge(read(ROOT / "config.yaml"), read(ROOT / "configs/voc2012.yaml")))
    sections, compared = [], 0
    for line in (ROOT / "config.yaml").read_text().splitlines():
        key = re.match(r"( *)(\w+):", line)
        if key:
            sections[len(key[1]) // 2 :] = [key[2]]
            if paper := re.search(r"papers?: ([\d.]+(?![\d.]|, | to | and )|resnet\d+[\w.]*)", line):
                assert str(config[".".join(sections)]) == str(yaml.safe_load(paper[1])), line
                compared += 1
    assert compared > 30
    paper = flatten(read(ROOT / "config.yaml")["experiments"]["paper-settings"])
    assert {key: config[key] for key in paper} == paper


def test_coco_has_the_networks_and_numbers_of_voc2012():
    voc, coco = (read(ROOT / f"configs/{name}.yaml") for name in ("voc2012", "coco"))
    assert coco["experiments"].pop("released-code") == {"refine": {"lambda_ent": pytest.approx(10 / 81, rel=1e-6)}}
    assert {**voc, "dataset": None} == {**coco, "dataset": None}
