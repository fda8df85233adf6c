"""The elementwise maximum of a random walk with its transpose, as WSGCN's released code takes it.

The walk W = D^-½ S D^½ of a symmetric S >= 0 differs from its transpose by the degrees d alone:
max(w_ij, w_ji) = s_ij · k_ij with k_ij = max(√(d_j / d_i), √(d_i / d_j)). For a sparse S this is another sparse
matrix. For a low-rank S its products are sums over the nodes of smaller and of larger degree. For any other, K is a
short sum of products of a function of d_i and one of d_j, and the maximum the same sum of scaled products with S.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.walk import Polynomial, ScaledPolynomial

KERNEL_TOLERANCE = 4e-3
"""Error of the sum for K between nodes of equal degree, in the mean, that `MAX_KERNEL_TERMS` may exceed."""

MAX_KERNEL_TERMS = 16
"""Where degrees differ so widely that more would be needed, the error is larger."""

DEGREE_BINS = 128
"""Bins of the logarithm of the degree in which the sum for K is computed."""


def sparse_maximum(matrix: scipy.sparse.sparray, degree: np.ndarray) -> scipy.sparse.sparray:
    """max(W, Wᵗ) of W = D^-½ S D^½ for a sparse symmetric S [N, N], in its format; degree: d [N]."""
    entries = matrix.tocoo()
    rows, columns = entries.coords
    ratio = np.sqrt(degree[rows] / degree[columns])
    entries.data = (entries.data * np.maximum(ratio, 1 / ratio)).astype(matrix.dtype)
    return entries.asformat(matrix.format)


@dataclass(frozen=True)
class LowRankMaximum:
    """max(W, Wᵗ) of W = D^-½ S D^½, S = Uᵗ diag(values) U; degree: d [N]."""

    low_rank: LowRank
    degree: np.ndarray

    def __str__(self) -> str:
        return f"the maximum with its transpose of {self.low_rank}"


def polynomial_maximum(polynomial: Polynomial, mask: np.ndarray, degree: np.ndarray) -> ScaledPolynomial:
    """max(W, Wᵗ) of W = D^-½ S D^½ for S = p among the nodes of a mask [N], of zeros and ones; degree: d [N]."""
    factors, signs = degree_kernel(degree, mask)
    return ScaledPolynomial(polynomial, factors.astype(mask.dtype), signs.astype(mask.dtype))


def degree_kernel(degree: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors f [M, N] and signs s [M] with k_ij about Σ s_m f_mi f_mj among the nodes of a mask; f is 0 at the others.

    The leading eigenfunctions of K over the distribution of the degrees [N], as many as `KERNEL_TOLERANCE` asks for.
    """
    logs = np.log(degree.astype(np.float64))
    among = logs[mask > 0]
    counts, edges = np.histogram(among, DEGREE_BINS)
    sums, _ = np.histogram(among, edges, weights=among)
    centres, root = sums[counts > 0] / counts[counts > 0], np.sqrt(counts[counts > 0] / len(among))
    values, vectors = np.linalg.eigh(root[:, None] * np.exp(np.abs(centres[:, None] - centres) / 2) * root)
    order = np.abs(values).argsort()[::-1]
    left_out = np.abs(values[order])[::-1].cumsum()[::-1]
    order = order[: min(MAX_KERNEL_TERMS, max(1, int((left_out > KERNEL_TOLERANCE).sum())))]
    coefficients = root[:, None] * vectors[:, order] / np.abs(values[order]) ** 0.5
    factors = mask * (np.exp(np.abs(logs[:, None] - centres) / 2) @ coefficients).T
    return factors, np.sign(values[order])
