"""Symmetric sparse matrices over the pairs of neighbours on a grid, held by diagonals: one a displacement.

Node i is row i // w, column i % w of the grid. In this form a product with a vector is a sum of shifted vectors, each
times its diagonal, which reads no index: three times as fast as CSR on a CPU, and it is assembled without sorting.
"""

from collections.abc import Callable, Iterable

import numpy as np
import scipy.sparse

from wsgcn.paths import pair_places


def stencil_matrix(
    h: int, w: int, steps: Iterable[tuple[int, int]], value: Callable[[int, int], np.ndarray], diagonal: float
) -> scipy.sparse.dia_array:
    """The symmetric matrix whose entries at pairs of nodes (dy, dx) apart are `value(dy, dx)`, float32 [h·w, h·w].

    steps: one of each pair ±(dy, dx), dy >= 0; those that leave the grid are skipped. value: an array over the points
    of `pair_slices`. diagonal: the entries of nodes with themselves.
    """
    diagonals = {0: np.full((h, w), diagonal, np.float32)}
    for dy, dx in steps:
        if h <= abs(dy) or w <= abs(dx):
            continue
        here, there = pair_places(h, w, dy, dx)
        values, offset = value(dy, dx), dy * w + dx
        for key, place in ((offset, there), (-offset, here)):  # scipy keeps an entry at its column
            diagonals.setdefault(key, np.zeros((h, w), np.float32))[place] += values
    offsets = sorted(diagonals)
    data = np.stack([diagonals[offset].ravel() for offset in offsets])
    return scipy.sparse.dia_array((data, offsets), shape=(h * w, h * w))


def scaled(matrix: scipy.sparse.sparray, left: np.ndarray, right: np.ndarray) -> scipy.sparse.sparray:
    """diag(left) · matrix · diag(right) in the matrix's own format and dtype."""
    product = scipy.sparse.diags_array(left) @ matrix @ scipy.sparse.diags_array(right)
    return product.asformat(matrix.format).astype(matrix.dtype)
