"""Names of metrics, and what becomes of images that were skipped."""

from functools import partial

import numpy as np
import pytest

from wsgcn.evaluation.names import metric_name
from wsgcn.evaluation.stages import (
    THRESHOLDS,
    all_skipped,
    cam_label,
    cam_labels,
    evaluate,
    mean_seconds,
    pixel_label,
    refined_label,
    sweep,
    walk_labels,
    without_background,
)
from wsgcn.files import IGNORE, write_arrays, write_label, write_skipped


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("miou", "my_list/refined_crf/miou"),
        ("iou/potted plant", "my_list/refined_crf/iou/potted plant"),
        ("iou/a/b", "my_list/refined_crf/iou/a_b"),
        ("iou/..", "my_list/refined_crf/iou/__"),
        ("iou/Blüte", "my_list/refined_crf/iou/Blüte"),
    ],
)
def test_a_metric_s_name_holds_its_protocol(what, name):
    assert metric_name({"split": "my/list", "stage": "refined_crf"}, what) == name


@pytest.mark.parametrize("missing", [0, IGNORE])
def test_a_skipped_image_counts_as_what_is_missing(missing, tmp_path):
    """As its own label would that says nothing: an experiment gains nothing by failing."""
    truth = np.array([[0, 0, 1, 1], [2, 2, 1, 255]], np.uint8)
    files = {name: str(tmp_path / f"{name}.png") for name in ("truth", "right", "skipped", "empty")}
    write_label(files["truth"], truth)
    write_label(files["right"], np.where(truth == 255, 0, truth))
    write_label(files["empty"], np.full(truth.shape, missing, np.uint8))
    write_skipped(files["skipped"], "refine: no")

    def scores(second):
        labels = [files["right"], files[second]]
        masks, values = [files["truth"]] * 2, [0, 1, 2, *[-1] * 252, 255]
        return evaluate(["a", "b"], labels, masks, values, ["cat", "dog"], pixel_label, missing)

    (found, counts), (expected, expected_counts) = scores("skipped"), scores("empty")
    assert np.array_equal(counts, expected_counts)
    assert found.pop("skipped") == {"b": "refine: no"} and expected.pop("skipped") == {}
    assert found == expected and found["images"] == 2


@pytest.mark.parametrize("kind", ["cam", "walk"])
def test_a_sweep_tries_background_scores_as_an_evaluation_does(kind, rng, tmp_path):
    """A skipped image counts as background there too; an image without a mask does not count."""
    masks = [str(tmp_path / f"{k}.png") for k in range(3)]
    for mask in masks:
        write_label(mask, rng.choice([0, 1, 2, 255], (6, 8)).astype(np.uint8))
    paths = [str(tmp_path / f"{k}.npz") for k in range(4)]
    for path in paths:
        maps = rng.random((2, 6, 8)).astype(np.float32)
        arrays = {"high_res": maps} if kind == "cam" else {"scores": np.concatenate([np.full((1, 6, 8), 0.35), maps])}
        write_arrays(path, keys=np.array([1, 2], np.uint8), **arrays)
    write_skipped(paths[1], "no")
    values, truths = [0, 1, 2, *[-1] * 252, 255], [*masks, None]
    found = sweep(paths, truths, values, 2, cam_labels if kind == "cam" else walk_labels)
    assert list(found) == [f"{threshold:.2f}" for threshold in THRESHOLDS] and len(set(found.values())) > 5
    for threshold in THRESHOLDS:
        scores, _ = (
            evaluate("abcd", paths, truths, values, ["cat", "dog"], partial(cam_label, background=threshold))
            if kind == "cam"
            else evaluate("abcd", paths, truths, values, ["cat", "dog"], refined_label)
        )
        if kind == "cam" or threshold == 0.35:
            assert found[f"{threshold:.2f}"] == scores["miou"]
    assert sweep(paths, [None] * 4, values, 2, cam_labels) == {}


def test_the_share_of_labels_without_background(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(4)]
    for path, row in zip(paths, ([0, 1], [1, 255], [255, 255]), strict=False):
        write_label(path, np.array([row], np.uint8))
    write_skipped(paths[3], "no")
    assert without_background(paths) == 2 / 3
    assert without_background(paths[3:]) == 0


def test_what_was_skipped_at_any_stage_is_told_once():
    evaluations = [{"skipped": {"a": "cam: no"}}, {"skipped": {}}, {"skipped": {"a": "cam: no", "b": "refine: no"}}]
    assert all_skipped(evaluations) == {"a": "cam: no", "b": "refine: no"}


def test_seconds_are_added_up_over_an_image_s_tables_and_skipped_ones_stand_in_none(tmp_path):
    for name, text in {"a": "one,1\ntwo,2\n", "b": "three,4\n", "c": "one,0.5\n", "d": ""}.items():
        (tmp_path / name).write_text(f"image,seconds\n{text}")
    tables = [str(tmp_path / name) for name in "abcd"]
    assert mean_seconds(tables) == (1.5 + 2 + 4) / 3
    assert mean_seconds(tables[3:]) is None and mean_seconds([]) is None
