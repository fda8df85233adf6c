"""The forms of a random walk over affinities A [N, N]: which terms add up to its matrix.

With D the row sums of A, a walk of t steps is A itself at t = 0, D^-½ A D^-½ at t = 1, else the t-th power of that: a
polynomial, or a part that is held plus a rest of low rank. WSGCN's released code takes the walk D^-1 A instead and its
elementwise maximum with its transpose, which has forms of its own. (The symmetric walk is its own maximum.)
"""

import numpy as np
import scipy.sparse

from wsgcn.graph.held import HELD_PROBABILITY, held_polynomial, narrow_walk, near_absorbing_walk
from wsgcn.graph.low_rank import LowRank, WalkedRows, low_rank_rest
from wsgcn.graph.maximum import LowRankMaximum, polynomial_maximum, sparse_maximum
from wsgcn.graph.products import Term
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import Polynomial, ScaledPolynomial, matrix_term, walk_polynomial, walk_rows, walk_scaled

NARROW_TOLERANCE = 4e-3
"""Largest error on random vectors of a form with a narrow walk, which drops small entries everywhere."""

MAX_FITTED_ROWS = 64
"""Rows that a walk's maximum is fitted to: of more, as many random mixtures."""

Terms = tuple[Term, ...]
"""The terms of a walk, whose matrices [N, N] add up to it."""

Held = Polynomial | ScaledPolynomial
"""The held part of a walk."""


def symmetric_step(affinity: scipy.sparse.dia_array) -> tuple[scipy.sparse.dia_array, np.ndarray]:
    """D^-½ A D^-½ [N, N] and the degrees, the row sums of A, [N]."""
    degree = affinity.sum(axis=1)
    return scale_rows_and_columns(affinity, degree**-0.5, degree**-0.5), degree


def held_and_low_rank(samples: WalkedRows, step: scipy.sparse.dia_array, steps: int) -> tuple[Held, LowRank] | None:
    """Sᵗ [N, N] as a held part and a rest of low rank; None where no form of the held part leaves such a rest.

    Tried in turn: the walk of near-absorbing nodes as a sparse matrix, or where that is not sparse, that of held nodes
    alone, as a sparse matrix or a polynomial; then, for t a power of two, that of narrow nodes. The error on random
    vectors is at most `low_rank.RESIDUAL_TOLERANCE` of their norm, and with narrow nodes `NARROW_TOLERANCE`.
    """
    sparse = near_absorbing_walk(step, steps)
    if sparse is None:
        sparse = near_absorbing_walk(step, steps, HELD_PROBABILITY)
    held: Held = held_polynomial(step, steps) if sparse is None else matrix_term(sparse)
    low_rank = low_rank_rest(samples, lambda rows: _held_rows(held, rows))
    if low_rank is None and steps & (steps - 1) == 0:
        narrow = matrix_term(narrow_walk(step, steps))
        low_rank = low_rank_rest(samples, lambda rows: _held_rows(narrow, rows), NARROW_TOLERANCE)
        held = narrow
    return (held, low_rank) if low_rank else None


def _held_rows(held: Held, rows: np.ndarray) -> np.ndarray:
    """The held part times each row of [K, N]."""
    return walk_scaled(held, rows) if isinstance(held, ScaledPolynomial) else walk_rows(held, rows)


def symmetric_walk(affinity: scipy.sparse.dia_array, steps: int) -> Terms:
    """(D^-½ A D^-½)^steps, exact up to rounding; A at no step."""
    if steps == 0:
        return (matrix_term(affinity),)
    step, _ = symmetric_step(affinity)
    return (matrix_term(step) if steps == 1 else walk_polynomial(step, steps),)


def low_rank_symmetric_walk(
    affinity: scipy.sparse.dia_array, steps: int, rows: np.ndarray
) -> tuple[Terms, np.ndarray] | None:
    """The same of many steps as a held and a low-rank term, and its product with rows [K, N]; None where that fails.

    The terms are fitted to the rows (`held_and_low_rank`).
    """
    step, _ = symmetric_step(affinity)
    samples = WalkedRows(step, steps, rows)
    if (parts := held_and_low_rank(samples, step, steps)) is None:
        return None
    held, low_rank = parts
    return (held, low_rank) if len(low_rank.values) else (held,), samples.walked[: len(rows)]


def maximum_walk(affinity: scipy.sparse.dia_array, steps: int, rows: np.ndarray, exact: bool) -> Terms:
    """The elementwise maximum of (D^-1 A)^steps with its transpose; A at no step.

    Of more than one step: a held and a low-rank term that are fitted to `rows` [K, N]; where that fails, or if `exact`,
    products with a polynomial, which are as exact as `maximum.degree_kernel`.
    """
    if steps == 0:
        return (matrix_term(affinity),)
    step, degree = symmetric_step(affinity)
    if steps == 1:
        return (matrix_term(sparse_maximum(step, degree)),)
    if len(rows) > MAX_FITTED_ROWS:
        mixtures = np.random.default_rng(0).standard_normal((MAX_FITTED_ROWS, len(rows)), np.float32)
        rows = (mixtures @ rows / len(rows) ** 0.5).astype(step.dtype)
    parts = None if exact else held_and_low_rank(WalkedRows(step, steps, rows), step, steps)
    if parts is None:
        return (polynomial_maximum(walk_polynomial(step, steps), np.ones_like(degree), degree),)
    held, low_rank = parts
    first: Held
    if isinstance(held, ScaledPolynomial):
        first = polynomial_maximum(held.polynomial, held.factors[0], degree)
    else:
        first = matrix_term(sparse_maximum(held.matrix, degree))
    return (first, LowRankMaximum(low_rank, degree)) if len(low_rank.values) else (first,)
