"""Affinities and the propagation operator, against dense float64 matrices."""

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.maximum import LowRankMaximum
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.graph.propagation import Propagation
from wsgcn.graph.walk import Polynomial, ScaledPolynomial
from wsgcn.refinement.reference import dense_operator

NORMALISATIONS = ("symmetric", "row")


def graph_settings(steps, normalisation="symmetric"):
    return GraphSettings(radius=5, beta=10, steps=steps, normalisation=normalisation, features="plain")


def dense_graph(affinity, steps, normalisation):
    return dense_operator(torch.tensor(affinity.toarray()).double(), steps, normalisation).numpy()


def operator_matrices(graph, cpu):
    """Â and its transpose."""
    rows, propagation = torch.eye(len(graph.left))[None], Propagation([graph], cpu)
    return propagation.apply(rows)[0].numpy().T, propagation.apply_transpose(rows)[0].numpy().T


@pytest.fixture
def boundary(rng):
    """float32 [7, 9]: two halves behind a wall with a gap, in noise."""
    boundary = 0.1 * rng.random((7, 9), np.float32)
    boundary[:5, 4] = 0.8
    return boundary


@pytest.fixture
def affinity(boundary):
    return affinity_matrix(boundary, 3, 4)


@pytest.mark.parametrize("radius, beta", [(1, 1), (2, 1), (3, 10), (5, 10), (10, 0.5)])
def test_affinity_matrix_matches_naive_loop(radius, beta, boundary, pairs, points_between):
    h, w = boundary.shape
    expected = np.eye(h * w)
    for a, b in pairs(h, w, radius):
        value = (1 - max(float(boundary[p]) for p in points_between(a, b))) ** beta
        i, j = a[0] * w + a[1], b[0] * w + b[1]
        expected[i, j] = expected[j, i] = value
    found = affinity_matrix(boundary, radius, beta)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (2, 3)])
def test_affinity_matrix_of_a_grid_smaller_than_the_radius(size):
    found = affinity_matrix(np.full(size, 0.25, np.float32), 10, 2).toarray()
    np.testing.assert_allclose(found, np.where(np.eye(len(found)), 1, 0.75**2))


def test_affinity_matrix_has_about_66_entries_a_row_at_radius_five():
    found = affinity_matrix(np.zeros((60, 80), np.float32), 5, 10)
    found = found.tocsr()
    assert 60 < found.nnz / found.shape[0] < 69
    assert np.diff(found.indptr).max() == 69  # the 68 other points of the open disc and the node itself


def test_closed_boundary_separates_the_graph():
    boundary = np.zeros((4, 7), np.float32)
    boundary[:, 3] = 1
    found = affinity_matrix(boundary, 5, 10).toarray().reshape(4, 7, 4, 7)
    assert not found[:, :3, :, 3:].any()
    assert found[:, :3, :, :3].any(axis=(2, 3)).all()


@pytest.mark.parametrize(
    "steps, normalisation, exact, kinds, tolerance",
    [
        (0, "symmetric", False, [Polynomial], 1e-6),
        (0, "row", False, [Polynomial], 1e-6),
        (1, "symmetric", False, [Polynomial], 1e-6),
        (1, "row", False, [Polynomial], 1e-6),
        (5, "symmetric", True, [Polynomial], 1e-5),  # of degree 5
        (5, "symmetric", False, [Polynomial, LowRank], 3e-3),
        (256, "symmetric", True, [Polynomial], 1e-5),
        (256, "symmetric", False, [Polynomial, LowRank], 3e-3),
        (256, "row", False, [Polynomial, LowRankMaximum], 5e-3),
        (256, "row", True, [ScaledPolynomial], 1e-2),
    ],
)
def test_propagation_graph_matches_dense_matrix(steps, normalisation, exact, kinds, tolerance, affinity, rng, cpu):
    features = rng.standard_normal((5, 63))
    graph, propagated = propagation_graph(affinity, features, graph_settings(steps, normalisation), exact)
    assert [type(term) for term in graph.terms] == kinds
    expected = dense_graph(affinity, steps, normalisation)
    found, transpose = operator_matrices(graph, cpu)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    np.testing.assert_allclose(transpose, expected.T, atol=tolerance)
    assert propagated.dtype == np.float32
    is_low_rank_maximum = LowRankMaximum in kinds
    np.testing.assert_allclose(propagated, features @ expected.T, atol=10 * tolerance if is_low_rank_maximum else 1e-3)


@pytest.mark.parametrize("normalisation, tolerance", [("symmetric", 2e-3), ("row", 2e-2)])
@pytest.mark.parametrize(
    "steps, radius, level", [(3, 5, 0.5), (16, 5, 0.05), (64, 3, 0.5), (256, 5, 0.99), (2, 5, 0.05), (256, 5, 0.8)]
)
def test_noisy_boundaries_match_dense_matrix(steps, radius, level, normalisation, tolerance, rng, cpu):
    """Noise makes many nodes near-absorbing; where low rank does not suffice, another form must be taken."""
    affinity = affinity_matrix((level * rng.random((14, 14))).astype(np.float32), radius, 10)
    graph, _ = propagation_graph(affinity, rng.random((8, 196)), graph_settings(steps, normalisation))
    rows = rng.standard_normal((1, 20, 196), np.float32)
    found = Propagation([graph], cpu).apply(torch.from_numpy(rows)).numpy()
    expected = rows @ dense_graph(affinity, steps, normalisation).T
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_graph_without_edges_is_the_identity(normalisation, rng, cpu):
    affinity = affinity_matrix(np.full((6, 6), 1, np.float32), 5, 10)  # no node has a neighbour
    graph, propagated = propagation_graph(affinity, rng.random((3, 36)), graph_settings(256, normalisation))
    np.testing.assert_allclose(operator_matrices(graph, cpu)[0], np.eye(36), atol=1e-3)


@pytest.mark.parametrize("steps", [1, 256])
def test_row_graph_has_row_sums_of_one(steps, affinity, rng, cpu):
    graph, _ = propagation_graph(affinity, rng.random((3, 63)), graph_settings(steps, "row"))
    np.testing.assert_allclose(operator_matrices(graph, cpu)[0].sum(1), 1, atol=1e-4)


def test_about_half_of_the_weight_stays_with_a_node(affinity, rng, cpu):
    matrix, _ = operator_matrices(propagation_graph(affinity, rng.random((3, 63)), graph_settings(256))[0], cpu)
    assert 0.4 < np.diag(matrix).min() and np.median(np.diag(matrix)) < 0.6


def test_graph_prints_the_form_of_its_walk(affinity, rng):
    def text(steps, normalisation="symmetric", exact=False):
        return str(propagation_graph(affinity, rng.random((3, 63)), graph_settings(steps, normalisation), exact)[0])

    assert text(1) == f"63 nodes, {affinity.count_nonzero()} entries"
    assert "entries + rank " in text(256)
    assert "polynomial of degree 5 in" in text(5, exact=True)
    assert "maximum" in text(256, "row")


def test_graph_does_not_depend_on_global_random_state(affinity, rng, cpu):
    found, features = [], rng.random((3, 63))
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append(operator_matrices(propagation_graph(affinity, features, graph_settings(256))[0], cpu)[0])
    np.testing.assert_array_equal(*found)


def test_float64_affinities_give_a_float64_graph(affinity, rng):
    features = rng.random((3, 63))
    graph, propagated = propagation_graph(affinity.astype(float), features, graph_settings(256), exact=True)
    assert propagated.dtype == graph.left.dtype == np.float64
    expected = dense_graph(affinity.astype(float), 256, "symmetric")
    np.testing.assert_allclose(propagated, features @ expected.T, rtol=1e-10)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_features_that_are_not_finite_are_refused(normalisation, affinity):
    with pytest.raises(ValueError, match="node features are not finite"):
        propagation_graph(affinity, np.full((3, 63), np.inf), graph_settings(256, normalisation))


def test_maximum_without_low_rank_is_a_polynomial(rng, cpu):
    # 1,500 nodes that are all somewhat absorbing: of high rank, and three is no power of two.
    affinity = affinity_matrix(np.full((30, 50), 0.3, np.float32), 5, 10)
    features = rng.random((3, 1500), np.float32)
    graph, propagated = propagation_graph(affinity, features, graph_settings(3, "row"))
    assert "scaled products of a polynomial of degree 3" in str(graph)
    expected = features @ dense_graph(affinity, 3, "row").T
    assert np.linalg.norm(propagated - expected) < 1e-2 * np.linalg.norm(expected)
