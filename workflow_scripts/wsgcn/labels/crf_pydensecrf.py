"""The dense CRF by pydensecrf, where it is installed (`.[pydensecrf]`): Python 3.11 or 3.12 and a C++ compiler."""

import numpy as np
from pydensecrf import densecrf

from wsgcn.labels.crf import CrfSettings


def infer(image: np.ndarray, log_scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Probabilities float32 [L, H·W] from log scores float32 [L, H·W] and an image, uint8 RGB [H, W, 3]."""
    height, width = image.shape[:2]
    field = densecrf.DenseCRF2D(width, height, len(log_scores))
    # pydensecrf reads the raw buffers: contiguous, float32, and writable even where it only reads.
    field.setUnaryEnergy(np.require(-log_scores, np.float32, ["C", "W"]))
    field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_compat)
    field.addPairwiseBilateral(
        sxy=settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.require(image, np.uint8, ["C", "W"]),
        compat=settings.bilateral_compat,
    )
    return np.array(field.inference(settings.iterations), np.float32)
