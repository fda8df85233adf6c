"""Fixtures of the tests of COCO's reader."""

import pytest
from small_coco import write_coco

from wsgcn.workflow.inputs import read_dataset


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / "coco")


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def read(root, results):
    """read(changed settings): the data set."""
    lists = {"train": "train", "label": "train", "evaluate": "val"}
    settings = {"kind": "coco", "root": str(root), "classes": []} | lists
    return lambda **changed: read_dataset(settings | changed, 0, results)
