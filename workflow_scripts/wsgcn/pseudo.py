"""The complete pseudo label: the GCN's scores at full size, through a dense CRF [WSGCN, section 3.4]."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.crf import dense_crf


def upsample(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scores [L, h, w] to float32 [L, height, width], bilinear with aligned corners."""
    batch = torch.from_numpy(np.asarray(scores, np.float32))[None]
    return F.interpolate(batch, (height, width), mode="bilinear", align_corners=True)[0].numpy()


def label_of(scores: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Argmax of [K + 1, H, W] (background first) as uint8 indices of `classes`."""
    return np.array([0, *classes], np.uint8)[scores.argmax(0)]


def complete_label(image: np.ndarray, scores: np.ndarray, classes: Sequence[int], crf: Mapping) -> np.ndarray:
    """uint8 [H, W] from refined scores [K + 1, h, w] and the image, uint8 RGB [H, W, 3].

    A GCN's scores go into the CRF as the probabilities that they are, without another softmax; a random walk's are
    divided by their sum.
    """
    return label_of(dense_crf(image, upsample(scores, *image.shape[:2]), crf), classes)
