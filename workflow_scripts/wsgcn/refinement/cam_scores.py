"""No refinement: the CAMs themselves against a constant background score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from wsgcn.refinement.contract import Refined, RefinerInput

if TYPE_CHECKING:
    import torch


def scores_of_cams(images: Sequence[RefinerInput], params: Mapping, device: torch.device | None) -> list[Refined]:
    """Scores [K + 1, h, w] of each image in the dtype of its CAMs, `params["background_score"]` first.

    images: their `cam` is used. The device is not.
    """
    return [_scores(image, params["background_score"]) for image in images]


def _scores(image: RefinerInput, background_score: float) -> Refined:
    cams = image.cam["cam"]
    background = np.full_like(cams[:1], background_score)
    return Refined(tuple(image.cam["keys"].tolist()), np.concatenate([background, cams]))
