"""The dense CRF in numba: as pydensecrf computes it, without a compiler, and with an image's lattices shared.

The lattices depend on the image and the standard deviations alone. Those of the last image are kept: labels come from
several CRFs on one image. So is the grid's, the same for all images of a size.
"""

from functools import lru_cache

import numpy as np

from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.lattice import bilateral_features, build_lattice, gaussian_features
from wsgcn.labels.mean_field import Kernel, build_kernel, mean_field


@lru_cache(maxsize=1)
def _gaussian_kernel(height: int, width: int, sxy: float) -> Kernel:
    return build_kernel(build_lattice(gaussian_features(height, width, sxy)))


@lru_cache(maxsize=1)
def _bilateral_kernel(pixels: bytes, height: int, width: int, sxy: float, srgb: float) -> Kernel:
    image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    return build_kernel(build_lattice(bilateral_features(image, sxy, srgb)))


def infer(image: np.ndarray, log_scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Probabilities float32 [L, H·W] from log scores float32 [L, H·W] and an image, uint8 RGB [H, W, 3]."""
    size, s = image.shape[:2], settings
    gaussian = _gaussian_kernel(*size, s.gaussian_sxy)
    bilateral = _bilateral_kernel(image.tobytes(), *size, s.bilateral_sxy, s.bilateral_srgb)
    return mean_field(
        log_scores,
        gaussian._replace(compatibility=np.float32(s.gaussian_compat)),
        bilateral._replace(compatibility=np.float32(s.bilateral_compat)),
        s.iterations,
    )
