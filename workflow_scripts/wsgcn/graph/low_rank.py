"""A long random walk as a sparse matrix plus one of low rank: Sᵗ = H + Uᵗ diag(v) U for a symmetric sparse S.

Boundaries hold the walk at thousands of single nodes, so that Sᵗ itself is not of low rank. But the walk H on those
near-absorbing nodes alone is sparse, and the rest Sᵗ - H is of low rank.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from wsgcn.graph.walk import walk_polynomial, walk_rows

STAY_PROBABILITY = 0.8
"""A node is near-absorbing if a step stays there with a probability above this."""

RESIDUAL_TOLERANCE = 2e-3
"""Largest error of a low-rank form on random vectors, relative to these vectors (both as Euclidean norms)."""

MAX_NNZ_PER_ROW = 100
"""Mean entries per row above which the walk of the near-absorbing nodes is no longer kept as a sparse matrix."""

NUM_PROBES = 4
"""Random vectors that measure the error of a low-rank form."""

RANK_STEP = 96
"""A low-rank form is made from at least this many vectors, and retried with this many more."""

EIGENVALUE_CUTOFF = 1e-6
"""Eigenvalues of a Nyström core below this are dropped, relative to the largest: single precision resolves no more."""


@dataclass(frozen=True)
class LowRank:
    """The matrix Uᵗ diag(values) U. basis U: [R, N]; values: [R]."""

    basis: np.ndarray
    values: np.ndarray

    def __str__(self) -> str:
        return f"rank {len(self.values)}"


def near_absorbing_walk(step: scipy.sparse.sparray, steps: int) -> scipy.sparse.csr_array | None:
    """Sᵗ of the near-absorbing nodes alone: the entries of S among them to the power t, small ones dropped on the way.

    None where the power is not sparse, as for a whole region of such nodes.
    """
    absorbing = scipy.sparse.diags_array((step.diagonal() > STAY_PROBABILITY).astype(step.dtype))
    square, power = (absorbing @ step @ absorbing).tocsr(), absorbing.tocsr()
    while steps:
        if steps % 2:
            power = _drop_small(power @ square)
        steps //= 2
        if steps:
            square = _drop_small(square @ square)
        if square.nnz > MAX_NNZ_PER_ROW * step.shape[0]:
            return None
    return _drop_small((power + power.T) / 2, 1e-4).astype(step.dtype)


def _drop_small(matrix: scipy.sparse.csr_array, cutoff: float = 1e-5) -> scipy.sparse.csr_array:
    matrix.data[np.abs(matrix.data) < cutoff] = 0
    matrix.eliminate_zeros()
    return matrix


def low_rank_walk(
    step: scipy.sparse.sparray, steps: int, rows: np.ndarray, max_rank: int | None = None
) -> tuple[scipy.sparse.csr_array, LowRank, np.ndarray] | None:
    """Sᵗ [N, N] as H + Uᵗ diag(v) U, fitted to its products with rows X [K, N], and X Sᵗ; None where the fit fails.

    H: sparse [N, N]; U: [R, N]; v: [R], signs.

    Nyström's approximation of E = Sᵗ - H: with Y = X E, E is about Yᵗ (X Yᵗ)⁺ Y, exact on the rows X themselves up to
    the accuracy of the inverse. The rows are the node features, so that E is most accurate where the network uses it.
    Random rows are added where those are few or too similar, up to `max_rank` rows in all: by default as many as cost
    no more than the polynomial does. Further random rows measure the error.
    """
    sparse_part, rng = near_absorbing_walk(step, steps), np.random.default_rng(0)
    if sparse_part is None:
        return None
    scale = float(np.linalg.norm(rows)) / (len(rows) * step.shape[0]) ** 0.5 or 1
    polynomial = walk_polynomial(step, steps, 1e-4)
    max_rank = max_rank or len(polynomial.coefficients) * step.nnz // step.shape[0] // 2

    def random_rows(count: int) -> np.ndarray:
        return (scale * rng.standard_normal((count, step.shape[0])).astype(step.dtype)).astype(step.dtype)

    inputs = np.concatenate([rows, random_rows(max(0, RANK_STEP - len(rows)) + NUM_PROBES)])
    walked = walk_rows(polynomial, inputs)
    outputs = walked - (sparse_part @ inputs.T).T
    (sources, probes), (images, probe_images) = np.split(inputs, [-NUM_PROBES]), np.split(outputs, [-NUM_PROBES])
    while True:
        core = (sources @ images.T).astype(np.float64)
        values, vectors = np.linalg.eigh((core + core.T) / 2)
        keep_mask = np.abs(values) > EIGENVALUE_CUTOFF * np.abs(values).max()
        basis = (vectors[:, keep_mask] / np.abs(values[keep_mask]) ** 0.5).T.astype(step.dtype) @ images
        signs = np.sign(values[keep_mask]).astype(step.dtype)
        residual = probe_images - (probes @ basis.T * signs) @ basis
        if np.linalg.norm(residual) <= RESIDUAL_TOLERANCE * np.linalg.norm(probes):
            return sparse_part, LowRank(basis, signs), walked[: len(rows)]
        if len(sources) + RANK_STEP > max_rank:
            return None
        extra = random_rows(RANK_STEP)
        sources = np.concatenate([sources, extra])
        images = np.concatenate([images, walk_rows(polynomial, extra) - (sparse_part @ extra.T).T])
