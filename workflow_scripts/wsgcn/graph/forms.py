"""The forms of a random walk over affinities A [N, N]: which terms add up to its matrix.

With D the row sums of A, a walk of t steps is A itself at t = 0, D^-½ A D^-½ at t = 1, else the t-th power of that: a
polynomial, or a sparse matrix plus one of low rank. WSGCN's released code takes the walk D^-1 A instead and its
elementwise maximum with its transpose, which has forms of its own. (The symmetric walk is its own maximum.)
"""

import numpy as np
import scipy.sparse

from wsgcn.graph.low_rank import low_rank_walk
from wsgcn.graph.maximum import Dense, LowRankMaximum, dense_maximum, sparse_maximum
from wsgcn.graph.products import Term
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import Polynomial, matrix_term, walk_polynomial

MAX_RANK = 1000
"""Most vectors of a low-rank maximum; its alternative is a dense matrix."""

MAX_DENSE_NODES = 30_000
"""Most nodes of a dense maximum, 3.6 GB."""

Terms = tuple[Polynomial | Dense, *tuple[Term, ...]]
"""The terms of a walk; the first has a `matrix`."""


def symmetric_step(affinity: scipy.sparse.dia_array) -> tuple[scipy.sparse.dia_array, np.ndarray]:
    """D^-½ A D^-½ [N, N] and the degrees, the row sums of A, [N]."""
    degree = affinity.sum(axis=1)
    return scale_rows_and_columns(affinity, degree**-0.5, degree**-0.5), degree


def symmetric_walk(affinity: scipy.sparse.dia_array, steps: int) -> Terms:
    """(D^-½ A D^-½)^steps, exact up to rounding; A at no step."""
    if steps == 0:
        return (matrix_term(affinity),)
    step, _ = symmetric_step(affinity)
    return (matrix_term(step) if steps == 1 else walk_polynomial(step, steps),)


def low_rank_symmetric_walk(
    affinity: scipy.sparse.dia_array, steps: int, rows: np.ndarray
) -> tuple[Terms, np.ndarray] | None:
    """The same of many steps as a sparse and a low-rank term, and its product with rows [K, N]; None where that fails.

    The terms are fitted to the rows (`low_rank.low_rank_walk`).
    """
    step, _ = symmetric_step(affinity)
    if (fit := low_rank_walk(step, steps, rows)) is None:
        return None
    sparse_part, low_rank, walked = fit
    return (matrix_term(sparse_part), low_rank), walked


def maximum_walk(affinity: scipy.sparse.dia_array, steps: int, rows: np.ndarray, exact: bool) -> Terms:
    """The elementwise maximum of (D^-1 A)^steps with its transpose; A at no step.

    Of more than one step: a sparse and a low-rank term that are fitted to `rows` [K, N]; where that fails, or if
    `exact`, a dense matrix. Raises ValueError where the dense matrix would be too large.
    """
    if steps == 0:
        return (matrix_term(affinity),)
    step, degree = symmetric_step(affinity)
    if steps == 1:
        return (matrix_term(sparse_maximum(step, degree)),)
    fit = None if exact else low_rank_walk(step, steps, rows, MAX_RANK)
    if fit:
        sparse_part, low_rank, _ = fit
        return matrix_term(sparse_maximum(sparse_part, degree)), LowRankMaximum(low_rank, degree)
    if len(degree) > MAX_DENSE_NODES:
        raise ValueError(
            f"graph.normalisation: row with {steps} steps needs a dense matrix for this image, of {len(degree)} nodes "
            f"where {MAX_DENSE_NODES} is the limit; take symmetric, graph.steps: 1 or a smaller dataset.longest_side"
        )
    return (dense_maximum(step, steps, degree),)
