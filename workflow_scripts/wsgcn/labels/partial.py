"""The partial pseudo label: the few nodes of the grid whose class the CAMs are sure of [WSGCN, section 3.2]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.files import IGNORE
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.scores import scores_with_background


@dataclass(frozen=True)
class PartialSettings:
    """The `partial` section of the config; `select_confident` explains each threshold.

    selection: `agreement`, the rules of `select_confident`, or `union`, those of `select_united`.
    """

    alpha_low: float
    alpha_high: float
    confident_ratio: float
    cam_floor: float
    background_score: float
    crf_score: float
    every_class: bool
    crf: CrfSettings
    selection: str = "agreement"


def partial_label(image: np.ndarray, cams: np.ndarray, classes: Sequence[int], settings: PartialSettings) -> np.ndarray:
    """uint8 [h, w]: class indices where they are certain, else 255.

    image: uint8 RGB [h, w, 3] on the grid; cams: float [K, h, w] in 0..1 of `classes`. Two dense CRFs must agree as in
    AffinityNet: foreground where the one with much background (alpha_low) says so, background where the one with
    little (alpha_high) says so. Then `select_confident`, or `select_united`, keeps the most certain nodes of both. All
    background, without a CRF, where there are no classes.
    """
    if not len(classes):
        return np.zeros(cams.shape[1:], np.uint8)
    cams = np.asarray(cams, np.float32)
    low, high = (
        dense_crf(image, scores_with_background(cams, alpha), settings.crf)
        for alpha in (settings.alpha_low, settings.alpha_high)
    )
    select = select_united if settings.selection == "union" else select_confident
    return select(cams, low, high, classes, settings)


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
        _label_peaks(label, cams, classes)
    return label


def select_united(
    cams: np.ndarray, low: np.ndarray, high: np.ndarray, classes: Sequence[int], settings: PartialSettings
) -> np.ndarray:
    """As `select_confident`, by the rules of WSGCN's released code. Returns uint8 [h, w].

    Each class that wins anywhere in `low`, background too, has a sure region. Of foreground class k: the nodes where
    its CAM value is above all others and above the background (1 - max cam)^alpha_high, and above the value at place
    int((1 - confident_ratio) n) of the n such values above `cam_floor` in ascending order. Of background: where its
    score is above all CAM values and `background_score`. In the union of these regions, whichever class is sure there,
    a node has the label of the CRFs: background where `high`'s winner is background, else `low`'s winner; provided that
    among the background of `high` and the classes of `low` it has the highest probability, and this reaches
    `crf_score`.

    With `every_class`, a class that would have no node keeps its sure region, else its peak as in `select_confident`.
    """
    cams = cams.astype(np.float64)
    background = (1 - cams.max(0)).clip(0) ** settings.alpha_high
    winner = np.concatenate([background[None], cams]).argmax(0)
    sure = [(winner == 0) & (background > settings.background_score)] + [
        _above(np.where(winner == k, cams[k - 1], 0), settings) for k in range(1, len(cams) + 1)
    ]
    united = np.any([sure[k] for k in np.unique(low.argmax(0))], axis=0)
    crf = np.where(high.argmax(0) == 0, 0, low.argmax(0))
    both = np.concatenate([high[:1], low[1:]])
    undecided = (crf == 0) & (high.argmax(0) != 0)
    kept = united & ~undecided & (both.argmax(0) == crf) & (both.max(0) >= settings.crf_score)
    label = np.where(kept, np.array([0, *classes], np.uint8)[crf], np.uint8(IGNORE))
    if settings.every_class:
        for k, class_index in enumerate(classes, start=1):
            if class_index not in label:
                label[sure[k]] = class_index
        _label_peaks(label, cams, classes)
    return label


def _above(cam: np.ndarray, settings: PartialSettings) -> np.ndarray:
    """Where a CAM [h, w] is above the value that parts its highest share from its others above the floor, bool [h, w].

    No node where none is above the floor; the released code ends in an error then.
    """
    values = np.sort(cam[cam > settings.cam_floor])
    if not len(values):
        return np.zeros(cam.shape, bool)
    return cam > values[min(int(len(values) * (1.0 - settings.confident_ratio)), len(values) - 1)]


def _label_peaks(label: np.ndarray, cams: np.ndarray, classes: Sequence[int]) -> None:
    """Give each class without a node the peak of its CAM among the nodes that no class has, in place."""
    for k in (k for k, class_index in enumerate(classes) if class_index not in label):
        label[_peak(np.where(np.isin(label, classes), 0, cams[k]))] = classes[k]


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
