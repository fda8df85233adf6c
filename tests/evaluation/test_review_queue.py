"""The queue of labels: its order, its columns, its reasons, its files.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_review_queue.py`.
"""

import csv

import numpy as np
import pytest

from wsgcn.evaluation.metrics import confusion
from wsgcn.evaluation.review import MeasuredLabels, ReviewSettings, review_scores
from wsgcn.evaluation.review_files import read_measures, truth_rows, write_table
from wsgcn.evaluation.review_queue import percent, queue_rows, reasons, uncertain_share
from wsgcn.evaluation.review_truth import TRUTH_COLUMNS
from wsgcn.files import write_arrays, write_skipped

CLASSES = ("cat", "dog")
SETTINGS = ReviewSettings("area", 0.1, 0.001)


def measure(areas, crf=0.02, walk=0.05, level=250):
    """One label's measures: the shares that its tags cover, how much labels differ, the confidence of all pixels."""
    histogram = np.bincount([level] * 100, minlength=256)
    differences = {"crf_difference": crf, "walk_difference": walk, "refined_walk_difference": walk}
    agreements = {name.replace("difference", "agreement"): 1 - value for name, value in differences.items()}
    scalars = {name: np.array(value) for name, value in (differences | agreements).items()}
    confidences = np.full(len(areas) + 1, level / 255)
    return {"histogram": histogram, "areas": np.array(areas), "class_confidences": confidences, **scalars}


def cats(*measures, usual=12):
    """Images of a cat with these measures, and others among which they stand out, or not."""
    own = [*measures, *(measure([0.1 + k / 100]) for k in range(usual))]
    return MeasuredLabels([f"i{k:02}" for k in range(len(own))], [(1,)] * len(own), own)


def test_the_lowest_score_is_first_and_equal_ones_by_name():
    labels = cats(measure([0.9]))
    scores = review_scores(labels, SETTINGS)
    rows = queue_rows(labels, scores, "area", CLASSES, "GCN")
    assert rows[0]["image"] == "i00" and [row["rank"] for row in rows] == list(range(1, 14))
    assert [row["score"] for row in rows] == sorted(scores["area"])
    assert list(rows[0]) == ["rank", "image", "score", *scores, "tags", "why"] and rows[0]["tags"] == ["cat"]
    same = queue_rows(labels, scores, "tag_coverage", CLASSES, "GCN")
    assert [row["image"] for row in same] == sorted(labels.ids)
    two = MeasuredLabels(["a"], [(2, 1)], [measure([0.1, 0.2])])
    (row,) = queue_rows(two, review_scores(two, SETTINGS), "area", CLASSES, "GCN")
    assert row["tags"] == ["dog", "cat"] and row["why"] == "nothing stands out"


def test_a_score_that_needs_a_walk_is_refused_without_one():
    own = {name: value for name, value in measure([0.1]).items() if "walk" not in name}
    labels = MeasuredLabels(["a"], [(1,)], [own])
    with pytest.raises(ValueError, match="review.score: walk_agreement is not known of these labels"):
        queue_rows(labels, review_scores(labels, SETTINGS), "walk_agreement", CLASSES, "GCN")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (measure([0]), "no pixel of cat, which is a tag"),
        (measure([0.9]), "cat covers 90 %, in half of its other images 13 to 18 %"),
        (measure([0.004]), "cat covers 0.4 %, in half of its other images 13 to 18 %"),
        (measure([0.155], walk=0.31), "GCN and random walk differ on 31 % of the pixels"),
        (measure([0.155], crf=0.2), "the dense CRF changed 20 % of the pixels"),
        (measure([0.155], level=200), "100 % of the pixels are less than 90 % certain"),
        (measure([0.155]), "nothing stands out"),
    ],
)
def test_one_reason_is_given(found, why):
    assert reasons(cats(found), CLASSES, "GCN")[0] == why


def test_two_classes_can_lack():
    labels = MeasuredLabels(["a"], [(1, 2)], [measure([0, 0])])
    assert reasons(labels, CLASSES, "GCN") == ["no pixel of cat and dog, which are tags"]


def test_shares_in_words():
    assert [percent(share) for share in (0, 1e-6, 0.004, 0.0094, 0.0096, 0.316, 1)] == [
        *("0 %", "0.1 %", "0.4 %", "0.9 %", "1 %", "32 %", "100 %")
    ]


def test_uncertain_pixels_are_counted(rng):
    confidence = rng.integers(0, 256, 500)
    expected = sum(value / 255 < 0.9 for value in confidence.tolist()) / 500
    assert uncertain_share(np.bincount(confidence, minlength=256)) == pytest.approx(expected)


def test_skipped_images_are_not_in_the_queue(tmp_path):
    paths = [str(tmp_path / f"{name}.npz") for name in "abc"]
    for path in paths[::2]:
        write_arrays(path, **measure([0.25]))
    write_skipped(paths[1], "partial: broken")
    labels, skipped = read_measures(["a", "b", "c"], [(1,), (2,), (2,)], paths)
    assert (labels.ids, labels.tags, skipped) == (["a", "c"], [(1,), (2,)], ["b"]) and labels.walks
    assert labels.measures[1]["areas"].tolist() == [0.25]
    assert queue_rows(labels, review_scores(labels, SETTINGS), "area", CLASSES, "GCN")[1]["image"] == "c"


def test_only_labels_with_masks_are_compared_with_the_truth(rng):
    labels = cats(usual=8)
    masked = [*labels.ids[::-1][:6], "not in the queue"]
    truth = np.ones((4, 4), np.uint8)
    counts = []
    for hits in range(7):
        label = np.zeros((4, 4), np.uint8)
        label.ravel()[:hits] = 1
        counts.append(confusion(truth, label, 2))
    worst_first = {"best": np.array([9, 9, 5, 4, 3, 2, 1, 0.0]), "same": np.zeros(8)}
    rows = truth_rows(labels, worst_first, np.array(counts), masked)
    assert [(row["score"], row["auroc"], row["images"], row["worst"]) for row in rows] == [
        ("best", 1, 6, 2),
        ("same", 0.5, 6, 2),
    ]
    assert truth_rows(labels, worst_first, np.zeros((0, 3, 4)), []) == []


def test_tables_are_written_with_a_header_in_any_case(tmp_path):
    write_table(tmp_path / "a.csv", [{"image": "a,b", "tags": ["cat", "dog"], "why": "x"}])
    assert list(csv.reader(open(tmp_path / "a.csv"))) == [["image", "tags", "why"], ["a,b", "cat;dog", "x"]]
    write_table(tmp_path / "b.csv", [])
    assert (tmp_path / "b.csv").read_text() == ",".join(TRUTH_COLUMNS) + "\n"
