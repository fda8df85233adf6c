"""The metrics against a confusion matrix counted by hand, and against naive loops.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_metrics.py`.
"""

import numpy as np
import pytest

from wsgcn.evaluation.metrics import confusion, coverage, iou, miou, precision

# 0 background, 1 and 2 classes, 255 ignored in the truth and unlabelled in the prediction; class 3 occurs nowhere.
TRUTH = np.array([[0, 0, 0, 0, 1], [1, 1, 2, 2, 255]], np.uint8)
COMPLETE = np.array([[0, 0, 1, 0, 1], [1, 2, 2, 3, 1]], np.uint8)
PARTIAL = np.array([[0, 255, 1, 0, 255], [1, 2, 255, 2, 255]], np.uint8)


def test_confusion_by_hand():
    assert confusion(TRUTH, COMPLETE, 3).tolist() == [
        [3, 1, 0, 0, 0],
        [0, 2, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("beyond", [4, 100, 254])
def test_a_class_beyond_the_last_is_an_error_wherever_it_stands(beyond):
    """Counted, it would land in the row of the next class."""
    for place in ((0, 0), (1, 4)):  # also where the truth is ignored
        wrong = COMPLETE.copy()
        wrong[place] = beyond
        with pytest.raises(ValueError, match=f"the prediction holds class {beyond}, but there are only 3"):
            confusion(TRUTH, wrong, 3)
    wrong = TRUTH.copy()
    wrong[0, 0] = beyond
    with pytest.raises(ValueError, match=f"the truth holds class {beyond}"):
        confusion(wrong, COMPLETE, 3)
    with pytest.raises(ValueError, match="the prediction holds class 3"):
        confusion(TRUTH, COMPLETE, 2)


def test_miou_by_hand():
    counts = confusion(TRUTH, COMPLETE, 3)
    np.testing.assert_allclose(iou(counts), [3 / 4, 2 / 4, 1 / 3, np.nan])
    assert miou(counts) == pytest.approx((3 / 4 + 2 / 4 + 1 / 3) / 3)
    assert coverage(counts) == 1
    assert precision(counts) == pytest.approx(6 / 9)


def test_partial_label_by_hand():
    counts = confusion(TRUTH, PARTIAL, 3)
    assert counts[:, -1].tolist() == [1, 1, 1, 0]
    assert coverage(counts) == pytest.approx(6 / 9)
    assert precision(counts) == pytest.approx(4 / 6)
    np.testing.assert_allclose(iou(counts), [2 / 3, 1 / 3, 1 / 2, np.nan])


def test_confusion_matches_naive_loop(rng):
    truth, prediction = rng.choice([0, 1, 2, 3, 4, 255], (2, 13, 17)).astype(np.uint8)
    expected = np.zeros((5, 6), int)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != 255:
            expected[t, 5 if p == 255 else p] += 1
    np.testing.assert_array_equal(confusion(truth, prediction, 4), expected)


def test_counts_of_images_add_up(rng):
    """One matrix over the whole set: not the mean of the images' mIoUs."""
    truth, prediction = rng.integers(0, 3, (2, 4, 6, 5)).astype(np.uint8)
    counts = sum(confusion(t, p, 2) for t, p in zip(truth, prediction, strict=True))
    np.testing.assert_array_equal(counts, confusion(truth.reshape(1, -1), prediction.reshape(1, -1), 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_many_classes_do_not_overflow(dtype):
    truth = np.arange(250).astype(dtype)
    counts = confusion(truth, truth, 250)
    assert counts.shape == (251, 252)
    assert miou(counts) == 1
    assert np.isnan(iou(counts)[250])


def test_class_missing_from_the_truth_only_lowers_others():
    counts = confusion(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 1]], np.uint8), 1)
    np.testing.assert_allclose(iou(counts), [3 / 4, np.nan])
    assert miou(counts) == pytest.approx(3 / 4)


def test_class_never_predicted_scores_zero():
    counts = confusion(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8), 1)
    assert miou(counts) == pytest.approx((1 / 2 + 0) / 2)


@pytest.mark.parametrize(
    "truth, prediction, share", [(255, 0, 0), (0, 255, 0)], ids=["no truth", "nothing is labelled"]
)
def test_empty_counts(truth, prediction, share):
    counts = confusion(np.full((2, 2), truth, np.uint8), np.full((2, 2), prediction, np.uint8), 2)
    assert coverage(counts) == share
    assert precision(counts) == 0
    assert np.isnan(miou(counts)) == (truth == 255)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 1)
