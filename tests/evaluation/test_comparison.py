"""Comparisons of experiments: against the bootstrap, by hand, and without masks.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_comparison.py`.
"""

import json

import numpy as np
import pytest

from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.comparison import (
    compare_counts,
    compare_experiments,
    comparison_metrics,
    disagreement_shares,
    experiment_row,
    read_counts,
)
from wsgcn.evaluation.label_files import pixel_label
from wsgcn.evaluation.metrics import confusion, miou
from wsgcn.evaluation.names import COMPARED_STAGES
from wsgcn.evaluation.stages import score_labels
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import write_arrays, write_label, write_skipped

EMPTY = [np.zeros((0, 3, 4), np.int64)] * 2  # two classes, no masks
UNKNOWN = {"difference": None, "low": None, "high": None}


@pytest.fixture
def truths(rng):
    return [rng.choice([0, 0, 1, 2, 255], 60) for _ in range(20)]


@pytest.fixture
def draw(truths, rng):
    """Confusions [20, 3, 4] of each stage, of predictions that are right as often as asked."""

    def counts(*shares):
        return [
            np.stack([confusion(t, np.where(rng.random(60) < share, t, rng.integers(0, 3, 60)), 2) for t in truths])
            for share in shares
        ]

    return counts


def evaluations_of(counts, **others):
    """As the evaluation writes them, by stage."""
    values = {
        stage: miou(c.sum(0)) if len(c) else None for stage, c in zip(COMPARED_STAGES, counts, strict=True)
    } | others
    return {stage: {"stage": stage, "split": "train", "miou": value} for stage, value in values.items()}


def in_json(values):
    """Whether the values survive JSON, which has no NaN."""
    return json.loads(json.dumps(values, allow_nan=False)) == values


# Two experiments


def test_compare_counts_matches_bootstrap_per_stage(draw):
    own, reference = draw(0.8, 0.9), draw(0.5, 0.85)
    result = compare_counts(own, reference)
    assert tuple(result) == COMPARED_STAGES == ("refined", "refined_crf") and in_json(result)
    for stage, a, b in zip(COMPARED_STAGES, own, reference, strict=True):
        low, high = interval(resampled_miou(a) - resampled_miou(b))
        assert result[stage] == {"difference": miou(a.sum(0)) - miou(b.sum(0)), "low": low, "high": high}
        assert result[stage] == difference(a, b)
    assert 0 < result["refined"]["low"] < result["refined"]["difference"] < result["refined"]["high"]
    back = compare_counts(reference, own)["refined"]
    assert list(back.values()) == pytest.approx([-result["refined"][key] for key in ("difference", "high", "low")])


def test_compare_counts_by_hand():
    """One image: every resample is that image."""
    half, whole = np.array([[[5, 0, 0], [5, 0, 0]]]), np.array([[[5, 0, 0], [0, 5, 0]]])
    own = {"difference": 0.75, "low": 0.75, "high": 0.75}  # IoU 1 and 1, less 1/2 and 0
    assert compare_counts([whole, half], [half, half]) == {"refined": own, "refined_crf": dict.fromkeys(own, 0.0)}


def test_difference_to_itself_is_zero(draw):
    counts = draw(0.7, 0.9)
    assert compare_counts(counts, counts) == dict.fromkeys(
        COMPARED_STAGES, {"difference": 0.0, "low": 0.0, "high": 0.0}
    )


def test_different_images_cannot_be_compared(draw):
    counts = draw(0.7, 0.9)
    with pytest.raises(ValueError, match="20 images cannot be paired"):
        compare_counts(counts, [c[1:] for c in counts])
    with pytest.raises(ValueError, match="not the same images in the same order"):
        compare_counts(counts, [c[::-1] for c in counts])
    with pytest.raises(ValueError, match="shorter"):
        compare_counts(counts, counts[:1])


def test_without_masks_all_values_are_none():
    assert compare_counts(EMPTY, EMPTY) == dict.fromkeys(COMPARED_STAGES, UNKNOWN)


def test_fully_ignored_masks_count_as_none():
    blank = [np.zeros((3, 3, 4), np.int64)] * 2
    assert compare_counts(blank, blank) == dict.fromkeys(COMPARED_STAGES, UNKNOWN)


# A row of the table


def test_experiment_row(draw):
    own, base = draw(0.8, 0.9), draw(0.5, 0.6)
    comparison = {"disagreement": 0.25} | compare_counts(own, base)
    evaluations = evaluations_of(own, cam=0.3, segmentation_multi_crf=0.77)
    row = experiment_row("mine", evaluations, own, comparison, "seed 1 instead of 0")
    intervals = [interval(resampled_miou(counts)) for counts in own]
    assert row == {
        "experiment": "mine",
        "miou_no_crf": evaluations["refined"]["miou"],
        "miou_no_crf_low": intervals[0][0],
        "miou_no_crf_high": intervals[0][1],
        "difference_no_crf": comparison["refined"]["difference"],
        "low_no_crf": comparison["refined"]["low"],
        "high_no_crf": comparison["refined"]["high"],
        "miou": evaluations["refined_crf"]["miou"],
        "miou_low": intervals[1][0],
        "miou_high": intervals[1][1],
        "difference": comparison["refined_crf"]["difference"],
        "low": comparison["refined_crf"]["low"],
        "high": comparison["refined_crf"]["high"],
        "disagreement": 0.25,
        "segmentation_miou": 0.77,
        "description": "seed 1 instead of 0",
    }
    assert in_json(row) and row["miou_low"] < row["miou"] < row["miou_high"]


def test_row_of_the_base_has_no_differences(draw):
    counts = draw(0.8, 0.9)
    row = experiment_row("base", evaluations_of(counts), counts, {}, "the base")
    known = {"experiment", "description"} | {
        f"miou{suffix}{bound}" for suffix in ("", "_no_crf") for bound in ("", "_low", "_high")
    }
    assert {key for key, value in row.items() if value is not None} == known
    compared = experiment_row(
        "other", evaluations_of(counts), counts, {"disagreement": 0.0} | compare_counts(counts, counts), ""
    )
    assert list(row) == list(compared)


@pytest.mark.parametrize(
    "comparison", [{}, {"disagreement": 0.5} | compare_counts(EMPTY, EMPTY)], ids=["base", "other"]
)
def test_row_without_masks_has_name_and_disagreement(comparison):
    row = experiment_row(
        "mine", evaluations_of(EMPTY, segmentation_multi_crf=None), EMPTY, comparison, "nothing changed"
    )
    known = {"experiment": "mine", "description": "nothing changed"} | ({"disagreement": 0.5} if comparison else {})
    assert {key: value for key, value in row.items() if value is not None} == known and in_json(row)
    assert len(row) == 16


# Counts and label files


def test_counts_keep_the_order_of_the_images_with_masks(tmp_path, rng):
    labels = rng.choice([0, 1, 2, 255], (2, 4, 6, 7)).astype(np.uint8)  # predictions and truths of four images
    labels[0, 2] = labels[1, 2]
    for name, maps in zip(("own", "truth"), labels, strict=True):
        for image, label in zip("abcd", maps, strict=True):
            write_label(tmp_path / f"{name}-{image}.png", label)
    paths, masks = ([str(tmp_path / f"{name}-{image}.png") for image in "abcd"] for name in ("own", "truth"))
    masks[1] = None
    values = [0, 1, 2, *[-1] * 252, 255]
    scores, counts = score_labels(paths, GroundTruth("abcd", masks, values, ["cat", "dog"]), pixel_label)
    own = [confusion(labels[1, k], labels[0, k], 2) for k in (0, 2, 3)]
    np.testing.assert_array_equal(counts, own)
    assert counts.shape == (3, 3, 4) and counts.dtype == np.int64
    assert scores["images"] == 3 and scores["confusion"] == counts.sum(0).tolist() and in_json(scores)
    assert scores["miou"] == miou(counts.sum(0)) and scores["by_image"][-1]["image"] == "c"  # the best


def test_empty_counts_keep_their_shape_in_a_file(tmp_path):
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    write_label(paths[0], np.zeros((2, 2), np.uint8))
    write_skipped(paths[1], "cam: no")
    scores, counts = score_labels(paths, GroundTruth("ab", [None, None], [0, 1, 2], ["cat", "dog"]), pixel_label)
    assert scores["skipped"] == {"b": "cam: no"}
    assert counts.shape == (0, 3, 4) and scores["miou"] is None and in_json(scores)
    write_arrays(tmp_path / "counts.npz", counts=counts)
    read = read_counts([str(tmp_path / "counts.npz")] * 2)
    assert compare_counts(read, read) == dict.fromkeys(COMPARED_STAGES, UNKNOWN)
    assert experiment_row("mine", evaluations_of(read), read, {}, "")["miou_low"] is None


def test_disagreement_is_the_mean_share_of_differing_pixels(tmp_path, draw):
    labels = {"a": [[0, 1], [2, 255]], "b": [[0, 0], [0, 255]], "c": [[1, 1], [2, 0]]}
    for name, values in labels.items():
        write_label(tmp_path / f"{name}.png", np.array(values, np.uint8))
    write_skipped(tmp_path / "skipped.png", "refine: no")
    own, reference = ([str(tmp_path / f"{n}.png") for n in names.split()] for names in ("a a skipped a", "b c a a"))
    shares = disagreement_shares(own, reference)
    assert shares == {0: 0.5, 1: 0.5, 3: 0.0}
    counts = draw(0.7, 0.9)
    assert compare_experiments(shares, counts, counts) == {"disagreement": 1 / 3} | compare_counts(counts, counts)
    nothing = compare_experiments(disagreement_shares(own[2:3], reference[2:3]), counts, counts)
    assert nothing["disagreement"] == 0 and in_json(nothing)
    with pytest.raises(ValueError, match="longer"):
        disagreement_shares(own, [*reference, own[0]])


# Metrics of a run


def test_comparison_metrics_are_named_by_split_and_stage(draw):
    own, base = draw(0.8, 0.9), draw(0.5, 0.6)
    evaluations = evaluations_of(own)
    row = experiment_row("mine", evaluations, own, {"disagreement": 0.25} | compare_counts(own, base), "")
    assert comparison_metrics(row, evaluations) == {
        "train/refined/miou_low": row["miou_no_crf_low"],
        "train/refined/miou_high": row["miou_no_crf_high"],
        "train/refined/difference_to_base": row["difference_no_crf"],
        "train/refined/difference_to_base_low": row["low_no_crf"],
        "train/refined/difference_to_base_high": row["high_no_crf"],
        "train/refined_crf/miou_low": row["miou_low"],
        "train/refined_crf/miou_high": row["miou_high"],
        "train/refined_crf/difference_to_base": row["difference"],
        "train/refined_crf/difference_to_base_low": row["low"],
        "train/refined_crf/difference_to_base_high": row["high"],
        "train/refined_crf/disagreement_with_base": 0.25,
    }


def test_metrics_without_masks_are_none():
    evaluations = evaluations_of(EMPTY)
    metrics = comparison_metrics(experiment_row("base", evaluations, EMPTY, {}, ""), evaluations)
    assert len(metrics) == 11 and set(metrics.values()) == {None}
