"""The names of metrics, which results of different versions share.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_metric_names.py`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

import wsgcn
from wsgcn.evaluation.names import experiment_metrics, metric_name, stage_metrics

PARTIAL = {
    "stage": "partial",
    "split": "train",
    "miou": 0.5,
    "coverage": 0.6,
    "precision": 0.7,
    "seconds_per_image": 2.0,
}
PARTIAL |= {"without_background": 0.1, "iou": {"background": 0.4, "a/b": None}}
CRF = {"stage": "refined_crf", "split": "train", "miou": 0.8, "coverage": 1.0, "precision": 0.9}
CRF |= {"seconds_per_image": None, "iou": {"background": 0.8}}


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("miou", "my_list/refined_crf/miou"),
        ("iou/potted plant", "my_list/refined_crf/iou/potted plant"),
        ("iou/a/b", "my_list/refined_crf/iou/a_b"),
        ("iou/..", "my_list/refined_crf/iou/__"),
        ("iou/Blüte", "my_list/refined_crf/iou/Blüte"),
    ],
)
def test_metric_name_contains_its_protocol(metric, name):
    assert metric_name({"split": "my/list", "stage": "refined_crf"}, metric) == name


def test_stage_metrics():
    assert stage_metrics(PARTIAL) == {
        "train/partial/miou": 0.5,
        "train/partial/coverage": 0.6,
        "train/partial/precision": 0.7,
        "train/partial/iou/background": 0.4,
        "train/partial/iou/a_b": None,
        "train/partial/seconds_per_image": 2.0,
    }


def test_experiment_metrics_add_coverage_of_partial_labels_only():
    assert experiment_metrics([PARTIAL, CRF], {"classifier": 1.5}) == {
        "minutes/classifier": 1.5,
        "train/partial/miou": 0.5,
        "train/partial/coverage": 0.6,
        "train/partial/precision": 0.7,
        "train/partial/without_background": 0.1,
        "train/partial/seconds_per_image": 2.0,
        "train/partial/iou/background": 0.4,
        "train/partial/iou/a_b": None,
        "train/refined_crf/miou": 0.8,
        "train/refined_crf/seconds_per_image": None,
        "train/refined_crf/iou/background": 0.8,
    }
    assert experiment_metrics([], {}) == {}


def test_names_are_imported_without_torch_and_pandas():
    """Snakemake imports them while it plans."""
    code = "import sys, wsgcn.evaluation.names; print(sorted({'torch', 'pandas', 'mlflow'} & set(sys.modules)))"
    folder = Path(wsgcn.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_false_foreground_is_a_metric_where_there_are_negatives():
    negatives = CRF | {"false_foreground": 0.02}
    for metrics in (stage_metrics(negatives), experiment_metrics([negatives], {})):
        assert metrics["train/refined_crf/false_foreground"] == 0.02
    assert "train/refined_crf/false_foreground" not in stage_metrics(CRF)
