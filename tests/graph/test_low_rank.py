"""The smooth part of a walk as a matrix of low rank, against powers of dense float64 matrices."""

import numpy as np
import pytest
from walks import matrix_power, symmetric_step

from wsgcn.graph.forms import held_and_low_rank
from wsgcn.graph.low_rank import RESIDUAL_TOLERANCE, WalkedRows, low_rank_rest, symmetric_fit
from wsgcn.graph.walk import Polynomial


def features(rng, step, count):
    """Rows like a network's features: blurred noise, no weaker at near-absorbing nodes."""
    return np.abs(rng.standard_normal((count, step.shape[0])).astype(np.float32)) @ step.toarray()


def split(step, steps, rows):
    """The sparse held part, the low-rank rest and the walked rows."""
    samples = WalkedRows(step, steps, rows)
    held, low_rank = held_and_low_rank(samples, step, steps)
    assert type(held) is Polynomial
    return held.matrix, low_rank, samples.walked[: len(rows)]


def total(sparse_part, low_rank):
    return sparse_part.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis


@pytest.mark.parametrize("steps, count", [(64, 160), (256, 160), (256, 3), (2000, 100)])
def test_sparse_plus_low_rank_matches_matrix_power(steps, count, step, rng):
    rows = features(rng, step, count)
    sparse_part, low_rank, walked = split(step, steps, rows)
    expected = matrix_power(step, steps)
    np.testing.assert_allclose(walked, rows @ expected, atol=2e-4 * np.linalg.norm(rows, axis=1).max())
    assert walked.dtype == low_rank.basis.dtype == np.float32
    assert len(low_rank.values) < 100
    probes = rng.standard_normal((200, step.shape[0]))
    error = probes @ (total(sparse_part, low_rank) - expected)
    assert np.linalg.norm(error) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)


def test_fit_is_good_on_its_own_rows(step, rng):
    """What the network multiplies is more accurate than what it does not."""
    rows = features(rng, step, 96)
    sparse_part, low_rank, walked = split(step, 256, rows)
    assert np.linalg.norm(rows @ total(sparse_part, low_rank) - walked) < 3e-4 * np.linalg.norm(rows)


def test_walk_of_high_rank_is_refused(rng):
    step = symmetric_step(np.full((30, 50), 0.3))
    samples = WalkedRows(step, 3, features(rng, step, 96))
    assert held_and_low_rank(samples, step, 3) is None


def test_without_the_held_part_the_rank_is_too_high(rng):
    boundary = 0.2 * rng.random((24, 24))
    boundary[rng.random((24, 24)) < 0.3] = 0.95  # more near-absorbing nodes than rows
    step = symmetric_step(boundary)
    samples = WalkedRows(step, 256, features(rng, step, 96))
    assert held_and_low_rank(samples, step, 256)
    assert low_rank_rest(samples, np.zeros_like) is None


def test_similar_rows_are_supplemented_by_random_ones(step, rng):
    """Features of a network that separates little: random rows add what they miss."""
    rows = np.tile(features(rng, step, 1), (100, 1))
    sparse_part, low_rank, walked = split(step, 256, rows)
    expected = matrix_power(step, 256)
    probes = rng.standard_normal((200, step.shape[0]))
    error = probes @ (total(sparse_part, low_rank) - expected)
    assert np.linalg.norm(error) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)
    np.testing.assert_allclose(walked, rows @ expected, atol=2e-4 * np.linalg.norm(rows, axis=1).max())


def test_rows_of_zeros_give_a_complete_fit(step):
    _, low_rank, walked = split(step, 256, np.zeros((2, step.shape[0]), np.float32))
    assert not walked.any() and len(low_rank.values) > 3


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 3), (6, 6)])
def test_fully_connected_and_unconnected_grids_match_matrix_power(size, level, rng):
    step = symmetric_step(np.full(size, level))
    sparse_part, low_rank, _ = split(step, 256, np.ones((2, step.shape[0]), np.float32))
    np.testing.assert_allclose(total(sparse_part, low_rank), matrix_power(step, 256), atol=1e-3)


def test_symmetric_fit_of_an_indefinite_matrix_is_exact_up_to_its_rank(rng):
    basis = np.linalg.qr(rng.standard_normal((200, 6)))[0].T
    matrix = basis.T * [1, -0.8, 0.5, -0.3, 0.1, 1e-3] @ basis
    rows = rng.standard_normal((20, 200))
    fit = symmetric_fit(rows, rows @ matrix, 13, 1e-2)
    assert len(fit.values) == 5  # the sixth eigenvalue is below the cutoff
    np.testing.assert_allclose(fit.basis.T * fit.values @ fit.basis, matrix, atol=1e-3)
