"""Agreement of labels against a loop over pixels, and the walk's label.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_agreement.py`.
"""

import numpy as np
import pytest

from wsgcn.evaluation.agreement import label_agreement, walk_label
from wsgcn.evaluation.judging import JudgedFiles, judge_agreement
from wsgcn.files import write_arrays, write_label, write_skipped
from wsgcn.labels.scores import upsample
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.random_walk import refine_with_random_walk

WALK = {
    "radius": 3,
    "beta": 10,
    "settings": {"steps": 8, "background": "constant", "background_score": 0.4, "alpha": 4},
}


def slow_agreement(first, second, classes):
    total = 0.0
    for index in [0, *classes]:
        both = either = 0
        for a, b in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
            both += a == index and b == index
            either += a == index or b == index
        total += both / either if either else 0
    return total / (1 + len(classes))


def test_agreement_is_the_mean_iou_over_background_and_tags(rng):
    for _ in range(20):
        first, second = (rng.choice([0, 2, 5], (6, 7), p=[0.6, 0.3, 0.1]).astype(np.uint8) for _ in range(2))
        assert label_agreement(first, second, (2, 5)) == pytest.approx(slow_agreement(first, second, (2, 5)))
        assert label_agreement(first, second, (2, 5)) == label_agreement(second, first, (2, 5))
    label = np.array([[0, 2], [5, 5]], np.uint8)
    assert label_agreement(label, label, (2, 5)) == 1


def test_labels_that_both_miss_a_class_do_not_agree_on_it():
    empty = np.zeros((3, 4), np.uint8)
    assert label_agreement(empty, empty, (1,)) == 0.5 and label_agreement(empty, empty, (1, 2)) == pytest.approx(1 / 3)


def test_labels_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"one label is \(3, 4\), the other \(4, 3\)"):
        label_agreement(np.zeros((3, 4)), np.zeros((4, 3)), (1,))


@pytest.fixture
def files(tmp_path, picture, rng):
    """The files of an image (uint8 [24, 30, 3], class 2) whose label is a rectangle, and of one that was skipped."""
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "image.png")
    label = np.zeros((24, 30), np.uint8)
    label[6:18, 8:20] = 2
    cam = np.zeros((1, 6, 8), np.float16)
    cam[0, 2:4, 2:5] = 1
    write_label(tmp_path / "label.png", label)
    write_arrays(tmp_path / "cam.npz", keys=np.array([2], np.uint8), cam=cam)
    boundary = rng.random((6, 8)).astype(np.float32)
    write_arrays(tmp_path / "affinity.npz", boundary=boundary)
    scores = np.concatenate([1 - cam, cam]).astype(np.float16)
    write_arrays(tmp_path / "refined.npz", keys=np.array([2], np.uint8), scores=scores)
    write_skipped(tmp_path / "skipped.png", "why")

    def paths(name):
        return [tmp_path / name] * 3

    return JudgedFiles(
        ["a", "none", "left out"],
        [(2,), (), (2,)],
        paths("image.png"),
        paths("refined.npz"),
        [tmp_path / "label.png", tmp_path / "label.png", tmp_path / "skipped.png"],
        paths("cam.npz"),
        paths("affinity.npz"),
    ), (label, cam, boundary, scores)


def test_the_walk_s_label_is_the_refiner_s(files):
    _, (_, cam, boundary, _) = files
    arrays = {"keys": np.array([2], np.uint8), "cam": cam}
    image = RefinerInput("a", (2,), cam=arrays, network_output={"boundary": boundary})
    (refined,) = refine_with_random_walk([image], WALK, None)
    expected = np.where(upsample(refined.scores, 24, 30).argmax(0) == 1, 2, 0)
    found = walk_label(arrays, {"boundary": boundary}, WALK, (24, 30))
    assert found.any() and np.array_equal(found, expected)


def test_each_image_is_judged_by_both_agreements(files):
    judged, (label, cam, boundary, scores) = files
    found = judge_agreement(judged, WALK)
    before = np.where(upsample(scores, 24, 30).argmax(0) == 1, 2, 0)
    walked = walk_label({"keys": np.array([2], np.uint8), "cam": cam}, {"boundary": boundary}, WALK, (24, 30))
    assert found == {
        "crf_agreement": {"a": pytest.approx(slow_agreement(before, label, [2]))},
        "walk_agreement": {"a": pytest.approx(slow_agreement(walked, label, [2]))},
    }


def test_a_label_at_the_size_of_a_larger_image_is_judged_at_the_size_it_was_made_at(files):
    judged, (label, *_) = files
    small = judge_agreement(judged, WALK)
    write_label(judged.labels[0], np.kron(label, np.ones((2, 2), np.uint8)))
    assert judge_agreement(judged, WALK) == small


def test_without_affinities_there_is_no_walk(files):
    judged, _ = files
    alone = JudgedFiles(judged.ids, judged.tags, judged.images, judged.refined, judged.labels)
    assert judge_agreement(alone, {}).keys() == {"crf_agreement"}
