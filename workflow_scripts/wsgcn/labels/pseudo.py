"""The complete pseudo label: refined scores through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Sequence

import numpy as np

from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import confidence_of, label_of, upsample


def complete_label(
    image: np.ndarray, scores: np.ndarray, classes: Sequence[int], crf: CrfSettings
) -> tuple[np.ndarray, np.ndarray]:
    """A label and its confidence, both uint8 [H, W], from refined scores [K + 1, h, w] (background first) and the
    image, uint8 RGB [H, W, 3].

    A GCN's scores are probabilities and enter the CRF without another softmax. A random walk's are divided by their
    sum. The confidence is 255 times the probability of the label's class after the CRF, rounded. All background and
    255, without a CRF, where there are no classes.
    """
    if not len(classes):
        return np.zeros(image.shape[:2], np.uint8), np.full(image.shape[:2], 255, np.uint8)
    probabilities = dense_crf(image, upsample(scores, *image.shape[:2]), crf)
    return label_of(probabilities, classes), confidence_of(probabilities)
