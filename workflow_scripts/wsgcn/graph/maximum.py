"""The elementwise maximum of a random walk with its transpose, as WSGCN's released code takes it.

The walk W = D^-½ S D^½ of a symmetric S >= 0 differs from its transpose by the degrees d alone:
max(w_ij, w_ji) = s_ij · max(√(d_j / d_i), √(d_i / d_j)). For a sparse S this is another sparse matrix. For a low-rank S
its products are sums over the nodes of smaller and of larger degree. Otherwise the maximum is a dense matrix.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.walk import walk_polynomial, walk_rows

CHUNK_ROWS = 500
"""Rows of a dense maximum that are computed at a time."""


def sparse_maximum(matrix: scipy.sparse.sparray, degree: np.ndarray) -> scipy.sparse.sparray:
    """max(W, Wᵗ) of W = D^-½ S D^½ for a sparse symmetric S [N, N], in its format; degree: d [N]."""
    entries = matrix.tocoo()
    rows, columns = entries.coords
    ratio = np.sqrt(degree[rows] / degree[columns])
    entries.data = (entries.data * np.maximum(ratio, 1 / ratio)).astype(matrix.dtype)
    return entries.asformat(matrix.format)


@dataclass(frozen=True)
class Dense:
    """A symmetric dense matrix [N, N]."""

    matrix: np.ndarray

    def __str__(self) -> str:
        return "a dense matrix"


def dense_maximum(step: scipy.sparse.sparray, steps: int, degree: np.ndarray) -> Dense:
    """max(W, Wᵗ) of W = D^-½ Sᵗ D^½ for t = steps. step: S, sparse and symmetric [N, N]; degree: d [N]."""
    polynomial, root = walk_polynomial(step, steps), np.sqrt(degree).astype(step.dtype)
    nodes = len(root)
    matrix = np.zeros((nodes, nodes), step.dtype)
    for start in range(0, nodes, CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        np.fill_diagonal(matrix[rows, rows], 1)
        ratio = root / root[rows, None]
        matrix[rows] = walk_rows(polynomial, matrix[rows]) * np.maximum(ratio, 1 / ratio)
    return Dense(matrix)


@dataclass(frozen=True)
class LowRankMaximum:
    """max(W, Wᵗ) of W = D^-½ S D^½, S = Uᵗ diag(values) U; degree: d [N]."""

    low_rank: LowRank
    degree: np.ndarray

    def __str__(self) -> str:
        return f"the maximum with its transpose of {self.low_rank}"
