"""The partial pseudo label: the few nodes of the grid whose class the CAMs are sure of [WSGCN, section 3.2]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.files import IGNORE
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import scores_with_background


@dataclass(frozen=True)
class PartialSettings:
    """The `partial` section of the config; `select_confident` explains each threshold."""

    alpha_low: float
    alpha_high: float
    confident_ratio: float
    cam_floor: float
    background_score: float
    crf_score: float
    every_class: bool
    crf: CrfSettings


def partial_label(image: np.ndarray, cams: np.ndarray, classes: Sequence[int], settings: PartialSettings) -> np.ndarray:
    """uint8 [h, w]: class indices where they are certain, else 255.

    image: uint8 RGB [h, w, 3] on the grid; cams: float [K, h, w] in 0..1 of `classes`. Two dense CRFs must agree as in
    AffinityNet: foreground where the one with much background (alpha_low) says so, background where the one with
    little (alpha_high) says so. Then `select_confident` keeps the most certain nodes of both. All background, without a
    CRF, where there are no classes.
    """
    if not len(classes):
        return np.zeros(cams.shape[1:], np.uint8)
    cams = np.asarray(cams, np.float32)
    low, high = (
        dense_crf(image, scores_with_background(cams, alpha), settings.crf)
        for alpha in (settings.alpha_low, settings.alpha_high)
    )
    return select_confident(cams, low, high, classes, settings)


def select_confident(
    cams: np.ndarray, low: np.ndarray, high: np.ndarray, classes: Sequence[int], settings: PartialSettings
) -> np.ndarray:
    """The rules on CAMs [K, h, w] and the two CRFs' probabilities [K + 1, h, w] (channel 0 background).

    A node is foreground class k where `low`'s winner is k, its probability reaches `crf_score`, k is the CAM argmax and
    its CAM value is above `cam_floor` and among the top `confident_ratio` of the CAM values of k above the floor in
    this image. It is background where `high`'s winner is background with that probability and (1 - max cam)^alpha_high
    is above `background_score`. Else 255. Returns uint8 [h, w].

    With `every_class`, a class that would have no node keeps those that all rules but the CRF's allow, else the first
    one of its highest CAM value that no other class has, and none where that is 0: objects of a few nodes are what a
    CRF smooths away.
    """
    cam_winner, cam_peak = cams.argmax(0), cams.max(0)
    label = np.full(cam_peak.shape, IGNORE, np.uint8)
    crf_background = (high.argmax(0) == 0) & (high.max(0) >= settings.crf_score)
    label[crf_background & ((1 - cam_peak).clip(0) ** settings.alpha_high > settings.background_score)] = 0
    for k, class_index in enumerate(classes):
        certain = _highest(cams[k], (cam_winner == k) & (cam_peak > settings.cam_floor), settings.confident_ratio)
        agreed = certain & (low.argmax(0) == k + 1) & (low.max(0) >= settings.crf_score)
        label[certain if settings.every_class and not agreed.any() else agreed] = class_index
    if settings.every_class:
        for k in (k for k, class_index in enumerate(classes) if class_index not in label):
            label[_peak(np.where(np.isin(label, classes), 0, cams[k]))] = classes[k]
    return label


def _peak(cam: np.ndarray) -> np.ndarray:
    """The first node of the highest CAM value, bool [h, w]; none where all values are 0."""
    node = np.zeros(cam.shape, bool)
    node.flat[cam.argmax()] = cam.max() > 0
    return node


def _highest(cam: np.ndarray, candidates: np.ndarray, share: float) -> np.ndarray:
    """The candidates, bool [h, w], of the highest share of CAM values, at least one where there are any."""
    if not candidates.any():
        return candidates
    count = max(1, round(share * candidates.sum()))
    return candidates & (cam >= np.partition(cam[candidates], -count)[-count])
