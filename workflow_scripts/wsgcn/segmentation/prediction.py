"""Labels of an image from a segmentation network: at a single scale, at several, and those through a dense CRF.

A network's `open_<network>(params, model, device)` opens the weights at the path `model` as a `Segmenter`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import confidence_of

Segmenter = Callable[[np.ndarray, Sequence[float], bool], np.ndarray]
"""From an image, uint8 RGB [H, W, 3], scales and whether to flip, to class probabilities float32 [C + 1, H, W]."""


@dataclass(frozen=True)
class PredictionSettings:
    """Of the `segmentation.prediction` section: the scales that are combined, whether over the mirror image too."""

    scales: tuple[float, ...]
    flip: bool
    crf: CrfSettings


def predict_labels(segment: Segmenter, image: np.ndarray, settings: PredictionSettings) -> dict[str, np.ndarray]:
    """Labels uint8 [H, W] of an image, uint8 RGB [H, W, 3]: `single`, `multi` and `crf`."""
    single = segment(image, [1], False)
    multi = segment(image, settings.scales, settings.flip)
    scores = {"single": single, "multi": multi, "crf": dense_crf(image, multi, settings.crf)}
    return {name: values.argmax(0).astype(np.uint8) for name, values in scores.items()}


def predict_with_confidence(
    segment: Segmenter, image: np.ndarray, settings: PredictionSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The label `crf` of `predict_labels` alone, and its confidence, both uint8 [H, W].

    image: uint8 RGB [H, W, 3]. The confidence is that of `labels.scores.confidence_of` after the CRF.
    """
    scores = dense_crf(image, segment(image, settings.scales, settings.flip), settings.crf)
    return scores.argmax(0).astype(np.uint8), confidence_of(scores)
