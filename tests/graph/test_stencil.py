"""Symmetric matrices over the neighbours on a grid, against loops over the pairs."""

import numpy as np
import pytest
import scipy.sparse

from wsgcn.graph.grid import neighbour_offsets, pair_slices
from wsgcn.graph.stencil import GROUP, TILE_NODES, csr_rows, matvec, scale_rows_and_columns, stencil_matrix


@pytest.mark.parametrize("h, w", [(5, 7), (7, 3), (1, 6), (6, 1), (1, 1), (2, 2)])
def test_stencil_matrix_matches_naive_loop(h, w, rng, pairs):
    """On narrow grids too, where two offsets share a diagonal."""
    field = rng.random((2, h, w))

    def value(dy, dx):
        origins, partners = pair_slices(h, w, dy, dx)
        return field[0][origins] + field[1][partners]

    found = stencil_matrix(h, w, neighbour_offsets(4), value, diagonal=3)
    expected = 3 * np.eye(h * w)
    for a, b in pairs(h, w, 4):  # a comes first in reading order, as the origins do
        i, j = a[0] * w + a[1], b[0] * w + b[1]
        expected[i, j] = expected[j, i] = field[0][a] + field[1][b]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize("format", ["dia", "csr"])
def test_scale_rows_and_columns_matches_dense_product(format, rng):
    matrix = scipy.sparse.random_array((6, 6), density=0.5, rng=rng, dtype=np.float32).asformat(format)
    left, right = rng.random(6), rng.random(6)
    found = scale_rows_and_columns(matrix, left, right)
    assert found.format == format and found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), left[:, None] * matrix.toarray() * right, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("h, w", [(1, 1), (3, 4), (50, 60), (32, 32), (1, 2050), (33, 32)])
def test_matvec_matches_dense_product(h, w, dtype, rng):
    """On grids of less than a tile, of a whole tile, and of more."""

    def value(dy, dx):
        return rng.random([size - abs(d) for size, d in zip((h, w), (dy, dx), strict=True)])

    matrix = stencil_matrix(h, w, neighbour_offsets(5), value, diagonal=2).astype(dtype)
    row = rng.standard_normal(h * w).astype(dtype)
    found = matvec(matrix, row)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, matrix.toarray().astype(float) @ row, atol=1e-4 if dtype == np.float32 else 1e-12)


def test_matvec_grids_cover_tile_borders():
    assert 32 * 32 == TILE_NODES < 33 * 32 < 50 * 60


@pytest.mark.parametrize("count", [1, GROUP, GROUP + 2])
def test_csr_rows_match_dense_matrix(count, rng):
    matrix = scipy.sparse.random_array((30, 30), density=0.2, rng=rng, dtype=np.float32, format="csr")
    rows = rng.standard_normal((count, 30), np.float32)
    found = csr_rows(matrix, rows)
    np.testing.assert_allclose(found, rows @ matrix.toarray().T, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[:1], csr_rows(matrix, rows[:1]))  # whatever is beside it
