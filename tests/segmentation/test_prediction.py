"""Labels at a single scale, at several, and through a dense CRF."""

import numpy as np

from wsgcn.labels.crf import dense_crf
from wsgcn.segmentation.prediction import PredictionSettings, predict_labels, predict_with_confidence


def test_each_label_is_the_winner_of_its_scores(picture, crf_settings, rng):
    single, multi = (rng.dirichlet([1, 1, 1], picture.shape[:2]).transpose(2, 0, 1).astype(np.float32) for _ in "sm")
    calls = {((1,), False): single, ((0.5, 1), True): multi}
    settings = PredictionSettings(scales=(0.5, 1), flip=True, crf=crf_settings)
    labels = predict_labels(lambda image, scales, flip: calls[tuple(scales), flip], picture, settings)
    assert list(labels) == ["single", "multi", "crf"]
    expected = (single, multi, dense_crf(picture, multi, crf_settings))
    for label, scores in zip(labels.values(), expected, strict=True):
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(label, scores.argmax(0))
    assert (labels["multi"] != labels["crf"]).any()


def test_the_confidence_is_that_of_the_label_after_the_crf(picture, crf_settings, rng):
    multi = rng.dirichlet([1, 1, 1], picture.shape[:2]).transpose(2, 0, 1).astype(np.float32)
    settings = PredictionSettings(scales=(0.5, 1), flip=True, crf=crf_settings)

    def segment(image, scales, flip):
        return multi

    label, confidence = predict_with_confidence(segment, picture, settings)
    np.testing.assert_array_equal(label, predict_labels(segment, picture, settings)["crf"])
    scores = dense_crf(picture, multi, crf_settings)
    assert label.dtype == confidence.dtype == np.uint8
    for y, x in np.ndindex(*label.shape):
        assert confidence[y, x] == round(255 * float(scores[label[y, x], y, x]))
