"""The partial label's rules against a loop over the pixels."""

from dataclasses import replace

import numpy as np
import pytest

from wsgcn.labels import partial
from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.partial import PartialSettings, partial_label, select_confident
from wsgcn.labels.scores import scores_with_background

CRF = CrfSettings(
    iterations=7, gaussian_sxy=4, gaussian_compat=3, bilateral_sxy=20, bilateral_srgb=3, bilateral_compat=10
)
SETTINGS = PartialSettings(
    alpha_low=4,
    alpha_high=32,
    confident_ratio=0.3,
    cam_floor=0.1,
    background_score=0.8,
    crf_score=0.8,
    every_class=False,
    crf=CRF,
)
CLASSES = (3, 7)


def random_inputs(rng, size=(14, 16)):
    """CAMs with many small values, and two CRFs' probabilities with many large ones."""
    cams = rng.random((len(CLASSES), *size)).astype(np.float32) ** 2 * (rng.random(size) < 0.6)
    low, high = np.exp(5 * rng.standard_normal((2, len(CLASSES) + 1, *size)))
    return cams, low / low.sum(0), high / high.sum(0)


def naive_label(cams, low, high, classes, settings):
    h, w = cams.shape[1:]
    label = np.full((h, w), 255, np.uint8)
    points = [(y, x) for y in range(h) for x in range(w)]
    for y, x in points:
        peak = cams[:, y, x].max()
        if high[0, y, x] == high[:, y, x].max() and high[0, y, x] >= settings.crf_score:
            if (1 - peak) ** settings.alpha_high > settings.background_score:
                label[y, x] = 0
    for k, class_index in enumerate(classes):
        values = [cams[k, y, x] for y, x in points if k == np.argmax(cams[:, y, x])]
        values = sorted((value for value in values if value > settings.cam_floor), reverse=True)
        top = values[: max(1, round(settings.confident_ratio * len(values)))]
        high_cam = [(y, x) for y, x in points if k == np.argmax(cams[:, y, x]) and cams[k, y, x] in top]
        agreed = [p for p in high_cam if np.argmax(low[:, *p]) == k + 1 and low[k + 1, *p] >= settings.crf_score]
        for y, x in (agreed or high_cam) if settings.every_class else agreed:
            label[y, x] = class_index
    for k, class_index in enumerate(classes):
        free = [p for p in points if label[p] not in classes and cams[k, *p] > 0]
        if settings.every_class and not (label == class_index).any() and free:
            label[max(free, key=lambda point, k=k: cams[k, *point])] = class_index
    return label


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "change", [{}, {"confident_ratio": 1}, {"cam_floor": 0.5}, {"crf_score": 0.99}, {"background_score": 0.0}], ids=str
)
def test_select_confident_matches_naive_loop(seed, change):
    settings = replace(SETTINGS, **change)
    inputs = random_inputs(np.random.default_rng(seed))
    expected = naive_label(*inputs, CLASSES, settings)
    np.testing.assert_array_equal(select_confident(*inputs, CLASSES, settings), expected)


def test_the_random_inputs_reach_every_rule(rng):
    assert set(np.unique(select_confident(*random_inputs(rng), CLASSES, SETTINGS))) == {0, 3, 7, 255}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("change", [{"crf_score": 1}, {"cam_floor": 1}, {}], ids=str)
def test_every_class_keeps_a_node(seed, change):
    """As the loop says, where the CRF's bound or the floor leaves none, and where each class has some."""
    inputs = random_inputs(np.random.default_rng(seed))
    settings = replace(SETTINGS, every_class=True, **change)
    label = select_confident(*inputs, CLASSES, settings)
    np.testing.assert_array_equal(label, naive_label(*inputs, CLASSES, settings))
    assert set(CLASSES) <= set(np.unique(label))
    without = select_confident(*inputs, CLASSES, replace(settings, every_class=False))
    assert change == {} or not set(CLASSES) & set(np.unique(without))


def test_a_class_whose_cam_says_nothing_gets_no_node_and_a_plateau_one():
    settings = replace(SETTINGS, every_class=True)
    cams = np.array([[[0.0, 0.0, 0.0]], [[0.9, 0.0, 0.0]], [[0.06, 0.05, 0.05]]])
    low = high = certain([2, 0, 0], classes=3)
    assert select_confident(cams, low, high, (1, 2, 3), settings).tolist() == [[2, 3, 255]]
    assert select_confident(cams[:2], low[:3], high[:3], (1, 2), settings).tolist() == [[2, 0, 0]]


def certain(winner, classes=1):
    """Probabilities [classes + 1, 1, N] of a CRF that is certain of each node's winner."""
    return np.eye(classes + 1)[np.asarray(winner)].T[:, None]


def test_confident_ratio_counts_values_above_the_floor():
    cams = np.array([[[0.05] * 10 + [0.1] + [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95]]])
    foreground = certain([1] * cams.shape[2])
    label = select_confident(cams, foreground, foreground, [4], SETTINGS)
    assert label[0].tolist() == [255] * 18 + [4] * 3


def test_a_single_candidate_is_kept():
    cams = np.array([[[0.0, 0.2]]])
    label = select_confident(cams, certain([0, 1]), certain([0, 1]), [1], SETTINGS)
    assert label.tolist() == [[0, 1]]


def test_cam_values_at_the_floor_are_no_foreground():
    cams = np.full((1, 1, 4), 0.1)  # at the floor, not above
    label = select_confident(cams, certain([1] * 4), certain([1] * 4), [1], SETTINGS)
    assert (label == 255).all()


def test_foreground_uses_the_low_crf_and_background_the_high_one():
    cams = np.array([[[0.9, 0.0]]])
    assert select_confident(cams, certain([1, 0]), certain([1, 0]), [1], SETTINGS).tolist() == [[1, 0]]
    assert select_confident(cams, certain([0, 0]), certain([1, 0]), [1], SETTINGS).tolist() == [[255, 0]]
    assert select_confident(cams, certain([1, 0]), certain([1, 1]), [1], SETTINGS).tolist() == [[1, 255]]


@pytest.mark.parametrize("alpha", [1, 4, 32])
def test_scores_with_background_match_naive_loop(alpha, rng):
    cams = rng.random((3, 4, 5))
    cams[:, 0, 0], cams[0, 1, 1] = 0, 1
    scores = scores_with_background(cams, alpha)
    assert scores.shape == (4, 4, 5) and scores.dtype == np.float32
    for y in range(4):
        for x in range(5):
            values = [(1 - max(cams[:, y, x])) ** alpha, *cams[:, y, x]]
            np.testing.assert_allclose(scores[:, y, x], np.array(values), rtol=1e-4, atol=1e-7)


def test_partial_label_combines_two_crfs(rng, monkeypatch):
    cams, image = random_inputs(rng)[0], np.zeros((14, 16, 3), np.uint8)
    settings = replace(SETTINGS, confident_ratio=1)
    calls = []

    def sharpen(*arguments):  # in place of the CRF
        calls.append(arguments)
        return arguments[1] ** 4 / (arguments[1] ** 4).sum(0)

    monkeypatch.setattr(partial, "dense_crf", sharpen)
    label = partial_label(image, cams, CLASSES, settings)
    assert all(call[0] is image and call[2] is CRF for call in calls)
    low, high = (scores_with_background(cams, alpha) ** 4 for alpha in (4, 32))
    low, high = low / low.sum(0), high / high.sum(0)
    np.testing.assert_array_equal(label, naive_label(cams, low, high, CLASSES, settings))
    assert (label != naive_label(cams, high, low, CLASSES, settings)).any()


def test_partial_label_of_a_picture(picture, crf_settings):
    cam = np.zeros((1, 24, 30), np.float32)
    cam[0, 8:16, 10:18] = 0.9  # inside the red rectangle
    label = partial_label(picture, cam, [5], replace(SETTINGS, crf=crf_settings))
    assert label.shape == (24, 30) and label.dtype == np.uint8
    assert (label[8:16, 10:18] == 5).mean() > 0.9
    assert (label[:4] == 0).mean() > 0.9
    assert not (label[:6] == 5).any() and not (label[18:] == 5).any()


def test_an_image_without_a_class_is_background_without_a_crf(rng, monkeypatch):
    monkeypatch.delattr(partial, "dense_crf")
    image = rng.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    label = partial_label(image, np.zeros((0, 5, 6), np.float16), np.array([], np.uint8), SETTINGS)
    assert label.dtype == np.uint8 and np.array_equal(label, np.zeros((5, 6)))
