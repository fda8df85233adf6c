"""A random walk of many steps without its dense matrix: Sᵗ for a symmetric sparse S with spectrum in -1..1.

Two ways. As a Chebyshev polynomial of S, exact to the precision of its numbers for any S, of a degree near 3.4 √t in
float32: 54 products instead of 256. And as H + Uᵗ diag(v) U: boundaries hold the walk at thousands of single nodes, so
that it is not of low rank; but the walk H on those held nodes alone is sparse, and what Sᵗ does beyond that is of low
rank.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse
import torch
from numpy.polynomial import chebyshev
from scipy.sparse.linalg import eigsh

from wsgcn.graph.stencil import matvec

Block = TypeVar("Block")  # numpy array or torch tensor

STAY_PROBABILITY = 0.8
"""A node is held where a step stays with probability over this."""

RESIDUAL_TOLERANCE = 2e-3
"""What a low-rank form may leave out of the walk of random vectors, relative to them (root mean square over nodes)."""

MAX_NNZ_PER_ROW = 100
"""A walk of the held nodes with more entries a node is no longer sparse."""

MIN_ROWS_FOR_THREADS = 16
"""So many rows are worth a pool of threads."""

NUM_PROBES = 4
"""How many random vectors measure what a low-rank form leaves out."""

RANK_STEP = 96
"""A low-rank form is made from at least so many vectors."""

EIGENVALUE_CUTOFF = 1e-6
"""Eigenvalues of a Nyström core below it are left out, relative to the largest: single precision holds no more."""


@dataclass(frozen=True)
class Polynomial:
    """The matrix p(S) of a symmetric sparse S [N, N], p = Σ coefficients[k] T_k in Chebyshev polynomials."""

    matrix: scipy.sparse.sparray
    coefficients: tuple[float, ...]

    def __str__(self) -> str:
        entries = f"{self.matrix.count_nonzero()} entries"
        return (
            entries
            if len(self.coefficients) == 2
            else f"polynomial of degree {len(self.coefficients) - 1} in {entries}"
        )


@dataclass(frozen=True)
class LowRank:
    """The matrix Uᵗ diag(values) U. basis U: [R, N]; values: [R]."""

    basis: np.ndarray
    values: np.ndarray

    def __str__(self) -> str:
        return f"rank {len(self.values)}"


def matrix_term(matrix: scipy.sparse.sparray) -> Polynomial:
    """A sparse matrix itself as its polynomial."""
    return Polynomial(matrix, (0.0, 1.0))


def evaluate(coefficients: Sequence[float], product: Callable[[Block], Block], block: Block) -> Block:
    """p(S) X by Clenshaw's recurrence, `product` being S times a block, as a new one: one product a degree."""
    above, here = 0, coefficients[-1] * block
    for coefficient in coefficients[-2:0:-1]:
        after = product(here)
        after *= 2
        after -= above
        after += coefficient * block
        above, here = here, after
    result = product(here)
    result -= above
    result += coefficients[0] * block
    return result


def walk_rows(polynomial: Polynomial, rows: np.ndarray) -> np.ndarray:
    """p(S) X for each row X of [K, N]: one at a time, so that its vectors stay in the cache, on torch's threads."""
    coefficients = [rows.dtype.type(c) for c in polynomial.coefficients]

    def walk(row: np.ndarray) -> np.ndarray:
        return evaluate(coefficients, lambda x: matvec(polynomial.matrix, x), row)

    if len(rows) < MIN_ROWS_FOR_THREADS or torch.get_num_threads() == 1:
        return np.stack([walk(row) for row in rows])
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # the products release the interpreter's lock
        return np.stack(list(pool.map(walk, rows)))


def walk_polynomial(step: scipy.sparse.sparray, steps: int, precision: float | None = None) -> Polynomial:
    """Sᵗ as a polynomial of S, mapped so that its spectrum, found by Lanczos with a margin, fills -1..1.

    precision: the largest error relative to the vector that it is applied to; by default near that of S's dtype.
    """
    precision = precision or 100 * np.finfo(step.dtype).eps
    nodes = step.shape[0]
    start = np.random.default_rng(0).random(nodes).astype(step.dtype)
    lowest = -1 if nodes < 3 else eigsh(step, 1, which="SA", tol=1e-2, v0=start, rng=0, return_eigenvectors=False)[0]
    lowest = max(-1.0, float(lowest) - 0.03)
    half, middle = (1 - lowest) / 2, (1 + lowest) / 2
    coefficients = chebyshev.chebinterpolate(
        lambda x: (half * x + middle) ** steps, min(steps, 8 * int(steps**0.5) + 8)
    )
    tail = np.abs(coefficients[::-1]).cumsum()[::-1]
    degree = max(1, int((tail > precision).sum()) - 1)
    mapped = (step - middle * scipy.sparse.eye_array(nodes, dtype=step.dtype)) / half
    return Polynomial(mapped.asformat(step.format).astype(step.dtype), tuple(map(float, coefficients[: degree + 1])))


def near_absorbing_walk(step: scipy.sparse.sparray, steps: int) -> scipy.sparse.csr_array | None:
    """Sᵗ of the held nodes alone: those entries of S between them to the power t, the small ones dropped on the way.

    None where that is not sparse: a whole region of nodes that are half held.
    """
    held = scipy.sparse.diags_array((step.diagonal() > STAY_PROBABILITY).astype(step.dtype))
    square, power = (held @ step @ held).tocsr(), held.tocsr()
    while steps:
        if steps % 2:
            power = _drop_small(power @ square)
        steps //= 2
        if steps:
            square = _drop_small(square @ square)
        if square.nnz > MAX_NNZ_PER_ROW * step.shape[0]:
            return None
    return _drop_small((power + power.T) / 2, 1e-4).astype(step.dtype)


def _drop_small(matrix: scipy.sparse.csr_array, least: float = 1e-5) -> scipy.sparse.csr_array:
    matrix.data[np.abs(matrix.data) < least] = 0
    matrix.eliminate_zeros()
    return matrix


def low_rank_walk(
    step: scipy.sparse.sparray, steps: int, rows: np.ndarray, most: int | None = None
) -> tuple[scipy.sparse.csr_array, LowRank, np.ndarray] | None:
    """Sᵗ [N, N] as H + Uᵗ diag(v) U, from what it makes of some rows X [K, N], and Sᵗ X; None where that fails.

    H: sparse [N, N]; U: [R, N]; v: [R], signs.

    Nyström's approximation of E = Sᵗ - H: with Y = E X, E is about Yᵗ (X Yᵗ)⁺ Y, exact on the rows themselves as far as
    the inverse is. The rows are the node features, so that E is held best where the network sees it, and random ones
    where those are few or too much alike: at most `most` of both, by default as many as cost no more than the
    polynomial does. Other random rows tell what is left out.
    """
    held, rng = near_absorbing_walk(step, steps), np.random.default_rng(0)
    if held is None:
        return None
    scale = float(np.linalg.norm(rows)) / (len(rows) * step.shape[0]) ** 0.5 or 1
    polynomial = walk_polynomial(step, steps, 1e-4)
    most = most or len(polynomial.coefficients) * step.nnz // step.shape[0] // 2

    def drawn(count: int) -> np.ndarray:
        return (scale * rng.standard_normal((count, step.shape[0])).astype(step.dtype)).astype(step.dtype)

    first = np.concatenate([rows, drawn(max(0, RANK_STEP - len(rows)) + NUM_PROBES)])
    walked = walk_rows(polynomial, first)
    beyond = walked - (held @ first.T).T
    (sources, probes), (images, probed) = np.split(first, [-NUM_PROBES]), np.split(beyond, [-NUM_PROBES])
    while True:
        core = (sources @ images.T).astype(np.float64)
        values, vectors = np.linalg.eigh((core + core.T) / 2)
        kept = np.abs(values) > EIGENVALUE_CUTOFF * np.abs(values).max()
        basis = (vectors[:, kept] / np.abs(values[kept]) ** 0.5).T.astype(step.dtype) @ images
        signs = np.sign(values[kept]).astype(step.dtype)
        rest = probed - (probes @ basis.T * signs) @ basis
        if np.linalg.norm(rest) <= RESIDUAL_TOLERANCE * np.linalg.norm(probes):
            return held, LowRank(basis, signs), walked[: len(rows)]
        if len(sources) + RANK_STEP > most:
            return None
        more = drawn(RANK_STEP)
        sources = np.concatenate([sources, more])
        images = np.concatenate([images, walk_rows(polynomial, more) - (held @ more.T).T])
