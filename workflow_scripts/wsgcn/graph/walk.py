"""A random walk of many steps without its dense matrix: Sᵗ for a symmetric sparse S with spectrum in -1..1.

As a Chebyshev polynomial of S, which is exact to the precision of its numbers for any S. In float32 its degree is near
3.4 √t: 54 products with S instead of 256.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import torch
from numpy.polynomial import chebyshev
from scipy.sparse.linalg import eigsh

from wsgcn.graph.stencil import csr_rows, matvec

Block = TypeVar("Block", np.ndarray, torch.Tensor)

MIN_ROWS_FOR_THREADS = 16
"""Rows from which on a pool of threads pays off."""


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


def matrix_term(matrix: scipy.sparse.sparray) -> Polynomial:
    """A sparse matrix as the polynomial of degree one that is the matrix itself."""
    return Polynomial(matrix, (0.0, 1.0))


@dataclass(frozen=True)
class ScaledPolynomial:
    """The matrix Σ signs[m] diag(factors[m]) p(S) diag(factors[m]). factors: [M, N]; signs: 1 or -1, [M]."""

    polynomial: Polynomial
    factors: np.ndarray
    signs: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.signs)} scaled products of a {self.polynomial}"


def walk_scaled(term: ScaledPolynomial, rows: np.ndarray) -> np.ndarray:
    """The matrix times each row of [K, N]."""
    parts = zip(term.factors, term.signs, strict=True)
    return sum((sign * factor) * walk_rows(term.polynomial, factor * rows) for factor, sign in parts)


def evaluate(coefficients: Sequence[Any], product: Callable[[Block], Block], block: Block) -> Block:
    """p(S) X as a new block, by Clenshaw's recurrence.

    coefficients: numbers, or tensors that broadcast to the block; product: S times a block, called once per degree.
    """
    previous: Block | int = 0
    current: Block = coefficients[-1] * block
    for coefficient in coefficients[-2:0:-1]:
        following = product(current)
        following *= 2
        following -= previous
        following += coefficient * block
        previous, current = current, following
    result = product(current)
    result -= previous
    result += coefficients[0] * block
    return result


def walk_rows(polynomial: Polynomial, rows: np.ndarray) -> np.ndarray:
    """p(S) x for each row x of [K, N].

    With a stencil one row at a time, so that its vectors stay in the cache, on torch's threads.
    """
    coefficients = [rows.dtype.type(c) for c in polynomial.coefficients]
    if polynomial.matrix.format == "csr":
        return evaluate(coefficients, lambda block: csr_rows(polynomial.matrix, block), rows)

    def walk(row: np.ndarray) -> np.ndarray:
        return evaluate(coefficients, lambda x: matvec(polynomial.matrix, x), row)

    if len(rows) < MIN_ROWS_FOR_THREADS or torch.get_num_threads() == 1:
        return np.stack([walk(row) for row in rows])
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # the products release the interpreter's lock
        return np.stack(list(pool.map(walk, rows)))


def walk_polynomial(step: scipy.sparse.sparray, steps: int, precision: float | None = None) -> Polynomial:
    """Sᵗ as a polynomial of S, mapped so that its spectrum, found by Lanczos with a margin, fills -1..1.

    precision: largest error relative to the vector that the polynomial is applied to; by default near that of S's
    dtype.
    """
    precision = precision or 100 * np.finfo(step.dtype).eps
    nodes = step.shape[0]
    start = np.random.default_rng(0).random(nodes).astype(step.dtype)
    lowest = -1 if nodes < 3 else eigsh(step, 1, which="SA", tol=1e-2, v0=start, rng=0, return_eigenvectors=False)[0]
    lowest = max(-1.0, float(lowest) - 0.03)
    half, middle = (1 - lowest) / 2, (1 + lowest) / 2

    def power(x: np.ndarray) -> Any:  # numpy's own annotation asks for a scalar
        return (half * x + middle) ** steps

    coefficients = chebyshev.chebinterpolate(power, min(steps, 8 * int(steps**0.5) + 8))
    tail = np.abs(coefficients[::-1]).cumsum()[::-1]
    degree = max(1, int((tail > precision).sum()) - 1)
    mapped = (step - middle * scipy.sparse.eye_array(nodes, dtype=step.dtype)) / half
    return Polynomial(mapped.asformat(step.format).astype(step.dtype), tuple(map(float, coefficients[: degree + 1])))
