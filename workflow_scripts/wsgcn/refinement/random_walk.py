"""The baseline that WSGCN replaces: CAMs carried along the affinities by a random walk.

Sources: IRNet (Ahn et al., CVPR 2019, section 5.2) and AffinityNet (Ahn & Kwak, CVPR 2018, section 3.3), with their
released codes.
"""

import numpy as np
import scipy.sparse

from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import walk_polynomial, walk_rows
from wsgcn.labels.scores import scores_with_background


def random_walk(affinity: scipy.sparse.dia_array, rows: np.ndarray, steps: int) -> np.ndarray:
    """Tᵗ x for each row x of [K, N], T = D^-1 A: every step gives a node the mean of its neighbours, weighted by A.

    affinity: A, symmetric [N, N] with ones on its diagonal (A^β of the papers). Computed as D^-½ Sᵗ D^½ with the
    symmetric S = D^-½ A D^-½, whose powers need no dense matrix. Returns float32 [K, N].
    """
    if not steps:
        return rows.astype(np.float32)
    root = np.sqrt(affinity.sum(axis=1))
    step = scale_rows_and_columns(affinity, 1 / root, 1 / root)
    polynomial = walk_polynomial(step, steps)
    return (walk_rows(polynomial, (rows * root).astype(affinity.dtype)) / root).astype(np.float32)


def walk_against_constant(
    affinity: scipy.sparse.dia_array, cams: np.ndarray, boundary: np.ndarray | None, steps: int, background: float
) -> np.ndarray:
    """Scores float32 [K + 1, h, w] of the walk as in IRNet, the constant `background` first.

    cams: [K, h, w] in 0..1. They start outside the boundaries, cams · (1 - boundary), where a boundary map [h, w] is
    given; after the walk each class is divided by its maximum.
    """
    start = cams if boundary is None else cams * (1 - boundary)
    walked = random_walk(affinity, start.reshape(len(cams), -1), steps).reshape(cams.shape).clip(0)
    walked /= np.maximum(walked.max((1, 2), keepdims=True), 1e-5)
    return np.concatenate([np.full_like(walked[:1], background), walked])


def walk_with_background(affinity: scipy.sparse.dia_array, cams: np.ndarray, steps: int, alpha: float) -> np.ndarray:
    """Scores float32 [K + 1, h, w] of the walk as in AffinityNet: the background (1 - max cam)^alpha walks along."""
    scores = scores_with_background(np.asarray(cams, np.float32), alpha)
    return random_walk(affinity, scores.reshape(len(scores), -1), steps).reshape(scores.shape).clip(0)
