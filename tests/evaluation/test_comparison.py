"""Experiments side by side: against the bootstrap and by hand, and without masks."""

import json

import numpy as np
import pytest

from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.comparison import STAGES, compare, metrics_of, row_of
from wsgcn.evaluation.metrics import confusion, miou
from wsgcn.evaluation.stages import evaluate
from wsgcn.files import read_arrays, read_label, write_arrays, write_label, write_skipped

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
    values = {stage: miou(c.sum(0)) if len(c) else None for stage, c in zip(STAGES, counts, strict=True)} | others
    return {stage: {"stage": stage, "split": "train", "miou": value} for stage, value in values.items()}


def in_json(values):
    """Whether JSON, which knows no NaN, takes the values."""
    return json.loads(json.dumps(values, allow_nan=False)) == values


# Two experiments


def test_compare_has_each_stage_s_difference_and_interval(draw):
    own, reference = draw(0.8, 0.9), draw(0.5, 0.85)
    found = compare(own, reference)
    assert tuple(found) == STAGES == ("refined", "refined_crf") and in_json(found)
    for stage, a, b in zip(STAGES, own, reference, strict=True):
        low, high = interval(resampled_miou(a) - resampled_miou(b))
        assert found[stage] == {"difference": miou(a.sum(0)) - miou(b.sum(0)), "low": low, "high": high}
        assert found[stage] == difference(a, b)
    assert 0 < found["refined"]["low"] < found["refined"]["difference"] < found["refined"]["high"]
    back = compare(reference, own)["refined"]
    assert list(back.values()) == pytest.approx([-found["refined"][key] for key in ("difference", "high", "low")])


def test_compare_by_hand():
    """One image: every resample is that image."""
    half, whole = np.array([[[5, 0, 0], [5, 0, 0]]]), np.array([[[5, 0, 0], [0, 5, 0]]])
    own = {"difference": 0.75, "low": 0.75, "high": 0.75}  # IoU 1 and 1, less 1/2 and 0
    assert compare([whole, half], [half, half]) == {"refined": own, "refined_crf": dict.fromkeys(own, 0.0)}


def test_an_experiment_does_not_differ_from_itself(draw):
    counts = draw(0.7, 0.9)
    assert compare(counts, counts) == dict.fromkeys(STAGES, {"difference": 0.0, "low": 0.0, "high": 0.0})


def test_other_images_are_no_comparison(draw):
    counts = draw(0.7, 0.9)
    with pytest.raises(ValueError, match="20 images cannot be paired"):
        compare(counts, [c[1:] for c in counts])
    with pytest.raises(ValueError, match="not the same images in the same order"):
        compare(counts, [c[::-1] for c in counts])
    with pytest.raises(ValueError, match="shorter"):
        compare(counts, counts[:1])


def test_without_masks_nothing_is_known():
    assert compare(EMPTY, EMPTY) == dict.fromkeys(STAGES, UNKNOWN)


def test_masks_that_show_nothing_say_nothing():
    """All of their pixels are to be ignored."""
    blank = [np.zeros((3, 3, 4), np.int64)] * 2
    assert compare(blank, blank) == dict.fromkeys(STAGES, UNKNOWN)


# A row of the table


def test_row_of_an_experiment(draw):
    own, base = draw(0.8, 0.9), draw(0.5, 0.6)
    comparison = {"disagreement": 0.25} | compare(own, base)
    evaluations = evaluations_of(own, cam=0.3, segmentation_multi_crf=0.77)
    row = row_of("mine", evaluations, own, comparison, "seed 1 instead of 0")
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


def test_the_base_s_row_has_no_differences(draw):
    counts = draw(0.8, 0.9)
    row = row_of("base", evaluations_of(counts), counts, {}, "the base")
    known = {"experiment", "description"} | {
        f"miou{suffix}{bound}" for suffix in ("", "_no_crf") for bound in ("", "_low", "_high")
    }
    assert {key for key, value in row.items() if value is not None} == known
    compared = row_of("other", evaluations_of(counts), counts, {"disagreement": 0.0} | compare(counts, counts), "")
    assert list(row) == list(compared)


@pytest.mark.parametrize("comparison", [{}, {"disagreement": 0.5} | compare(EMPTY, EMPTY)], ids=["base", "other"])
def test_without_masks_a_row_has_its_name_and_what_differs(comparison):
    row = row_of("mine", evaluations_of(EMPTY, segmentation_multi_crf=None), EMPTY, comparison, "nothing changed")
    known = {"experiment": "mine", "description": "nothing changed"} | ({"disagreement": 0.5} if comparison else {})
    assert {key: value for key, value in row.items() if value is not None} == known and in_json(row)
    assert len(row) == 16


# The counts that both take


def test_counts_are_those_of_the_images_that_have_a_mask_in_their_order(tmp_path, rng):
    labels = rng.choice([0, 1, 2, 255], (2, 4, 6, 7)).astype(np.uint8)  # predictions and truths of four images
    labels[0, 2] = labels[1, 2]
    for name, maps in zip(("own", "truth"), labels, strict=True):
        for image, label in zip("abcd", maps, strict=True):
            write_label(tmp_path / f"{name}-{image}.png", label)
    paths, masks = ([str(tmp_path / f"{name}-{image}.png") for image in "abcd"] for name in ("own", "truth"))
    masks[1] = None
    values = [0, 1, 2, *[-1] * 252, 255]
    scores, counts = evaluate("abcd", paths, masks, values, ["cat", "dog"], lambda path, size: read_label(path))
    own = [confusion(labels[1, k], labels[0, k], 2) for k in (0, 2, 3)]
    np.testing.assert_array_equal(counts, own)
    assert counts.shape == (3, 3, 4) and counts.dtype == np.int64
    assert scores["images"] == 3 and scores["confusion"] == counts.sum(0).tolist() and in_json(scores)
    assert scores["miou"] == miou(counts.sum(0)) and scores["by_image"][-1]["image"] == "c"  # the best


def test_counts_of_no_masks_keep_their_shape_in_a_file(tmp_path):
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    write_label(paths[0], np.zeros((2, 2), np.uint8))
    write_skipped(paths[1], "cam: no")
    scores, counts = evaluate(["a", "b"], paths, [None, None], [0, 1, 2], ["cat", "dog"], None)
    assert scores["skipped"] == {"b": "cam: no"}
    assert counts.shape == (0, 3, 4) and scores["miou"] is None and in_json(scores)
    write_arrays(tmp_path / "counts.npz", counts=counts)
    read = [read_arrays(tmp_path / "counts.npz")["counts"]] * 2
    assert compare(read, read) == dict.fromkeys(STAGES, UNKNOWN)
    assert row_of("mine", evaluations_of(read), read, {}, "")["miou_low"] is None


# What goes into a run


def test_metrics_of_a_row_carry_split_and_stage(draw):
    own, base = draw(0.8, 0.9), draw(0.5, 0.6)
    evaluations = evaluations_of(own)
    row = row_of("mine", evaluations, own, {"disagreement": 0.25} | compare(own, base), "")
    assert metrics_of(row, evaluations) == {
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
    metrics = metrics_of(row_of("base", evaluations, EMPTY, {}, ""), evaluations)
    assert len(metrics) == 11 and set(metrics.values()) == {None}
