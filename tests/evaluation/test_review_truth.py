"""How well scores find the worst labels: mIoU of images, AUROC, its table.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_review_truth.py`.
"""

import statistics

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from wsgcn.evaluation import review_truth
from wsgcn.evaluation.metrics import confusion
from wsgcn.evaluation.review_truth import auroc, auroc_table, image_miou, worst_labels
from wsgcn.files import IGNORE


def slow_miou(truth, label, tags):
    """Over the background and the classes that are tags or in the truth, but those that neither shows."""
    known = truth != IGNORE
    ious = []
    for index in {0, *tags, *truth[known].tolist()}:
        a, b = (truth == index) & known, (label == index) & known
        if (a | b).any():
            ious.append((a & b).sum() / (a | b).sum())
    return statistics.fmean(ious)


def test_image_miou_is_over_tags_truth_and_background(rng):
    for tags in [(1,), (1, 2), (3,)] * 5:
        truth = rng.choice([0, 1, 3, IGNORE], (8, 9), p=[0.5, 0.3, 0.1, 0.1]).astype(np.uint8)
        label = rng.choice([0, 1, 2], (8, 9), p=[0.5, 0.4, 0.1]).astype(np.uint8)
        assert image_miou(confusion(truth, label, 4), tags) == pytest.approx(slow_miou(truth, label, tags))


def test_a_tag_that_neither_shows_does_not_count():
    blank = np.zeros((3, 3), np.uint8)
    assert image_miou(confusion(blank, blank, 2), (1,)) == 1
    assert np.isnan(image_miou(confusion(np.full_like(blank, IGNORE), blank, 2), (1,)))
    wrong = blank.copy()
    wrong[0] = 1  # a tag that only the label shows
    assert image_miou(confusion(blank, wrong, 2), (1,)) == pytest.approx((6 / 9 + 0) / 2)


@pytest.mark.parametrize(("count", "worst"), [(1, 1), (4, 1), (5, 2), (100, 25)])
def test_a_quarter_is_worst(count, worst, rng):
    mious = rng.permutation(count) / count
    found = worst_labels(mious)
    assert found.sum() == worst and mious[found].max() < min(mious[~found], default=2)


def test_labels_of_equal_miou_are_worst_together():
    assert worst_labels(np.array([0.5, 0.5, 0.9, 0.5])).tolist() == [True, True, False, True]
    assert worst_labels(np.empty(0)).tolist() == []


def slow_auroc(bad, scores):
    pairs = [(b, g) for b, is_bad in zip(scores, bad, strict=True) if is_bad for g in np.array(scores)[~np.array(bad)]]
    return sum((b < g) + (b == g) / 2 for b, g in pairs) / len(pairs)


def test_auroc_is_that_of_pairs_and_of_sklearn(rng):
    for _ in range(20):
        bad, scores = rng.random(30) < 0.3, rng.integers(0, 8, 30) / 7
        bad[:2] = True, False
        expected = roc_auc_score(bad, -scores)
        assert slow_auroc(bad.tolist(), scores.tolist()) == pytest.approx(expected)
        assert auroc(bad, scores) == pytest.approx(expected)
    bad, scores = rng.random((5, 12)) < 0.5, rng.random((5, 12))
    assert auroc(bad, scores).tolist() == [auroc(*row) for row in zip(bad, scores, strict=True)]
    assert np.isnan(auroc(np.ones(3, bool), np.arange(3.0)))


def test_the_table_has_the_best_score_first_with_its_interval(rng, monkeypatch):
    mious = rng.random(40)
    scores = {"noise": rng.random(40), "truth": mious, "good": mious + rng.normal(0, 0.1, 40)}
    rows = auroc_table(scores, mious, draws=500)
    assert [row["score"] for row in rows] == ["truth", "good", "noise"]
    assert {(row["images"], row["worst"]) for row in rows} == {(40, 10)}
    assert rows[0]["auroc"] == rows[0]["low"] == rows[0]["high"] == 1
    assert all(row["low"] <= row["auroc"] <= row["high"] for row in rows)
    bad, values = worst_labels(mious), []
    generator = np.random.default_rng(0)
    for indices in generator.integers(40, size=(500, 40)):
        if 0 < bad[indices].sum() < 40:
            values.append(slow_auroc(bad[indices].tolist(), scores["good"][indices].tolist()))
    assert (rows[1]["low"], rows[1]["high"]) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    monkeypatch.setattr(review_truth, "MAX_DRAWN", 90)  # two resamples at a time
    assert auroc_table(scores, mious, draws=500) == rows


def test_one_image_says_nothing():
    (row,) = auroc_table({"a": np.array([0.3])}, np.array([0.5]))
    assert np.isnan([row["auroc"], row["low"], row["high"]]).all() and row["worst"] == 1
