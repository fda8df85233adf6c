"""Long walks as polynomials and as sparse plus low rank, against powers of dense float64 matrices."""

import numpy as np
import pytest
import scipy.sparse
import torch

from wsgcn import walk
from wsgcn.graph import affinity_matrix
from wsgcn.stencil import scaled
from wsgcn.walk import HELD, LEFT_OUT, evaluate, held_walk, low_rank_walk, walk_polynomial, walk_rows


def step_of(boundary, radius=5):
    affinity = affinity_matrix(np.asarray(boundary, np.float32), radius, 10)
    root = affinity.sum(axis=1) ** -0.5
    return scaled(affinity, root, root)


@pytest.fixture
def step(rng):
    """Of a grid of 16 × 18: two rooms, clutter that holds single nodes, a pair of nodes on an island."""
    boundary = 0.2 * rng.random((16, 18))
    boundary[:, 9] = 0.8
    boundary[rng.random((16, 18)) < 0.15] = 0.9
    boundary[2:5, 2:6] = 0.95
    boundary[3, 3:5] = 0
    return step_of(boundary)


def power(step, steps):
    return np.linalg.matrix_power(step.toarray().astype(np.float64), steps)


@pytest.mark.parametrize("coefficients", [[0.0, 1.0], [2.0, -1.0], [0.3, 0.2, 0.1, 0.4, -0.7]])
def test_evaluate_is_the_chebyshev_series(coefficients, rng):
    points = rng.uniform(-1, 1, 20)
    found = evaluate(coefficients, lambda block: points * block, np.ones(20))
    np.testing.assert_allclose(found, np.polynomial.chebyshev.chebval(points, coefficients), rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 16, 100, 256, 2000])
def test_polynomial_is_the_power(steps, step, rng):
    polynomial = walk_polynomial(step, steps)
    rows = rng.standard_normal((3, step.shape[0]), np.float32)
    found = walk_rows(polynomial, rows)
    assert found.dtype == np.float32
    error = np.linalg.norm(found - rows @ power(step, steps), axis=1) / np.linalg.norm(rows, axis=1)
    assert error.max() < 5e-5
    assert len(polynomial.coefficients) - 1 <= min(steps, 4.2 * steps**0.5)


def test_polynomial_of_the_lowest_spectrum_possible():
    """Eigenvalues of -1, which no affinity matrix has, must not make the polynomial explode."""
    step = scipy.sparse.csr_array(np.kron(np.eye(10), [[0, 1], [1, 0]]).astype(np.float32))
    rows = np.eye(20, dtype=np.float32)
    np.testing.assert_allclose(walk_rows(walk_polynomial(step, 101), rows), step.toarray(), atol=1e-4)


def test_threads_change_no_bit(step, rng):
    polynomial, rows = walk_polynomial(step, 256), rng.standard_normal((40, step.shape[0]), np.float32)
    alone = walk_rows(polynomial, rows)
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(walk_rows(polynomial, rows), alone)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("steps", [1, 5, 16, 256])
def test_held_walk_is_the_power_of_the_held_nodes(steps, step):
    dense = step.toarray().astype(np.float64)
    held = np.diag(dense) > HELD
    assert 0.05 < held.mean() < 0.5
    expected = np.linalg.matrix_power(dense * held[:, None] * held, steps)
    np.testing.assert_allclose(held_walk(step, steps).toarray(), expected, atol=3e-4)


@pytest.mark.parametrize("steps, rank", [(16, 200), (64, 96), (256, 48), (2000, 24)])
def test_sparse_plus_low_rank_is_the_power(steps, rank, step, rng):
    held, low_rank = low_rank_walk(step, steps, rank)
    assert len(low_rank.values) <= rank
    np.testing.assert_allclose(low_rank.basis @ low_rank.basis.T, np.eye(len(low_rank.values)), atol=1e-5)
    found = held.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    rest = found - power(step, steps)
    rows = rng.standard_normal((200, step.shape[0]))
    assert np.linalg.norm(rows @ rest) < 1.3 * LEFT_OUT * np.linalg.norm(rows)


@pytest.mark.parametrize("steps, rank", [(2, 48), (16, 12), (256, 3)])
def test_what_is_of_no_low_rank_is_refused(steps, rank, step):
    assert low_rank_walk(step, steps, rank) is None


def test_held_nodes_are_what_makes_it_low_rank(step, monkeypatch):
    assert low_rank_walk(step, 256, 24)
    monkeypatch.setattr(walk, "HELD", 2)
    assert low_rank_walk(step, 256, 24) is None


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 3), (6, 6)])
def test_all_joined_and_all_apart(size, level):
    step = step_of(np.full(size, level))
    held, low_rank = low_rank_walk(step, 256, 8)
    found = held.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    np.testing.assert_allclose(found, power(step, 256), atol=1e-4)
