"""All experiments side by side, from the files that evaluations and comparisons write.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_ablations.py`.
"""

import numpy as np
import pytest

from wsgcn.evaluation.ablations import read_ablations
from wsgcn.evaluation.comparison import compare_experiments, experiment_row
from wsgcn.evaluation.metrics import confusion, miou
from wsgcn.evaluation.names import COMPARED_STAGES
from wsgcn.files import write_arrays, write_json

NAMES = ("base", "better", "other")
PAIRS = [("better", "base"), ("other", "base"), ("other", "better")]


@pytest.fixture
def counts(rng):
    """{experiment: confusions [15, 3, 4] per compared stage}, with rising shares of right pixels."""
    truths = [rng.choice([0, 1, 2, 255], 60) for _ in range(15)]

    def predict(share):
        return np.stack([confusion(t, np.where(rng.random(60) < share, t, 1), 2) for t in truths])

    return {name: [predict(0.5 + 0.1 * k), predict(0.6 + 0.1 * k)] for k, name in enumerate(NAMES)}


@pytest.fixture
def ablations(counts, tmp_path):
    evaluations, count_files, comparisons = {}, {}, {}
    for name in NAMES:
        for stage, values in zip(COMPARED_STAGES, counts[name], strict=True):
            evaluation = {"stage": stage, "split": "train", "miou": miou(values.sum(0)), "iou": {"cat": len(name) / 10}}
            write_json(tmp_path / f"{name}-{stage}.json", evaluation)
            write_arrays(tmp_path / f"{name}-{stage}.npz", counts=values)
        evaluations[name] = [str(tmp_path / f"{name}-{stage}.json") for stage in COMPARED_STAGES]
        count_files[name] = [str(tmp_path / f"{name}-{stage}.npz") for stage in COMPARED_STAGES]
    for own, reference in PAIRS:
        comparisons[own, reference] = str(tmp_path / f"{own}-{reference}.json")
        write_json(comparisons[own, reference], compare_experiments({0: 0.25}, counts[own], counts[reference]))
    return read_ablations("base", evaluations, count_files, comparisons, {name: f"{name}!" for name in NAMES})


def test_rows_match_experiment_row(ablations, counts):
    assert [row["experiment"] for row in ablations.rows] == list(NAMES) == list(ablations.evaluations)
    for row in ablations.rows:
        name = row["experiment"]
        comparison = {} if name == "base" else compare_experiments({0: 0.25}, counts[name], counts["base"])
        assert row == experiment_row(name, ablations.evaluations[name], counts[name], comparison, f"{name}!")
    assert ablations.rows[0]["difference"] is None and ablations.rows[1]["difference"] > 0


def test_further_comparisons_are_those_with_other_experiments(ablations, counts):
    comparison = compare_experiments({}, counts["other"], counts["better"])
    assert ablations.further == [
        {"experiment": "other", "against": "better", "stage": stage} | comparison[stage] for stage in COMPARED_STAGES
    ]


def test_class_iou_is_that_of_the_pseudo_labels(ablations):
    assert ablations.class_iou == {"base": {"cat": 0.4}, "better": {"cat": 0.6}, "other": {"cat": 0.5}}
    assert ablations.base == "base"
