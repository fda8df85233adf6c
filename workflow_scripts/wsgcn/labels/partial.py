"""The partial pseudo label: the few nodes of the grid whose class the CAMs are sure of [WSGCN, section 3.2]."""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.files import IGNORE
from wsgcn.labels.crf import dense_crf
from wsgcn.labels.scores import scores_with_background


def partial_label(image: np.ndarray, cams: np.ndarray, classes: Sequence[int], settings: Mapping) -> np.ndarray:
    """uint8 [h, w]: classes where they are certain, else 255.

    image: uint8 RGB [h, w, 3] on the grid; cams: float [K, h, w] in 0..1 of `classes`. Two dense CRFs must agree as in
    AffinityNet: foreground where the one with much background (alpha_low) says so, background where the one with
    little (alpha_high) says so; then `select_confident` keeps the surest of both.
    """
    cams = np.asarray(cams, np.float32)
    low, high = (
        dense_crf(image, scores_with_background(cams, settings[alpha]), settings["crf"])
        for alpha in ("alpha_low", "alpha_high")
    )
    return select_confident(cams, low, high, classes, settings)


def select_confident(
    cams: np.ndarray, low: np.ndarray, high: np.ndarray, classes: Sequence[int], settings: Mapping
) -> np.ndarray:
    """The rules on CAMs [K, h, w] and the two CRFs' probabilities [K + 1, h, w] (channel 0 background).

    A node is foreground class k where `low`'s winner is k, its probability reaches `crf_score`, k is the CAM argmax and
    its CAM value is above `cam_floor` and among the top `confident_ratio` of such values of k in this image. It is
    background where `high`'s winner is background with that probability and (1 - max cam)^alpha_high is above
    `background_score`. Else 255.
    """
    winner, peak = cams.argmax(0), cams.max(0)
    label = np.full(peak.shape, IGNORE, np.uint8)
    sure_background = (high.argmax(0) == 0) & (high.max(0) >= settings["crf_score"])
    label[sure_background & ((1 - peak).clip(0) ** settings["alpha_high"] > settings["background_score"])] = 0
    for k, name in enumerate(classes):
        own = (winner == k) & (peak > settings["cam_floor"])
        if not own.any():
            continue
        kept = max(1, round(settings["confident_ratio"] * own.sum()))
        threshold = np.partition(peak[own], -kept)[-kept]
        sure = (low.argmax(0) == k + 1) & (low.max(0) >= settings["crf_score"])
        label[own & (peak >= threshold) & sure] = name
    return label
