"""The held parts of long walks, against powers of dense float64 matrices."""

import numpy as np
import pytest
from walks import matrix_power, symmetric_step

from wsgcn.graph import held as held_module
from wsgcn.graph.held import (
    HELD_PROBABILITY,
    STAY_PROBABILITY,
    held_polynomial,
    narrow_walk,
    near_absorbing_walk,
)
from wsgcn.graph.walk import walk_scaled


@pytest.mark.parametrize("steps", [1, 5, 16, 256])
@pytest.mark.parametrize("stay", [STAY_PROBABILITY, HELD_PROBABILITY])
def test_near_absorbing_walk_matches_matrix_power(stay, steps, step):
    dense = step.toarray().astype(np.float64)
    absorbing = np.diag(dense) > stay
    assert 0.05 < absorbing.mean() < 0.5
    expected = np.linalg.matrix_power(dense * absorbing[:, None] * absorbing, steps)
    np.testing.assert_allclose(near_absorbing_walk(step, steps, stay).toarray(), expected, atol=3e-4)


def test_region_of_near_absorbing_nodes_is_refused():
    """Its walk reaches thousands of nodes, all of them near-absorbing."""
    step = symmetric_step(np.full((60, 60), 0.46))
    assert (step.diagonal() > STAY_PROBABILITY).all()
    assert near_absorbing_walk(step, 256) is None


@pytest.mark.parametrize("steps", [5, 256])
def test_held_polynomial_matches_matrix_power(steps, step, rng):
    """At the other nodes it is zero, before and after."""
    dense = step.toarray().astype(np.float64)
    held = np.diag(dense) > HELD_PROBABILITY
    assert 0.05 < held.mean() < 0.5
    rows = rng.standard_normal((3, len(held)), np.float32)
    expected = (rows * held) @ np.linalg.matrix_power(dense * held[:, None] * held, steps) * held
    found = walk_scaled(held_polynomial(step, steps), rows)
    assert np.linalg.norm(found - expected) < 3e-4 * np.linalg.norm(rows)
    assert not found[:, ~held].any()


def test_held_polynomial_of_a_uniform_boundary_has_a_low_degree():
    term = held_polynomial(symmetric_step(np.full((30, 30), 0.6)), 256)
    assert len(term.polynomial.coefficients) < 12


@pytest.mark.parametrize("steps", [2, 16, 256])
def test_narrow_walk_of_noise_matches_matrix_power(steps, rng):
    step = symmetric_step(rng.random((20, 24)))
    found = narrow_walk(step, steps)
    assert found.dtype == np.float32
    assert np.linalg.norm(found.toarray() - matrix_power(step, steps)) < 4e-3 * 480**0.5


def test_wide_nodes_leave_a_narrow_walk(rng, monkeypatch):
    """A wide room beside noise: the noise keeps its walk, the room has none."""
    boundary = rng.random((24, 40))
    boundary[:, 20:] = 0
    boundary[:, 19] = 1
    step = symmetric_step(boundary)
    monkeypatch.setattr(held_module, "MAX_NARROW_ROW", 200)
    found, expected = narrow_walk(step, 256).toarray().reshape(24, 40, -1), matrix_power(step, 256).reshape(24, 40, -1)
    assert not found[:, 20:].any()
    assert np.linalg.norm((found - expected)[:, :19]) < 4e-3 * (24 * 19) ** 0.5


def test_a_narrow_walk_keeps_to_its_room(rng, monkeypatch):
    """Where all rows together have no room, the widest leave."""
    step = symmetric_step(rng.random((20, 24)))
    entries = narrow_walk(step, 256).nnz
    monkeypatch.setattr(held_module, "MAX_NARROW_MEAN", entries // 480 // 2)
    assert 0 < narrow_walk(step, 256).nnz <= entries // 2
