"""The complete pseudo label: refined scores through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Sequence

import numpy as np

from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import label_of, upsample


def complete_label(image: np.ndarray, scores: np.ndarray, classes: Sequence[int], crf: CrfSettings) -> np.ndarray:
    """uint8 [H, W] from refined scores [K + 1, h, w] (background first) and the image, uint8 RGB [H, W, 3].

    A GCN's scores are probabilities and enter the CRF without another softmax. A random walk's are divided by their
    sum. All background, without a CRF, where there are no classes.
    """
    if not len(classes):
        return np.zeros(image.shape[:2], np.uint8)
    return label_of(dense_crf(image, upsample(scores, *image.shape[:2]), crf), classes)
