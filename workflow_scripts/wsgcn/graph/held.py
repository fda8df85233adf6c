"""The part of a long random walk Sᵗ that stays near where it began, in forms without a dense matrix.

Nodes on a boundary, or all nodes where boundaries are raised everywhere, keep the walk: most of it leaves its node
rarely, or moves within a few of them. What is left of Sᵗ is of low rank (`low_rank`).
"""

import numpy as np
import scipy.sparse

from wsgcn.compiled import njit
from wsgcn.graph.walk import ScaledPolynomial, walk_polynomial

STAY_PROBABILITY = 0.8
"""A node is near-absorbing if a step stays there with a probability above this."""

HELD_PROBABILITY = 0.95
"""The same of held nodes. The degree of a walk's polynomial falls with the rate at which its nodes are left."""

MAX_NNZ_PER_ROW = 100
"""Mean entries per row above which the walk of the near-absorbing nodes is no longer kept as a sparse matrix."""

POLYNOMIAL_PRECISION = 2e-4
"""Largest error of that polynomial, relative to the vector that it is applied to."""

NARROW_CUTOFF = 6e-6, 2e-5
"""Entries of a narrow walk below these are dropped: on the way, and in the end."""

MAX_NARROW_ROW = 400
"""A node is narrow if its walk reaches at most this many."""

MAX_NARROW_MEAN = 250
"""Most entries per row of a narrow walk, in the mean."""


def near_absorbing_walk(
    step: scipy.sparse.sparray, steps: int, stay: float = STAY_PROBABILITY
) -> scipy.sparse.csr_array | None:
    """Sᵗ of the near-absorbing nodes alone: the entries of S among them to the power t, small ones dropped on the way.

    None where the power is not sparse, as for a whole region of such nodes. stay: what makes a node one of them.
    """
    absorbing = scipy.sparse.diags_array((step.diagonal() > stay).astype(step.dtype))
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


def held_polynomial(step: scipy.sparse.dia_array, steps: int) -> ScaledPolynomial:
    """Sᵗ of the held nodes alone, as a polynomial of low degree.

    Its degree is small because S among held nodes has no eigenvalue below 2 · `HELD_PROBABILITY` - 1.
    """
    stay = step.diagonal()
    held = (stay > HELD_PROBABILITY).astype(step.dtype)
    among = step.copy()
    for row, offset in zip(among.data, step.offsets, strict=True):
        row *= held  # an entry is stored at its column; its row is that many nodes before
        row[max(0, offset) :][: len(held) - abs(offset)] *= held[max(0, -offset) :][: len(held) - abs(offset)]
    among.setdiag(np.where(held, stay, HELD_PROBABILITY).astype(step.dtype))  # no eigenvalue of the others at zero
    polynomial = walk_polynomial(among, steps, POLYNOMIAL_PRECISION)
    return ScaledPolynomial(polynomial, held[None], np.ones(1, step.dtype))


def narrow_walk(step: scipy.sparse.sparray, steps: int) -> scipy.sparse.csr_array:
    """Sᵗ of the narrow nodes alone, by squaring: nodes whose walk reaches too many others leave on the way.

    Where the whole would have too many entries, the widest rows leave. t must be a power of two.
    """
    matrix = _drop_small(step.tocsr(), NARROW_CUTOFF[0])
    nodes, most, narrow = matrix.shape[0], MAX_NARROW_ROW, np.ones(matrix.shape[0], np.bool_)
    parts = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data
    room = min(MAX_NARROW_MEAN, nodes) * nodes
    while steps > 1:
        steps //= 2
        cutoff = matrix.dtype.type(NARROW_CUTOFF[steps == 1])
        square = np.zeros(nodes + 1, np.int64), np.empty(room, np.int32), np.empty(room, matrix.dtype)
        while not _square(*parts, cutoff, most, narrow, *square):
            most = 2 * most // 3
        _keep_narrow(*square, narrow)
        parts = square
    ends, indices, data = parts
    power = scipy.sparse.csr_array((data[: ends[-1]], indices[: ends[-1]], ends), shape=matrix.shape)
    return ((power + power.T) / 2).tocsr().astype(step.dtype)


@njit(fastmath={"contract"})
def _square(ends, indices, data, cutoff, most, narrow, out_ends, out_indices, out_data):
    """The square of a CSR matrix without its entries below `cutoff`, into the last three; whether these have room.

    Rows of more than `most` entries stay empty and lose their `narrow`.
    """
    nodes, room, position = len(ends) - 1, len(out_indices), 0
    sums, reached = np.zeros(nodes, data.dtype), np.empty(nodes, np.int32)
    for i in range(nodes):
        out_ends[i], count = position, 0
        if not narrow[i]:
            continue
        for p in range(ends[i], ends[i + 1]):
            k, value = indices[p], data[p]
            least = data.dtype.type(0.02) * cutoff / value
            for q in range(ends[k], ends[k + 1]):
                if data[q] >= least:
                    j = indices[q]
                    if sums[j] == 0:
                        reached[count] = j
                        count += 1
                    sums[j] += value * data[q]
            if count > 4 * most:
                break
        kept = 0
        for n in range(count):
            j = reached[n]
            if sums[j] >= cutoff and narrow[j]:
                kept += 1
                if kept <= most and position + kept <= room:
                    out_indices[position + kept - 1], out_data[position + kept - 1] = j, sums[j]
            sums[j] = 0
        if kept > most or count > 4 * most:
            narrow[i] = False
        elif position + kept > room:
            return False
        else:
            position += kept
    out_ends[nodes] = position
    return True


@njit()
def _keep_narrow(ends, indices, data, narrow):
    """Remove the rows and columns of nodes that are not narrow, in place."""
    position, start = 0, 0
    for i in range(len(ends) - 1):
        stop = ends[i + 1]
        ends[i] = position
        for p in range(start, stop if narrow[i] else start):
            if narrow[indices[p]]:
                indices[position], data[position] = indices[p], data[p]
                position += 1
        start = stop
    ends[-1] = position
