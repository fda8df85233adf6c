"""What the affinity networks are trained on: labels of the certain pixels, from CAMs and two dense CRFs.

Apart from the networks, since these labels need no torch, whose import takes seconds in each job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.affinity.score_labels import label_of_two
from wsgcn.files import IGNORE
from wsgcn.labels.crf import CrfSettings, dense_crf, dense_crf_labels
from wsgcn.labels.scores import label_from_cams, scores_with_background
from wsgcn.sections import from_section


@dataclass(frozen=True)
class IrnetLabelSettings:
    """The `irnet.labels` section: background scores for foreground and for background, certainty of the CRF's input."""

    foreground_score: float
    background_score: float
    certainty: float
    crf: CrfSettings


@dataclass(frozen=True)
class PsaLabelSettings:
    """The `psa.labels` section: powers of the background scores for foreground (low) and for background (high).

    on_grid: how a point of the features' grid gets its label in training, from the `nearest_pixel` of a label, or by
    `mean_scores`, for which the scores of both CRFs are kept.
    """

    alpha_low: float
    alpha_high: float
    crf: CrfSettings
    on_grid: str = "nearest_pixel"


def label_for_irnet(image: np.ndarray, cams: np.ndarray, keys: Sequence[int], settings: Mapping) -> np.ndarray:
    """The certain foreground and the certain background, uint8 [H, W], 255 between the two [I, section 4.2].

    image: uint8 RGB [H, W, 3]; cams: float [K, H, W] of the classes `keys` (indices from 1); settings: the fields of
    `IrnetLabelSettings`. A CAM argmax against a high background score, refined by a dense CRF, gives the certain
    foreground; one against a low score gives the certain background.
    """
    section = from_section(IrnetLabelSettings, settings)

    def refined(background_score: float) -> np.ndarray:
        channels = label_from_cams(cams, range(1, len(keys) + 1), background_score)
        scores = dense_crf_labels(image, channels, len(keys) + 1, section.certainty, section.crf)
        return np.array([0, *keys], np.uint8)[scores.argmax(0)]

    foreground, background = refined(section.foreground_score), refined(section.background_score)
    label = np.where(foreground > 0, foreground, IGNORE)
    label[(foreground == 0) & (background == 0)] = 0
    return label.astype(np.uint8)


def label_for_affinitynet(
    image: np.ndarray, cams: np.ndarray, keys: Sequence[int], settings: Mapping
) -> np.ndarray | dict[str, np.ndarray]:
    """The certain foreground and the certain background, uint8 [H, W], 255 between the two [P, section 3.2].

    image: uint8 RGB [H, W, 3]; cams: float [K, H, W] of the classes `keys` (indices from 1); settings: the fields of
    `PsaLabelSettings`. Two dense CRFs on the CAMs and the background (1 - max cam)^alpha: the one with much background
    (alpha_low) gives the foreground, the one with little (alpha_high) the background. With `on_grid: mean_scores` these
    two CRFs' probabilities, as `score_labels` reads them, also of an image without a class.
    """
    section = from_section(PsaLabelSettings, settings)
    if not len(keys):
        low = high = np.ones((1, *image.shape[:2]), np.float32)
    else:
        low, high = (
            dense_crf(image, scores_with_background(cams, alpha), section.crf)
            for alpha in (section.alpha_low, section.alpha_high)
        )
    if section.on_grid == "mean_scores":
        return {"keys": np.array(keys, np.uint8), "scores": np.stack([low, high]).astype(np.float16)}
    return label_of_two(low, high, keys)
