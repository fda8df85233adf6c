"""The forms of a walk, against powers of dense float64 matrices."""

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.forms import low_rank_symmetric_walk, maximum_walk, symmetric_step, symmetric_walk
from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.maximum import LowRankMaximum
from wsgcn.graph.products import term_product
from wsgcn.graph.walk import Polynomial, ScaledPolynomial


@pytest.fixture
def affinity(rng):
    boundary = 0.1 * rng.random((7, 9), np.float32)
    boundary[:5, 4] = 0.8
    return affinity_matrix(boundary, 3, 4)


@pytest.fixture
def rows(rng):
    return rng.random((4, 63), np.float32)


def sum_of(terms, cpu):
    """The dense matrix [N, N] that the terms add up to."""
    return sum(term_product([term], cpu)(torch.eye(63)[None])[0].numpy() for term in terms)


def naive_walk(affinity, steps, symmetric):
    dense = affinity.toarray().astype(np.float64)
    degree = dense.sum(1)
    step = dense / np.sqrt(degree[:, None] * degree) if symmetric else dense / degree[:, None]
    return np.linalg.matrix_power(step, steps) if steps else dense


def test_symmetric_step_matches_dense_matrix(affinity):
    step, degree = symmetric_step(affinity)
    np.testing.assert_allclose(step.toarray(), naive_walk(affinity, 1, True), rtol=1e-5)
    np.testing.assert_allclose(degree, affinity.toarray().sum(1), rtol=1e-5)


@pytest.mark.parametrize("steps", [0, 1, 2, 256])
def test_symmetric_walk_matches_matrix_power(steps, affinity, cpu):
    terms = symmetric_walk(affinity, steps)
    assert [type(term) for term in terms] == [Polynomial]
    np.testing.assert_allclose(sum_of(terms, cpu), naive_walk(affinity, steps, True), atol=1e-5)


def test_low_rank_symmetric_walk_matches_matrix_power(affinity, rows, cpu):
    terms, walked = low_rank_symmetric_walk(affinity, 256, rows)
    assert [type(term) for term in terms] == [Polynomial, LowRank]
    expected = naive_walk(affinity, 256, True)
    np.testing.assert_allclose(sum_of(terms, cpu), expected, atol=3e-3)
    np.testing.assert_allclose(walked, rows @ expected, atol=1e-3)


def test_low_rank_symmetric_walk_that_does_not_fit_is_none(rng):
    affinity = affinity_matrix(np.full((30, 50), 0.3, np.float32), 5, 10)
    assert low_rank_symmetric_walk(affinity, 3, rng.random((3, 1500), np.float32)) is None


@pytest.mark.parametrize(
    "steps, exact, kinds, tolerance",
    [
        (0, False, [Polynomial], 1e-6),
        (1, False, [Polynomial], 1e-6),
        (256, False, [Polynomial, LowRankMaximum], 5e-3),
        (2, True, [ScaledPolynomial], 2e-2),
        (256, True, [ScaledPolynomial], 2e-2),
    ],
)
def test_maximum_walk_matches_dense_maximum(steps, exact, kinds, tolerance, affinity, rows, cpu):
    terms = maximum_walk(affinity, steps, rows, exact)
    assert [type(term) for term in terms] == kinds
    walk = naive_walk(affinity, steps, False)
    np.testing.assert_allclose(sum_of(terms, cpu), np.maximum(walk, walk.T), atol=tolerance)
