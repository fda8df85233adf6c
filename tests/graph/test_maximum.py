"""The elementwise maximum of a walk with its transpose, against explicit dense matrices."""

import numpy as np
import pytest
import scipy.sparse
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.maximum import LowRankMaximum, degree_kernel, polynomial_maximum, sparse_maximum
from wsgcn.graph.products import term_product
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import walk_polynomial, walk_scaled


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


def random_degrees(rng, nodes):
    return rng.uniform(1, 60, nodes).astype(np.float32)


def test_kernel_of_equal_degrees_is_one_term():
    factors, signs = degree_kernel(np.full(9, 20.0), np.ones(9))
    np.testing.assert_allclose(factors.T * signs @ factors, np.ones((9, 9)), rtol=1e-6)
    assert len(signs) == 1


@pytest.mark.parametrize("widest, terms, tolerance", [(1.05, 3, 6e-3), (2, 16, 1e-2), (60, 16, 4e-2)])
def test_kernel_matches_the_ratios_of_degrees(widest, terms, tolerance, rng):
    degree = rng.uniform(1, widest, 400)
    factors, signs = degree_kernel(degree, np.ones(400))
    ratio = np.sqrt(degree / degree[:, None])
    error = np.abs(factors.T * signs @ factors - np.maximum(ratio, 1 / ratio))
    assert len(signs) <= terms and error.mean() < tolerance / 3 and error.diagonal().mean() < tolerance


def test_kernel_is_zero_outside_of_its_mask(rng):
    mask = (np.arange(50) % 3 == 0).astype(np.float32)
    assert not degree_kernel(random_degrees(rng, 50), mask)[0][:, mask == 0].any()


def test_polynomial_maximum_matches_dense_matrix(rng, cpu):
    affinity = affinity_matrix(0.6 + 0.05 * rng.random((12, 15), np.float32), 5, 10)
    degree = affinity.sum(axis=1)
    step = scale_rows_and_columns(affinity, degree**-0.5, degree**-0.5)
    terms = [polynomial_maximum(walk_polynomial(step, 256), np.ones(180, np.float32), degree)]
    block = torch.from_numpy(rng.standard_normal((1, 3, 180), np.float32))
    found = term_product(terms, cpu)(block)[0].numpy()
    power = np.linalg.matrix_power(step.toarray().astype(float), 256)
    expected = block[0].numpy() @ naive_maximum(power, degree.astype(float))
    assert np.linalg.norm(found - expected) < 4e-3 * np.linalg.norm(expected)


def test_scaled_polynomials_of_different_sizes_match_those_alone(rng, cpu):
    terms = []
    for h, widest in ((6, 60), (9, 1.1)):  # of different numbers of terms, too
        step = affinity_matrix(rng.random((h, 7), np.float32), 3, 4) / 30
        degree = rng.uniform(1, widest, 7 * h).astype(np.float32)
        terms.append(polynomial_maximum(walk_polynomial(step, 4), np.ones_like(degree), degree))
    block = torch.from_numpy(rng.standard_normal((2, 3, 63), np.float32))
    block[0, :, 42:] = 0
    found = term_product(terms, cpu)(block)
    for k, nodes in enumerate((42, 63)):
        alone = walk_scaled(terms[k], block[k, :, :nodes].numpy())
        np.testing.assert_allclose(found[k, :, :nodes], alone, rtol=1e-4, atol=1e-5)
        assert not found[k, :, nodes:].any()
