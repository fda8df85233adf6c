"""The complete pseudo label: refined scores through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Sequence

import numpy as np

from wsgcn.data.corrections import added_classes, apply_correction
from wsgcn.files import IGNORE
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import confidence_of, label_of, softmax_of_upsampled_logs, upsample


def complete_label(
    image: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[int],
    crf: CrfSettings,
    certain: np.ndarray | None = None,
    crf_input: str = "probabilities",
) -> tuple[np.ndarray, np.ndarray]:
    """A label and its confidence, both uint8 [H, W], from refined scores [K + 1, h, w] (background first) and the
    image, uint8 RGB [H, W, 3].

    A GCN's scores are probabilities and enter the CRF without another softmax. A random walk's are divided by their
    sum. The confidence is 255 times the probability of the label's class after the CRF, rounded. All background and
    255, without a CRF, where there are no classes.

    certain: uint8 [H, W], pixels of a known value, which the CRF gets as certain and which have it in the end; 255
    elsewhere. Classes that it shows beside the image's own have a score nowhere else. crf_input: `probabilities`, or
    `double_softmax` for those of `softmax_of_upsampled_logs`.
    """
    if certain is None:
        certain = np.full(image.shape[:2], IGNORE, np.uint8)
    added = added_classes(certain, classes)
    keys, known = (*classes, *added), certain != IGNORE
    if not keys:
        return np.zeros(image.shape[:2], np.uint8), np.full(image.shape[:2], 255, np.uint8)
    enlarge = softmax_of_upsampled_logs if crf_input == "double_softmax" else upsample
    full = enlarge(scores, *image.shape[:2])
    full = np.concatenate([full, np.zeros((len(added), *full.shape[1:]), np.float32)])
    full[:, known] = np.array([0, *keys])[:, None] == certain[known]
    probabilities = dense_crf(image, full, crf)
    label, confidence = label_of(probabilities, keys), confidence_of(probabilities)
    return apply_correction(label, certain), np.where(known, 255, confidence).astype(np.uint8)
