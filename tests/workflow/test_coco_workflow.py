"""Masks that Snakemake's jobs paint from COCO's annotations, and when they are painted again.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_coco_workflow.py`.
"""

import json
import os
import sys

import numpy as np
import pytest
from tiny_project import ROOT, copy_workflow, snakemake, write_config
from tiny_voc import planned

from wsgcn.files import read_label

sys.path.insert(0, str(ROOT / "tests/data"))
from small_coco import write_coco  # noqa: E402

MASKS = [f"results/tiny/data/masks/{image}.png" for image in ("train_1", "train_2", "train_3", "train_4")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project whose masks of the training images are painted."""
    folder = tmp_path_factory.mktemp("project")
    copy_workflow(folder)
    write_coco(folder / "data")
    dataset = {"name": "tiny", "kind": "coco", "root": "data", "train": "train", "label": "train", "evaluate": "val"}
    write_config(folder, {"dataset": dataset, "batch_size": 2})
    snakemake(folder, *MASKS)
    return folder


def test_jobs_paint_masks(folder):
    labels = [read_label(folder / mask) for mask in MASKS]
    assert [set(np.unique(label)) for label in labels] == [{0, 1, 3}, {0, 2, 255}, {0, 4}, {0}]
    assert planned(folder, *MASKS) == set()


def test_masks_are_painted_again_where_their_objects_change(folder):
    path = folder / "data/annotations/instances_train.json"
    given = path.read_text()
    path.write_text(json.dumps(json.loads(given), indent=1))
    assert planned(folder, *MASKS) == set()
    content = json.loads(given)
    content["annotations"][0]["category_id"] = 3
    path.write_text(json.dumps(content))
    try:
        [rule] = planned(folder, *MASKS)
        assert rule.startswith("paint_train_")
    finally:
        path.write_text(given)
    os.utime(path)
    assert planned(folder, *MASKS) == set()


def test_labels_alone_state_no_masks(folder):
    """Though all of the base does."""
    every, labels = planned(folder, "all"), planned(folder, "labels") - {"labels"}
    assert labels < every and not any(rule.startswith(("paint", "evaluate", "track")) for rule in labels)
    assert any(rule.startswith("paint_new_") for rule in every)
    assert {rule for rule in every if rule.startswith(("cam", "partial", "refine", "pseudo", "irnet"))} <= labels
