"""AffinityNet's training labels as the scores of two dense CRFs, averaged on the features' grid before the argmax.

So it is in its released code (PSA), where each of the 56×56 points of a crop gets the class of the highest mean score
of its 8×8 pixels. The file of an image holds `keys`, uint8 [K], and `scores`, float16 [2, K + 1, H, W]: of the CRF with
much background and of the one with little, each with the background first. Imports no torch.
"""

from collections.abc import Sequence

import numpy as np

from wsgcn.files import IGNORE, read_arrays, read_label


def label_of_two(low: np.ndarray, high: np.ndarray, keys: Sequence[int]) -> np.ndarray:
    """uint8 [H, W]: 0 where `high`'s winner is background, else the class of `low`'s winner, 255 where that is
    background. low, high: scores [K + 1, H, W], background first; keys: the K classes (indices from 1)."""
    label = np.array([IGNORE, *keys], np.uint8)[low.argmax(0)]
    label[high.argmax(0) == 0] = 0
    return label


def pooled_label(scores: np.ndarray, keys: Sequence[int], cell: int) -> np.ndarray:
    """The `label_of_two` of scores [2, K + 1, H, W] averaged over cells: uint8 [ceil(H/cell), ceil(W/cell)].

    255 in cells without any score, which lie outside of the image. A cell that reaches beyond it counts zeros there.
    """
    sides = [-(-side // cell) * cell for side in scores.shape[2:]]
    padded = np.zeros((*scores.shape[:2], *sides), np.float32)
    padded[:, :, : scores.shape[2], : scores.shape[3]] = scores
    blocks = padded.reshape(2, -1, sides[0] // cell, cell, sides[1] // cell, cell)
    means = blocks.mean((3, 5))
    label = label_of_two(means[0], means[1], keys)
    label[means.max((0, 1)) < 1e-5] = IGNORE
    return label


def read_training_label(path: str) -> np.ndarray:
    """The label that a file of either kind holds, uint8 [H, W]: a PNG, or that of each pixel's scores."""
    if not path.endswith(".npz"):
        return read_label(path)
    arrays = read_arrays(path)
    low, high = arrays["scores"]
    return label_of_two(low, high, arrays["keys"].tolist())


def read_pooled_label(path: str, cell: int) -> np.ndarray:
    """The label of the features' grid over a whole image, from a file of scores."""
    arrays = read_arrays(path)
    return pooled_label(arrays["scores"], arrays["keys"].tolist(), cell)
