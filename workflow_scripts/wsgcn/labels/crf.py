"""The dense CRF [Krähenbühl & Koltun 2011] behind functions that check their input, whatever computes it."""

import importlib
from dataclasses import dataclass

import numpy as np

MIN_PROBABILITY = 1e-5
BACKENDS = {"numba": "wsgcn.labels.crf_numba", "pydensecrf": "wsgcn.labels.crf_pydensecrf"}
"""Modules whose `infer(image, log_scores, settings)` computes a CRF. Their results are equal to the last bit."""
DEFAULT_BACKEND = "numba"


@dataclass(frozen=True)
class CrfSettings:
    """A `crf` section: mean-field iterations, standard deviations [pixels; grey levels] and weights of the kernels."""

    iterations: int
    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float


_process = {"backend": DEFAULT_BACKEND}


def use_backend(name: str) -> None:
    """Have this process compute its CRFs with one of `BACKENDS`, which is imported at once.

    Raises ValueError where there is none of that name, ImportError where it is not installed.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend of CRFs {name}; choose {' or '.join(BACKENDS)}")
    try:
        importlib.import_module(BACKENDS[name])
    except ImportError as error:
        raise ImportError(f"the CRF's backend {name} cannot be imported: {error}") from error
    _process["backend"] = name


def dense_crf(image: np.ndarray, scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Mean-field inference over the pixels of `image`.

    image: uint8 RGB [H, W, 3]; scores: probabilities [L, H, W] up to a factor per pixel (they are divided by their sum
    and clipped at 1e-5). Returns float32 [L, H, W] that sums to one over L. Raises ValueError where shapes or dtypes do
    not fit, FloatingPointError where scores or results are not finite. Further CRFs on the same image start faster.
    """
    _check(image, scores.shape[1:])
    if not np.isfinite(scores).all():
        raise FloatingPointError("the scores for the CRF are not finite")
    probabilities = scores / scores.sum(0).clip(MIN_PROBABILITY)
    return _infer(image, np.log(probabilities.clip(MIN_PROBABILITY, 1)).astype(np.float32), settings)


def dense_crf_labels(
    image: np.ndarray, label: np.ndarray, num_labels: int, certainty: float, settings: CrfSettings
) -> np.ndarray:
    """The same on hard labels [H, W] in 0..num_labels-1 that are right with probability `certainty`, in 0..1.

    Raises ValueError where a label or the certainty is out of its range, too.
    """
    _check(image, label.shape)
    if not 0 < certainty < 1:
        raise ValueError(f"the certainty of labels for the CRF is {certainty}, not between 0 and 1")
    if label.size and not 0 <= label.min() <= label.max() < num_labels:
        raise ValueError(f"labels for the CRF are {label.min()} to {label.max()}, not 0 to {num_labels - 1}")
    others = (1 - certainty) / max(1, num_labels - 1)
    right = np.arange(num_labels)[:, None, None] == label
    log_scores = np.asarray(np.where(right, np.log(certainty), np.log(others)), np.float32)
    return _infer(image, log_scores, settings)


def _check(image: np.ndarray, size: tuple[int, ...]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the CRF needs a uint8 image [H, W, 3], not {image.dtype} {image.shape}")
    if image.shape[:2] != tuple(size):
        raise ValueError(f"the CRF's image is {image.shape[:2]}, its scores are {tuple(size)}")


def _infer(image: np.ndarray, log_scores: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Probabilities float32 [L, H, W] from log scores float32 [L, H, W]."""
    backend = importlib.import_module(BACKENDS[_process["backend"]])
    flat = np.ascontiguousarray(log_scores.reshape(len(log_scores), -1))
    found = backend.infer(np.ascontiguousarray(image), flat, settings).reshape(log_scores.shape)
    if not np.isfinite(found).all():
        raise FloatingPointError("the CRF's probabilities are not finite; one of its weights is too large")
    return found
