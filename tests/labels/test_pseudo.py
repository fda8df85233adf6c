"""From refined scores to a full-size label."""

from dataclasses import replace

import numpy as np
import pytest

from wsgcn.labels import pseudo
from wsgcn.labels.crf import dense_crf
from wsgcn.labels.pseudo import complete_label
from wsgcn.labels.scores import label_of, upsample


def naive_bilinear(channel, height, width):
    """Corners fall on corners: output row r reads at r (h - 1) / (height - 1)."""
    h, w = channel.shape
    result = np.zeros((height, width))
    for r, c in np.ndindex(height, width):
        y, x = r * (h - 1) / max(height - 1, 1), c * (w - 1) / max(width - 1, 1)
        for row in range(h):
            for column in range(w):
                result[r, c] += max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column)) * channel[row, column]
    return result


@pytest.mark.parametrize("size, target", [((3, 4), (9, 14)), ((2, 2), (8, 8)), ((1, 3), (4, 12)), ((4, 5), (4, 5))])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_upsample_matches_naive_loop(size, target, dtype, rng):
    scores = rng.random((2, *size)).astype(dtype)
    found = upsample(scores, *target)
    assert found.dtype == np.float32
    for channel, expected in zip(found, scores, strict=True):
        np.testing.assert_allclose(channel, naive_bilinear(expected.astype(float), *target), atol=1e-5)


def test_label_of_maps_channels_to_class_indices():
    scores = np.array([[[0.8, 0.1, 0.2]], [[0.1, 0.7, 0.2]], [[0.1, 0.2, 0.6]]])
    label = label_of(scores, [4, 20])
    assert label.tolist() == [[0, 4, 20]] and label.dtype == np.uint8


def test_complete_label_takes_scores_as_probabilities(picture, rng, crf_settings):
    """No second softmax: the CRF gets the upsampled scores unchanged."""
    scores = rng.random((3, 6, 8)).astype(np.float32) ** 4
    scores /= scores.sum(0)
    label, confidence = complete_label(picture, scores, [2, 9], crf_settings)
    enlarged = np.stack([naive_bilinear(channel, 24, 30) for channel in scores])
    probabilities = dense_crf(picture, enlarged, crf_settings)
    expected = np.array([0, 2, 9])[probabilities.argmax(0)]
    assert label.dtype == np.uint8 and label.shape == (24, 30)
    assert (label == expected).mean() > 0.998  # up to ties in the last bit
    assert confidence.dtype == np.uint8 and confidence.shape == label.shape
    winners = [[round(255 * float(max(pixel))) for pixel in row] for row in probabilities.transpose(1, 2, 0)]
    assert np.abs(confidence - np.array(winners)).max() <= 1 and len(np.unique(confidence)) > 3


def test_complete_label_follows_the_picture(picture, crf_settings):
    scores = np.full((2, 6, 8), 0.5, np.float32)
    scores[:, 2:4, 3:5] = [[[0.1]], [[0.9]]]
    scores[:, :, 7] = scores[:, 0] = [[0.9], [0.1]]
    label, _ = complete_label(picture, scores, [5], crf_settings)
    truth = np.zeros((24, 30), int)
    truth[6:18, 8:20] = 5
    assert (label == truth).mean() > 0.97


def test_an_image_without_a_class_is_background_without_a_crf(picture, crf_settings, monkeypatch):
    monkeypatch.delattr(pseudo, "dense_crf")
    label, confidence = complete_label(picture, np.ones((1, 6, 8), np.float16), np.array([], np.uint8), crf_settings)
    assert label.dtype == np.uint8 and np.array_equal(label, np.zeros(picture.shape[:2]))
    assert confidence.dtype == np.uint8 and (confidence == 255).all() and confidence.shape == label.shape


def test_certain_pixels_enter_the_crf_as_certain_and_keep_their_value(picture, rng, crf_settings):
    """The scores of class 9, no tag of the image, are zero elsewhere."""
    scores = rng.random((2, 6, 8)).astype(np.float32)
    scores /= scores.sum(0)
    certain = np.full((24, 30), 255, np.uint8)
    certain[3], certain[10, 5:20], certain[17:19, 8] = 9, 0, 4
    label, confidence = complete_label(picture, scores, [4], crf_settings, certain)
    enlarged = np.zeros((3, 24, 30), np.float32)
    enlarged[:2] = upsample(scores, 24, 30)
    for y, x in np.ndindex(24, 30):
        if certain[y, x] != 255:
            enlarged[:, y, x] = [float(certain[y, x] == value) for value in (0, 4, 9)]
    probabilities = dense_crf(picture, enlarged, crf_settings)
    known = certain != 255
    np.testing.assert_array_equal(label[known], certain[known])
    assert (confidence[known] == 255).all()
    np.testing.assert_array_equal(label[~known], np.array([0, 4, 9])[probabilities.argmax(0)][~known])
    np.testing.assert_array_equal(confidence[~known], np.rint(255 * probabilities.max(0))[~known])


def test_a_crf_that_smooths_a_certain_pixel_away_does_not_change_it(picture, crf_settings):
    smooth = replace(crf_settings, gaussian_compat=1000.0)
    certain = np.full((24, 30), 255, np.uint8)
    certain[12, 15] = 4
    scores = np.stack([np.full((6, 8), 0.9), np.full((6, 8), 0.1)]).astype(np.float32)
    enlarged = upsample(scores, 24, 30)
    enlarged[:, 12, 15] = 0, 1
    assert dense_crf(picture, enlarged, smooth)[:, 12, 15].argmax() == 0
    label, _ = complete_label(picture, scores, [4], smooth, certain)
    assert label[12, 15] == 4


def test_certain_pixels_of_an_image_without_a_class(picture, crf_settings):
    certain = np.full((24, 30), 255, np.uint8)
    certain[:, 4] = 0
    label, confidence = complete_label(picture, np.ones((1, 6, 8)), [], crf_settings, certain)
    assert not label.any() and (confidence == 255).all()
    certain[5] = 7
    label, _ = complete_label(picture, np.ones((1, 6, 8)), [], crf_settings, certain)
    assert (label[5] == 7).all() and set(np.unique(label)) == {0, 7}
