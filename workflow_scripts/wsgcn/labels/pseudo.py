"""Labels from scores: of CAMs, of refined ones, and the complete label through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.labels.crf import dense_crf
from wsgcn.labels.scores import label_of, upsample


def complete_label(image: np.ndarray, scores: np.ndarray, classes: Sequence[int], crf: Mapping) -> np.ndarray:
    """uint8 [H, W] from refined scores [K + 1, h, w] and the image, uint8 RGB [H, W, 3].

    A GCN's scores go into the CRF as the probabilities that they are, without another softmax; a random walk's are
    divided by their sum.
    """
    return label_of(dense_crf(image, upsample(scores, *image.shape[:2]), crf), classes)
