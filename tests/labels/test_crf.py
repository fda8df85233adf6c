"""The dense CRF's wrapper: what it computes, what it accepts, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from slow_crf import slow_crf

from wsgcn.labels.crf import dense_crf, dense_crf_labels


@pytest.fixture
def scores(picture, rng):
    """Probabilities [3, 24, 30]."""
    scores = rng.random((3, *picture.shape[:2])).astype(np.float32) + 0.1
    return scores / scores.sum(0)


def mean_field_loop(image, scores, settings):
    """Mean-field inference with the kernels as dense matrices, each normalised by the square roots of its row sums."""
    h, w = image.shape[:2]
    positions = np.array([(y, x) for y in range(h) for x in range(w)], float)
    colours = image.reshape(-1, 3).astype(float)
    distance = ((positions[:, None] - positions[None]) ** 2).sum(2)
    contrast = ((colours[:, None] - colours[None]) ** 2).sum(2)
    kernels = {
        "gaussian": np.exp(-distance / (2 * settings.gaussian_sxy**2)),
        "bilateral": np.exp(-distance / (2 * settings.bilateral_sxy**2) - contrast / (2 * settings.bilateral_srgb**2)),
    }
    unary = -np.log(scores.reshape(len(scores), -1).astype(float))
    q = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(settings.iterations):
        message = 0
        for name, kernel in kernels.items():
            root = np.sqrt(kernel.sum(1))
            message = message + getattr(settings, f"{name}_compat") * (q @ (kernel / root[:, None] / root[None]))
        q = np.exp(message - unary)
        q /= q.sum(0)
    return q.reshape(scores.shape)


@pytest.mark.parametrize(
    "change",
    [
        {"iterations": 1},
        {"bilateral_compat": 0, "gaussian_sxy": 2, "bilateral_sxy": 40},
        {"gaussian_compat": 0, "bilateral_sxy": 20, "bilateral_srgb": 3},
        {"gaussian_compat": 0, "bilateral_sxy": 3, "bilateral_srgb": 60},
    ],
    ids=str,
)
def test_dense_crf_matches_naive_mean_field(change, picture, scores, crf_settings):
    """The lattice's filter approximates the kernels, so the probabilities agree on average only."""
    settings = replace(crf_settings, **({"iterations": 2} | change))
    found, expected = dense_crf(picture, scores, settings), mean_field_loop(picture, scores, settings)
    assert abs(found - expected).mean() < 0.04
    assert (found.argmax(0) == expected.argmax(0)).mean() > 0.93


@pytest.mark.parametrize("labels", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(8, 8), (7, 9)], ids=str)
def test_dense_crf_matches_its_slow_version(labels, size, picture, rng, crf_settings):
    scores = rng.random((labels, *size)) + 0.1
    scores /= scores.sum(0)
    image = np.ascontiguousarray(picture[2 : 2 + size[0], 5 : 5 + size[1]])
    # no points on the border of a simplex, where either neighbour would be right
    settings = replace(crf_settings, gaussian_sxy=1.37, bilateral_sxy=5.3, bilateral_srgb=9.1)
    np.testing.assert_allclose(dense_crf(image, scores, settings), slow_crf(image, scores, settings), atol=2e-5)


def test_no_iteration_returns_the_scores(picture, scores, crf_settings):
    found = dense_crf(picture, scores, replace(crf_settings, iterations=0))
    np.testing.assert_allclose(found, scores, rtol=1e-4)


def test_hard_labels_become_scores_of_their_certainty(picture, crf_settings, rng):
    label = rng.integers(0, 4, picture.shape[:2]).astype(np.uint8)
    found = dense_crf_labels(picture, label, 4, 0.7, replace(crf_settings, iterations=0))
    for k in range(4):
        np.testing.assert_allclose(found[k], np.where(label == k, 0.7, 0.1), rtol=1e-4)


def test_hard_labels_match_their_scores(picture, crf_settings, rng):
    label = rng.integers(0, 2, picture.shape[:2]).astype(np.uint8)
    scores = np.stack([np.where(label == k, 0.7, 0.3) for k in range(2)])
    np.testing.assert_allclose(
        dense_crf_labels(picture, label, 2, 0.7, crf_settings), dense_crf(picture, scores, crf_settings), atol=1e-5
    )


@pytest.mark.parametrize("labels", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_result_sums_to_one(labels, dtype, picture, rng, crf_settings):
    scores = rng.random((labels, *picture.shape[:2])).astype(dtype)
    scores[0, :3] = 0
    found = dense_crf(picture, scores, crf_settings)
    assert found.shape == scores.shape and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-5)


def test_a_factor_per_pixel_cancels(picture, scores, crf_settings, rng):
    factor = rng.uniform(0.1, 1, picture.shape[:2])
    np.testing.assert_allclose(
        dense_crf(picture, scores * factor, crf_settings), dense_crf(picture, scores, crf_settings), atol=1e-4
    )


def test_a_factor_above_one_cancels(picture, scores, crf_settings):
    np.testing.assert_allclose(
        dense_crf(picture, scores * 10, crf_settings), dense_crf(picture, scores, crf_settings), atol=1e-4
    )


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "every second": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "mirrored twice": lambda array: np.ascontiguousarray(array[..., ::-1])[..., ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_result_does_not_depend_on_memory_layout(layout, picture, scores, crf_settings):
    expected = dense_crf(picture, scores, crf_settings)
    np.testing.assert_array_equal(dense_crf(layout(picture), layout(scores), crf_settings), expected)


def test_inputs_are_not_modified(picture, scores, crf_settings):
    image_before, scores_before = picture.copy(), scores.copy()
    dense_crf(picture, scores, crf_settings)
    np.testing.assert_array_equal(picture, image_before)
    np.testing.assert_array_equal(scores, scores_before)


WRONG_IMAGES = {
    "float": lambda image: image / 255,
    "int64": lambda image: image.astype(np.int64),
    "grey": lambda image: image[..., 0],
    "RGBA": lambda image: np.dstack([image, image[..., 0]]),
    "channels first": lambda image: image.transpose(2, 0, 1),
    "transposed": lambda image: image.transpose(1, 0, 2),
    "too small": lambda image: image[1:],
}


@pytest.mark.parametrize("wrong", WRONG_IMAGES.values(), ids=WRONG_IMAGES.keys())
def test_wrong_images_are_refused(wrong, picture, scores, crf_settings):
    with pytest.raises(ValueError, match="the CRF"):
        dense_crf(wrong(picture), scores, crf_settings)
    with pytest.raises(ValueError, match="the CRF"):
        dense_crf_labels(wrong(picture), scores.argmax(0), 3, 0.7, crf_settings)


@pytest.mark.parametrize("axes", [(1, 2, 0), (0, 2, 1)])
def test_wrong_scores_are_refused(axes, picture, scores, crf_settings):
    with pytest.raises(ValueError, match="its scores are"):
        dense_crf(picture, scores.transpose(axes), crf_settings)
    with pytest.raises(ValueError, match="its scores are"):
        dense_crf(picture, scores[0], crf_settings)


@pytest.mark.parametrize("wrong", [4, 255, -1])
def test_labels_out_of_range_are_refused(wrong, picture, crf_settings):
    label = np.zeros(picture.shape[:2], int)
    label[2, 3] = wrong
    with pytest.raises(ValueError, match=r"labels for the CRF are .*, not 0 to 3"):
        dense_crf_labels(picture, label, 4, 0.7, crf_settings)


@pytest.mark.parametrize("certainty", [0, 1, 1.5, np.nan])
def test_a_certainty_out_of_range_is_refused(certainty, picture, crf_settings):
    with pytest.raises(ValueError, match="certainty"):
        dense_crf_labels(picture, np.zeros(picture.shape[:2], int), 2, certainty, crf_settings)


def test_a_single_label_is_certain(picture, crf_settings):
    found = dense_crf_labels(picture, np.zeros(picture.shape[:2], np.uint8), 1, 0.7, crf_settings)
    np.testing.assert_array_equal(found, np.ones((1, *picture.shape[:2])))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad, picture, scores, crf_settings):
    scores = scores.copy()
    scores[1, 2, 3] = bad
    with pytest.raises(FloatingPointError, match="the scores for the CRF are not finite"):
        dense_crf(picture, scores, crf_settings)
