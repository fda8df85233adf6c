"""The dense CRF in numba: as pydensecrf computes it, without a compiler, and with an image's lattices shared.

The lattices depend on the image and the standard deviations alone. Those of the last image are kept: labels come from
several CRFs on one image. So is the grid's, the same for all images of a size.
"""

from collections.abc import Callable

import numpy as np

from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.lattice import bilateral_features, build_lattice, gaussian_features
from wsgcn.labels.mean_field import Kernel, build_kernel, mean_field

_kept: dict[str, tuple[tuple, Kernel]] = {}
"""The last Gaussian and the last bilateral kernel, each with what it was made from."""


def forget_kernels() -> None:
    """Give back the memory of the last image's kernels."""
    _kept.clear()


def _kernel(name: str, key: tuple, features: Callable[[], np.ndarray]) -> Kernel:
    found, kernel = _kept.get(name, (None, None))
    if kernel is None or found != key:
        kernel = None
        _kept.pop(name, None)  # first, so that two never take memory at once
        kernel = build_kernel(build_lattice(features()))
        _kept[name] = key, kernel
    return kernel


def infer(image: np.ndarray, log_scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Probabilities float32 [L, H·W] from log scores float32 [L, H·W] and an image, uint8 RGB [H, W, 3]."""
    height, width = image.shape[:2]
    s = settings
    gaussian = _kernel(
        "gaussian", (height, width, s.gaussian_sxy), lambda: gaussian_features(height, width, s.gaussian_sxy)
    )
    bilateral = _kernel(
        "bilateral",
        (image.tobytes(), height, width, s.bilateral_sxy, s.bilateral_srgb),
        lambda: bilateral_features(image, s.bilateral_sxy, s.bilateral_srgb),
    )
    return mean_field(
        log_scores,
        gaussian._replace(compatibility=np.float32(s.gaussian_compat)),
        bilateral._replace(compatibility=np.float32(s.bilateral_compat)),
        s.iterations,
    )
