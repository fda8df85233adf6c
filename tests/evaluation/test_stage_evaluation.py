"""Label files against masks: skipped images, the sweep of background scores, and the content of an evaluation.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_stage_evaluation.py`.
"""

import json

import numpy as np
import pytest

from wsgcn.evaluation.label_files import (
    cam_label,
    cam_labeller,
    grid_label,
    label_reader,
    pixel_label,
    refined_label,
    share_without_background,
    walk_labeller,
)
from wsgcn.evaluation.stages import (
    THRESHOLDS,
    StageProtocol,
    evaluate_stage,
    false_foreground,
    score_labels,
    sweep_thresholds,
)
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import IGNORE, write_arrays, write_label, write_skipped

VALUES, CLASSES = [0, 1, 2, *[-1] * 252, 255], ["cat", "dog"]


@pytest.fixture
def masks(rng, tmp_path):
    """The masks of three of four images."""
    paths = [str(tmp_path / f"mask-{k}.png") for k in range(3)]
    for path in paths:
        write_label(path, rng.choice([0, 1, 2, 255], (6, 8)).astype(np.uint8))
    return [*paths, None]


@pytest.fixture
def truth(masks):
    return GroundTruth("abcd", masks, VALUES, CLASSES)


@pytest.fixture
def score_files(rng, tmp_path):
    """score_files(kind): four CAM files, or refined files with a constant background; the second image is skipped."""

    def write(kind):
        paths = [str(tmp_path / f"{kind}-{k}.npz") for k in range(4)]
        for path in paths:
            maps = rng.random((2, 6, 8)).astype(np.float32)
            scores = np.concatenate([np.full((1, 6, 8), 0.35), maps])
            write_arrays(
                path, keys=np.array([1, 2], np.uint8), **({"high_res": maps} if kind == "cam" else {"scores": scores})
            )
        write_skipped(paths[1], f"{kind}: no")
        return paths

    return write


@pytest.fixture
def seconds(tmp_path):
    path = tmp_path / "seconds.csv"
    path.write_text("image,seconds\na,1\nc,2\nd,6\n")
    return [str(path)]


# Scores


@pytest.mark.parametrize("missing", [0, IGNORE])
def test_skipped_image_counts_like_an_empty_label(missing, tmp_path):
    """An experiment gains nothing by failing on an image."""
    mask = np.array([[0, 0, 1, 1], [2, 2, 1, 255]], np.uint8)
    files = {name: str(tmp_path / f"{name}.png") for name in ("mask", "right", "skipped", "empty")}
    write_label(files["mask"], mask)
    write_label(files["right"], np.where(mask == 255, 0, mask))
    write_label(files["empty"], np.full(mask.shape, missing, np.uint8))
    write_skipped(files["skipped"], "refine: no")

    def scores(second):
        truth = GroundTruth("ab", [files["mask"]] * 2, VALUES, CLASSES)
        return score_labels([files["right"], files[second]], truth, pixel_label, missing)

    (result, counts), (expected, expected_counts) = scores("skipped"), scores("empty")
    assert np.array_equal(counts, expected_counts)
    assert result.pop("skipped") == {"b": "refine: no"} and expected.pop("skipped") == {}
    assert result == expected and result["images"] == 2


def test_lists_of_different_lengths_are_an_error(truth, score_files):
    with pytest.raises(ValueError, match="shorter"):
        score_labels(score_files("cam")[:3], truth, label_reader("cam", 0.3))
    with pytest.raises(ValueError, match="shorter"):
        sweep_thresholds(score_files("cam")[:3], truth, cam_labeller)


@pytest.mark.parametrize("kind", ["cam", "walk"])
def test_sweep_matches_an_evaluation_at_each_threshold(kind, truth, score_files):
    """Also for a skipped image, which counts as background, and for an image without a mask, which does not count."""
    paths = score_files(kind)
    sweep = sweep_thresholds(paths, truth, cam_labeller if kind == "cam" else walk_labeller)
    assert list(sweep) == [f"{threshold:.2f}" for threshold in THRESHOLDS] and len(set(sweep.values())) > 5
    for threshold in THRESHOLDS:
        scores, _ = score_labels(paths, truth, label_reader("cam", threshold) if kind == "cam" else refined_label)
        if kind == "cam" or threshold == 0.35:
            assert sweep[f"{threshold:.2f}"] == scores["miou"]
    assert sweep_thresholds(paths, GroundTruth("abcd", [None] * 4, VALUES, CLASSES), cam_labeller) == {}


# Label files


def test_reader_of_each_stage(score_files, tmp_path):
    cam, refined = score_files("cam")[0], score_files("walk")[0]
    write_label(tmp_path / "grid.png", np.array([[0, 1], [2, 255]], np.uint8))
    grid = str(tmp_path / "grid.png")
    read = label_reader("cam", 0.4)
    np.testing.assert_array_equal(read(cam, (12, 16)), cam_label(cam, (12, 16), 0.4))
    assert (read(cam, (12, 16)) != label_reader("cam", 0.9)(cam, (12, 16))).any()
    np.testing.assert_array_equal(label_reader("refined")(refined, (12, 16)), refined_label(refined, (12, 16)))
    assert label_reader("refined", 0.4) is refined_label, "a walk's constant is already among its scores"
    np.testing.assert_array_equal(label_reader("partial")(grid, (4, 4)), [[0, 0, 1, 1]] * 2 + [[2, 2, 255, 255]] * 2)
    assert label_reader("partial") is grid_label
    for stage in ("refined_crf", "segmentation_single", "segmentation_multi_crf"):
        assert label_reader(stage) is pixel_label


def test_share_of_labels_without_background(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(4)]
    for path, row in zip(paths, ([0, 1], [1, 255], [255, 255]), strict=False):
        write_label(path, np.array([row], np.uint8))
    write_skipped(paths[3], "no")
    assert share_without_background(paths) == 2 / 3
    assert share_without_background(paths[3:]) == 0


# The evaluation of a stage


def test_evaluation_of_cams_has_a_sweep_and_its_protocol(truth, score_files, seconds):
    paths = score_files("cam")
    protocol = StageProtocol("cam", "train", "argmax against background 0.3", 0.3)
    result, counts = evaluate_stage(protocol, truth, paths, seconds)
    scores, expected_counts = score_labels(paths, truth, label_reader("cam", 0.3))
    assert list(result)[:4] == ["stage", "split", "protocol", "sweep"] and list(result)[-1] == "seconds_per_image"
    assert {key: result[key] for key in scores} == scores and np.array_equal(counts, expected_counts)
    assert result["sweep"] == sweep_thresholds(paths, truth, cam_labeller) and len(counts) == 3
    assert result["protocol"] == "argmax against background 0.3, 3 of 4 images have masks"
    assert result["skipped"] == {"b": "cam: no"} and result["seconds_per_image"] == 3
    assert "without_background" not in result and json.loads(json.dumps(result, allow_nan=False)) == result


def test_evaluation_of_a_walk_sweeps_its_constant_only_where_it_has_one(truth, score_files):
    paths = score_files("walk")
    with_constant, _ = evaluate_stage(StageProtocol("refined", "train", "walk", 0.35), truth, paths, [])
    assert with_constant["sweep"] == sweep_thresholds(paths, truth, walk_labeller)
    without, _ = evaluate_stage(StageProtocol("refined", "train", "walk"), truth, paths, [])
    assert "sweep" not in without and without["miou"] == with_constant["miou"]
    assert without["seconds_per_image"] is None


def test_evaluation_of_partial_labels_leaves_skipped_images_unlabelled(masks, tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(2)]
    write_label(paths[0], np.array([[1, 2, 255, 255]], np.uint8).repeat(2, 1).repeat(6, 0))
    write_skipped(paths[1], "partial: no")
    truth = GroundTruth("ab", masks[:2], VALUES, CLASSES)
    result, counts = evaluate_stage(StageProtocol("partial", "train", "labelled pixels only"), truth, paths, [])
    assert result["without_background"] == 1 and result["protocol"] == "labelled pixels only"
    assert counts[1, :, :-1].sum() == 0 and counts[1, :, -1].sum() > 0
    assert 0 < result["coverage"] < 0.5
    as_background, _ = evaluate_stage(StageProtocol("refined_crf", "train", ""), truth, paths, [])
    assert as_background["coverage"] > result["coverage"] and "without_background" not in as_background


def test_evaluation_without_masks(score_files):
    truth = GroundTruth("abcd", [None] * 4, VALUES, CLASSES)
    result, counts = evaluate_stage(StageProtocol("cam", "train", "argmax", 0.3), truth, score_files("cam"), [])
    assert counts.shape == (0, 3, 4) and result["sweep"] == result["iou"] == {} and result["by_image"] == []
    assert result["protocol"] == "argmax" and result["images"] == 0
    assert [result[key] for key in ("miou", "coverage", "precision")] == [None] * 3


def test_images_are_listed_worst_first(rng, tmp_path):
    masks, paths = ([str(tmp_path / f"{name}-{k}.png") for k in range(4)] for name in ("mask", "label"))
    for k, (mask, path) in enumerate(zip(masks, paths, strict=True)):
        values = rng.choice([0, 1, 2], (8, 8)).astype(np.uint8)
        write_label(mask, values if k else np.full((8, 8), 255, np.uint8))
        write_label(path, np.where(rng.random((8, 8)) < k / 3, values, 0).astype(np.uint8))
    result, _ = score_labels(paths, GroundTruth("abcd", masks, VALUES, CLASSES), pixel_label)
    assert [row["image"] for row in result["by_image"]] == ["b", "c", "d", "a"]
    assert result["by_image"][-2]["miou"] == 1 and result["by_image"][-1]["miou"] is None


# The ground truth


def test_ground_truth_reads_masks_as_classes(tmp_path):
    path = str(tmp_path / "mask.png")
    write_label(path, np.array([[0, 8, 12, 255]], np.uint8))
    values = [255] * 256
    values[0], values[8], values[12] = 0, 1, 2
    truth = GroundTruth("ab", [path, None], values)
    assert truth.read(0).tolist() == [[0, 1, 2, 255]] and truth.read(1) is None
    values[12] = -1
    with pytest.raises(ValueError, match=f"mask {path} .* of no class: 12"):
        GroundTruth("a", [path], values).read(0)


def test_false_foreground_is_counted_over_the_pixels_of_negatives(rng, tmp_path):
    """Of a and c; b shows a class, d was skipped, and the mask of e shows one after all. 255 is no class."""
    labels, paths = {}, []
    for image, size in zip("abcde", ((4, 5), (4, 5), (3, 9), (1, 1), (4, 5)), strict=True):
        labels[image] = rng.integers(0, 3, size).astype(np.uint8)
        labels[image][0, :1] = 255
        paths.append(str(tmp_path / f"{image}.png"))
        write_label(paths[-1], labels[image])
    write_skipped(paths[3], "cam: no")
    for image, values in (("a", [0, 255]), ("e", [0, 2])):
        write_label(tmp_path / f"mask-{image}.png", np.resize(values, (4, 5)).astype(np.uint8))
    masks = [str(tmp_path / "mask-a.png"), None, None, None, str(tmp_path / "mask-e.png")]
    truth = GroundTruth("abcde", masks, VALUES, CLASSES, negatives="acde")
    expected = sum(value in (1, 2) for image in "ac" for value in labels[image].ravel()) / (20 + 27)
    assert false_foreground(paths, truth) == pytest.approx(expected)
    result, _ = evaluate_stage(StageProtocol("segmentation_single", "val", "p"), truth, paths, [])
    assert result["false_foreground"] == pytest.approx(expected) and result["images"] == 2
    assert false_foreground(paths, GroundTruth("abcde", masks, VALUES, CLASSES, negatives="d")) is None
    result, _ = evaluate_stage(
        StageProtocol("segmentation_single", "val", "p"), GroundTruth("abcde", masks, VALUES, CLASSES), paths, []
    )
    assert "false_foreground" not in result


def test_negatives_do_not_dilute_the_share_of_partial_labels_without_background(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(4)]
    for path, value in zip(paths, (1, 0, 0, 0), strict=True):
        write_label(path, np.full((2, 2), value, np.uint8))
    truth = GroundTruth("abcd", [None] * 4, VALUES, CLASSES, negatives=["c", "d"])
    result, _ = evaluate_stage(StageProtocol("partial", "train", "p"), truth, paths, [])
    assert result["without_background"] == 0.5 and "false_foreground" not in result


def test_files_of_an_image_without_a_class_are_background(tmp_path):
    nothing = np.array([], np.uint8)
    write_arrays(tmp_path / "cam.npz", keys=nothing, cam=np.zeros((0, 2, 3)), high_res=np.zeros((0, 6, 8)))
    write_arrays(tmp_path / "refined.npz", keys=nothing, scores=np.ones((1, 2, 3)))
    background = np.zeros((6, 8), np.uint8)
    assert np.array_equal(cam_label(tmp_path / "cam.npz", (6, 8), 0.3), background)
    assert np.array_equal(walk_labeller(tmp_path / "refined.npz", (6, 8))(0.3), background)
    assert np.array_equal(refined_label(tmp_path / "refined.npz", (6, 8)), background)
