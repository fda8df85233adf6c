"""Long walks as polynomials and as sparse plus low rank, against powers of dense float64 matrices."""

import numpy as np
import pytest
import scipy.sparse
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph import walk
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import (
    RESIDUAL_TOLERANCE,
    STAY_PROBABILITY,
    evaluate,
    low_rank_walk,
    near_absorbing_walk,
    walk_polynomial,
    walk_rows,
)


def step_of(boundary, radius=5):
    affinity = affinity_matrix(np.asarray(boundary, np.float32), radius, 10)
    root = affinity.sum(axis=1) ** -0.5
    return scale_rows_and_columns(affinity, root, root)


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
    degree = len(polynomial.coefficients) - 1
    assert error.max() < (100 + 4 * degree) * np.finfo(np.float32).eps  # of what is cut off, and of each product
    assert degree <= min(steps, 4.2 * steps**0.5)


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
    held = np.diag(dense) > STAY_PROBABILITY
    assert 0.05 < held.mean() < 0.5
    expected = np.linalg.matrix_power(dense * held[:, None] * held, steps)
    np.testing.assert_allclose(near_absorbing_walk(step, steps).toarray(), expected, atol=3e-4)


def features(rng, step, count):
    """Rows as a network's: blurred noise, no less at held nodes."""
    return np.abs(rng.standard_normal((count, step.shape[0])).astype(np.float32)) @ step.toarray()


@pytest.mark.parametrize("steps, rows", [(64, 160), (256, 160), (256, 3), (2000, 100)])
def test_sparse_plus_low_rank_is_the_power(steps, rows, step, rng):
    given = features(rng, step, rows)
    held, low_rank, walked = low_rank_walk(step, steps, given)
    expected = power(step, steps)
    np.testing.assert_allclose(walked, given @ expected, atol=2e-4 * np.linalg.norm(given, axis=1).max())
    assert walked.dtype == low_rank.basis.dtype == np.float32
    assert len(low_rank.values) < 100
    found = held.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    probes = rng.standard_normal((200, step.shape[0]))
    assert np.linalg.norm(probes @ (found - expected)) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)


def test_the_rows_given_are_held_best(step, rng):
    """What the network multiplies is closer than what it does not."""
    given = features(rng, step, 96)
    held, low_rank, walked = low_rank_walk(step, 256, given)
    found = given @ held.toarray() + given @ low_rank.basis.T * low_rank.values @ low_rank.basis
    assert np.linalg.norm(found - walked) < 2e-4 * np.linalg.norm(given)


@pytest.mark.parametrize("steps", [2, 3])
def test_what_is_of_no_low_rank_is_refused(steps, step, rng):
    assert low_rank_walk(step, steps, features(rng, step, 96)) is None


def test_held_nodes_are_what_makes_it_low_rank(rng, monkeypatch):
    boundary = 0.2 * rng.random((24, 24))
    boundary[rng.random((24, 24)) < 0.3] = 0.95  # holds more nodes than there are rows
    step = step_of(boundary)
    given = features(rng, step, 96)
    assert low_rank_walk(step, 256, given)
    monkeypatch.setattr(walk, "STAY_PROBABILITY", 2)
    assert low_rank_walk(step, 256, given, most=96) is None


def test_rows_that_are_alike_are_helped_out(step, rng):
    """Many features of a network that tells little apart: random rows show what those do not."""
    given = np.tile(features(rng, step, 1), (200, 1))
    assert low_rank_walk(step, 256, given, most=200) is None
    held, low_rank, walked = low_rank_walk(step, 256, given)
    expected = power(step, 256)
    probes = rng.standard_normal((200, step.shape[0]))
    found = held.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    assert np.linalg.norm(probes @ (found - expected)) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)
    np.testing.assert_allclose(walked, given @ expected, atol=2e-4 * np.linalg.norm(given, axis=1).max())


def test_rows_of_zeros_hide_nothing(step):
    held, low_rank, walked = low_rank_walk(step, 256, np.zeros((2, step.shape[0]), np.float32))
    assert not walked.any() and len(low_rank.values) > 3


def test_a_region_that_is_half_held_is_refused():
    """Its walk reaches thousands of nodes, all of them held."""
    step = step_of(np.full((60, 60), 0.46))
    assert (step.diagonal() > STAY_PROBABILITY).all()
    assert near_absorbing_walk(step, 256) is None and low_rank_walk(step, 256, np.ones((2, 3600), np.float32)) is None


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 3), (6, 6)])
def test_all_joined_and_all_apart(size, level, rng):
    step = step_of(np.full(size, level))
    held, low_rank, _ = low_rank_walk(step, 256, np.ones((2, step.shape[0]), np.float32))
    found = held.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    np.testing.assert_allclose(found, power(step, 256), atol=1e-3)
