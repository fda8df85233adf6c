"""The elementwise maximum of a walk with its transpose, against explicit dense matrices."""

import numpy as np
import pytest
import scipy.sparse
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.maximum import LowRankMaximum, dense_maximum, sparse_maximum
from wsgcn.graph.products import term_product
from wsgcn.graph.stencil import scale_rows_and_columns


def naive_maximum(symmetric, degree):
    """max(W, Wt) of W = D^-1/2 S D^1/2."""
    walk = symmetric * np.sqrt(degree / degree[:, None])
    return np.maximum(walk, walk.T)


@pytest.mark.parametrize("format", ["dia", "csr"])
def test_sparse_maximum_matches_dense_matrix(format, rng):
    matrix = scipy.sparse.random_array((30, 30), density=0.3, rng=rng, dtype=np.float32)
    matrix, degree = (matrix + matrix.T).asformat(format), rng.uniform(1, 60, 30).astype(np.float32)
    found = sparse_maximum(matrix, degree)
    assert found.format == format and found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), naive_maximum(matrix.toarray(), degree), rtol=1e-5)


def random_term(rng, nodes):
    basis = rng.random((4, nodes), np.float32)
    return LowRankMaximum(LowRank(basis, np.ones(4, np.float32)), rng.uniform(1, 60, nodes).astype(np.float32))


def test_low_rank_maximum_matches_dense_matrix(rng, cpu):
    """1,900 nodes in 64 groups of similar degree; within a group the mean of W and Wt replaces the maximum."""
    term = random_term(rng, 1900)
    block = torch.from_numpy(rng.standard_normal((1, 3, 1900), np.float32))
    found = term_product([term], cpu)(block)[0].numpy()
    walk = term.low_rank.basis.T @ term.low_rank.basis
    expected = block[0].numpy() @ naive_maximum(walk, term.degree)
    assert np.linalg.norm(found - expected) < 2e-3 * np.linalg.norm(expected)
    walk_only = block[0].numpy() @ (walk * np.sqrt(term.degree / term.degree[:, None])).T
    assert np.linalg.norm(walk_only - expected) > 0.1 * np.linalg.norm(expected)


def test_low_rank_maxima_of_different_sizes_match_those_alone(rng, cpu):
    terms = [random_term(rng, 300), random_term(rng, 900)]
    block = torch.from_numpy(rng.standard_normal((2, 3, 900), np.float32))
    block[0, :, 300:] = 0
    found = term_product(terms, cpu)(block)
    for k, (term, nodes) in enumerate(zip(terms, (300, 900), strict=True)):
        alone = term_product([term], cpu)(block[k : k + 1, :, :nodes])[0]
        torch.testing.assert_close(found[k, :, :nodes], alone, rtol=1e-5, atol=1e-3)  # of about 1000
        expected = block[k, :, :nodes].numpy() @ naive_maximum(term.low_rank.basis.T @ term.low_rank.basis, term.degree)
        assert np.linalg.norm(alone.numpy() - expected) < 2e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("steps", [2, 5, 256])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-4), (np.float64, 1e-11)])
def test_dense_maximum_matches_matrix_power(steps, dtype, tolerance, rng):
    affinity = affinity_matrix(rng.random((5, 8), np.float32), 3, 4).astype(dtype)
    degree = affinity.sum(axis=1)
    step = scale_rows_and_columns(affinity, degree**-0.5, degree**-0.5)
    found = dense_maximum(step, steps, degree).matrix
    expected = naive_maximum(np.linalg.matrix_power(step.toarray().astype(float), steps), degree.astype(float))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=tolerance)
