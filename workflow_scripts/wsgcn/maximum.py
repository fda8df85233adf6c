"""The elementwise maximum of a random walk with its transpose, as WSGCN's released code takes it, without forming it.

The walk W = D^-½ S D^½ of a symmetric S >= 0 differs from its transpose by the degrees d alone, so that
max(w_ij, w_ji) = s_ij · max(√(d_j / d_i), √(d_i / d_j)): for a sparse S another sparse matrix, for a low-rank one sums
over the nodes of smaller and of larger degree. Only where S is neither is the maximum formed.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from wsgcn.walk import LowRank, walk_polynomial, walk_rows


def sparse_maximum(matrix: scipy.sparse.sparray, degree: np.ndarray) -> scipy.sparse.sparray:
    """max(W, Wᵗ) of W = D^-½ S D^½ for a sparse symmetric S [N, N], in its format; degree: d [N]."""
    entries = matrix.tocoo()
    rows, columns = entries.coords
    ratio = np.sqrt(degree[rows] / degree[columns])
    entries.data = (entries.data * np.maximum(ratio, 1 / ratio)).astype(matrix.dtype)
    return entries.asformat(matrix.format)


@dataclass(frozen=True)
class Dense:
    """A symmetric matrix [N, N] as it is."""

    matrix: np.ndarray

    def __str__(self) -> str:
        return "a dense matrix"


def dense_maximum(step: scipy.sparse.sparray, steps: int, degree: np.ndarray) -> Dense:
    """max(W, Wᵗ) of W = D^-½ Sᵗ D^½; step: S, sparse and symmetric [N, N]; degree: d [N]. Takes 2 N² numbers."""
    matrix = walk_rows(walk_polynomial(step, steps), np.eye(step.shape[0], dtype=step.dtype))
    root = np.sqrt(degree).astype(step.dtype)
    for row, own in zip(matrix, root, strict=True):
        row *= np.maximum(root / own, own / root)
    return Dense(matrix)


@dataclass(frozen=True)
class LowRankMaximum:
    """max(W, Wᵗ) of W = D^-½ S D^½, S = Uᵗ diag(values) U; degree: d [N]."""

    low_rank: LowRank
    degree: np.ndarray

    def __str__(self) -> str:
        return f"the maximum with its transpose of {self.low_rank}"
