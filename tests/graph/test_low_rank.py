"""Long walks as sparse plus low rank, against powers of dense float64 matrices."""

import numpy as np
import pytest
from walks import matrix_power, symmetric_step

from wsgcn.graph import low_rank as low_rank_module
from wsgcn.graph.low_rank import RESIDUAL_TOLERANCE, STAY_PROBABILITY, low_rank_walk, near_absorbing_walk


@pytest.mark.parametrize("steps", [1, 5, 16, 256])
def test_near_absorbing_walk_matches_matrix_power(steps, step):
    dense = step.toarray().astype(np.float64)
    absorbing = np.diag(dense) > STAY_PROBABILITY
    assert 0.05 < absorbing.mean() < 0.5
    expected = np.linalg.matrix_power(dense * absorbing[:, None] * absorbing, steps)
    np.testing.assert_allclose(near_absorbing_walk(step, steps).toarray(), expected, atol=3e-4)


def features(rng, step, count):
    """Rows like a network's features: blurred noise, no weaker at near-absorbing nodes."""
    return np.abs(rng.standard_normal((count, step.shape[0])).astype(np.float32)) @ step.toarray()


@pytest.mark.parametrize("steps, count", [(64, 160), (256, 160), (256, 3), (2000, 100)])
def test_sparse_plus_low_rank_matches_matrix_power(steps, count, step, rng):
    rows = features(rng, step, count)
    sparse_part, low_rank, walked = low_rank_walk(step, steps, rows)
    expected = matrix_power(step, steps)
    np.testing.assert_allclose(walked, rows @ expected, atol=2e-4 * np.linalg.norm(rows, axis=1).max())
    assert walked.dtype == low_rank.basis.dtype == np.float32
    assert len(low_rank.values) < 100
    found = sparse_part.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    probes = rng.standard_normal((200, step.shape[0]))
    assert np.linalg.norm(probes @ (found - expected)) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)


def test_fit_is_best_on_its_own_rows(step, rng):
    """What the network multiplies is more accurate than what it does not."""
    rows = features(rng, step, 96)
    sparse_part, low_rank, walked = low_rank_walk(step, 256, rows)
    found = rows @ sparse_part.toarray() + rows @ low_rank.basis.T * low_rank.values @ low_rank.basis
    assert np.linalg.norm(found - walked) < 2e-4 * np.linalg.norm(rows)


@pytest.mark.parametrize("steps", [2, 3])
def test_walk_of_high_rank_is_refused(steps, step, rng):
    assert low_rank_walk(step, steps, features(rng, step, 96)) is None


def test_without_the_sparse_part_the_rank_is_too_high(rng, monkeypatch):
    boundary = 0.2 * rng.random((24, 24))
    boundary[rng.random((24, 24)) < 0.3] = 0.95  # more near-absorbing nodes than rows
    step = symmetric_step(boundary)
    rows = features(rng, step, 96)
    assert low_rank_walk(step, 256, rows)
    monkeypatch.setattr(low_rank_module, "STAY_PROBABILITY", 2)
    assert low_rank_walk(step, 256, rows, max_rank=96) is None


def test_similar_rows_are_supplemented_by_random_ones(step, rng):
    """Features of a network that separates little: random rows add what they miss."""
    rows = np.tile(features(rng, step, 1), (200, 1))
    assert low_rank_walk(step, 256, rows, max_rank=200) is None
    sparse_part, low_rank, walked = low_rank_walk(step, 256, rows)
    expected = matrix_power(step, 256)
    probes = rng.standard_normal((200, step.shape[0]))
    found = sparse_part.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    assert np.linalg.norm(probes @ (found - expected)) < 1.3 * RESIDUAL_TOLERANCE * np.linalg.norm(probes)
    np.testing.assert_allclose(walked, rows @ expected, atol=2e-4 * np.linalg.norm(rows, axis=1).max())


def test_rows_of_zeros_give_a_complete_fit(step):
    sparse_part, low_rank, walked = low_rank_walk(step, 256, np.zeros((2, step.shape[0]), np.float32))
    assert not walked.any() and len(low_rank.values) > 3


def test_region_of_near_absorbing_nodes_is_refused():
    """Its walk reaches thousands of nodes, all of them near-absorbing."""
    step = symmetric_step(np.full((60, 60), 0.46))
    assert (step.diagonal() > STAY_PROBABILITY).all()
    assert near_absorbing_walk(step, 256) is None and low_rank_walk(step, 256, np.ones((2, 3600), np.float32)) is None


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 3), (6, 6)])
def test_fully_connected_and_unconnected_grids_match_matrix_power(size, level, rng):
    step = symmetric_step(np.full(size, level))
    sparse_part, low_rank, _ = low_rank_walk(step, 256, np.ones((2, step.shape[0]), np.float32))
    found = sparse_part.toarray() + low_rank.basis.T * low_rank.values @ low_rank.basis
    np.testing.assert_allclose(found, matrix_power(step, 256), atol=1e-3)
