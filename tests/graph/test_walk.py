"""Long walks as polynomials, against powers of dense float64 matrices."""

import numpy as np
import pytest
import scipy.sparse
import torch
from walks import matrix_power

from wsgcn.graph.walk import evaluate, walk_polynomial, walk_rows


@pytest.mark.parametrize("coefficients", [[0.0, 1.0], [2.0, -1.0], [0.3, 0.2, 0.1, 0.4, -0.7]])
def test_evaluate_matches_chebval(coefficients, rng):
    points = rng.uniform(-1, 1, 20)
    found = evaluate(coefficients, lambda block: points * block, np.ones(20))
    np.testing.assert_allclose(found, np.polynomial.chebyshev.chebval(points, coefficients), rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 16, 100, 256, 2000])
def test_polynomial_matches_matrix_power(steps, step, rng):
    polynomial = walk_polynomial(step, steps)
    rows = rng.standard_normal((3, step.shape[0]), np.float32)
    found = walk_rows(polynomial, rows)
    assert found.dtype == np.float32
    error = np.linalg.norm(found - rows @ matrix_power(step, steps), axis=1) / np.linalg.norm(rows, axis=1)
    degree = len(polynomial.coefficients) - 1
    assert error.max() < (100 + 4 * degree) * np.finfo(np.float32).eps  # of the truncation, and of each product
    assert degree <= min(steps, 4.2 * steps**0.5)


def test_polynomial_of_the_lowest_possible_spectrum():
    """Eigenvalues of -1, which no affinity matrix has, must not make the polynomial diverge."""
    step = scipy.sparse.csr_array(np.kron(np.eye(10), [[0, 1], [1, 0]]).astype(np.float32))
    rows = np.eye(20, dtype=np.float32)
    np.testing.assert_allclose(walk_rows(walk_polynomial(step, 101), rows), step.toarray(), atol=1e-4)


def test_threads_do_not_change_any_bit(step, rng):
    polynomial, rows = walk_polynomial(step, 256), rng.standard_normal((40, step.shape[0]), np.float32)
    expected = walk_rows(polynomial, rows)
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(walk_rows(polynomial, rows), expected)
    finally:
        torch.set_num_threads(1)
