"""How far two labels of an image agree, and the label of the random walk that a label is compared with."""

from collections.abc import Iterable, Mapping

import numpy as np

from wsgcn.labels.scores import label_of, upsample
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.random_walk import refine_with_random_walk


def label_agreement(first: np.ndarray, second: np.ndarray, classes: Iterable[int]) -> float:
    """The mean IoU of two labels, uint8 [H, W], over the background and the image's classes (indices from 1), in 0..1.

    What neither label shows counts as 0: two labels that both miss a class of the image agree on something wrong.
    Raises ValueError where sizes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"one label is {first.shape}, the other {second.shape}")
    ious = []
    for index in (0, *classes):
        a, b = first == index, second == index
        ious.append((a & b).sum() / max(1, (a | b).sum()))
    return float(np.mean(ious))


def walk_label(
    cam: Mapping[str, np.ndarray], network_output: Mapping[str, np.ndarray], params: Mapping, size: tuple[int, int]
) -> np.ndarray:
    """The label of the random walk of an image's CAMs along its affinities, without a CRF: uint8, of `size` (H, W).

    cam, network_output: arrays of the image's CAM file and affinity file; params: as in `refine_with_random_walk`.
    """
    keys = tuple(cam["keys"].tolist())
    image = RefinerInput("", keys, cam=dict(cam), network_output=dict(network_output))
    (walked,) = refine_with_random_walk([image], params, None)
    return label_of(upsample(walked.scores, *size), keys)
