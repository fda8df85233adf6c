"""Dense CRF (Krähenbühl & Koltun, NIPS 2011) behind one wrapper that checks what pydensecrf does not."""

from dataclasses import dataclass

import numpy as np
import pydensecrf.densecrf as densecrf
from pydensecrf.utils import unary_from_labels, unary_from_softmax


@dataclass(frozen=True)
class CrfSettings:
    """A `crf` section: mean-field iterations, standard deviations [pixels; grey levels] and weights of the kernels."""

    iterations: int
    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float


def dense_crf(image: np.ndarray, scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Mean-field inference over the pixels of `image`.

    image: uint8 RGB [H, W, 3]; scores: probabilities [L, H, W] up to a factor per pixel (they are divided by their sum;
    the unary is -log of that, clipped at 1e-5). Returns float32 [L, H, W] that sums to one over L. Raises ValueError
    where shapes or dtypes do not fit, FloatingPointError where scores are not finite.
    """
    _check(image, scores.shape[1:])
    if not np.isfinite(scores).all():
        raise FloatingPointError("the scores for the CRF are not finite")
    probabilities = scores / scores.sum(0).clip(1e-5)
    return _infer(image, unary_from_softmax(probabilities), settings)


def dense_crf_labels(
    image: np.ndarray, label: np.ndarray, num_labels: int, certainty: float, settings: CrfSettings
) -> np.ndarray:
    """The same on hard labels [H, W] in 0..num_labels-1 that are right with probability `certainty`."""
    _check(image, label.shape)
    unary = unary_from_labels(label.astype(np.int64), num_labels, certainty, zero_unsure=False)
    return _infer(image, unary, settings)


def _check(image: np.ndarray, size: tuple[int, ...]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the CRF needs a uint8 image [H, W, 3], not {image.dtype} {image.shape}")
    if image.shape[:2] != tuple(size):
        raise ValueError(f"the CRF's image is {image.shape[:2]}, its scores are {tuple(size)}")


def _infer(image: np.ndarray, unary: np.ndarray, settings: CrfSettings) -> np.ndarray:
    height, width = image.shape[:2]
    field = densecrf.DenseCRF2D(width, height, len(unary))
    # pydensecrf reads the raw buffers: contiguous, float32, and writable even where it only reads.
    field.setUnaryEnergy(np.require(unary, np.float32, ["C", "W"]))
    field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_compat)
    field.addPairwiseBilateral(
        sxy=settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.require(image, np.uint8, ["C", "W"]),
        compat=settings.bilateral_compat,
    )
    return np.array(field.inference(settings.iterations), np.float32).reshape(len(unary), height, width)
