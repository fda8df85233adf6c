"""Affinities and the propagation operator, against dense float64 matrices."""

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.maximum import Dense, LowRankMaximum
from wsgcn.graph.operator import propagation_graph
from wsgcn.graph.propagation import Propagation
from wsgcn.graph.walk import LowRank, Polynomial
from wsgcn.refinement.reference import dense_operator

NORMALISATIONS = ("symmetric", "row")


def settings_of(steps, normalisation="symmetric"):
    return {"steps": steps, "normalisation": normalisation}


def dense_graph(affinity, steps, normalisation):
    return dense_operator(torch.tensor(affinity.toarray()).double(), steps, normalisation).numpy()


def matrices_of(graph, cpu):
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
def test_affinity_matrix_is_the_dense_one(radius, beta, boundary, pairs, points_between):
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


def test_a_closed_boundary_cuts_the_graph():
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
        (256, "row", True, [Dense], 1e-4),
    ],
)
def test_propagation_graph_is_the_dense_matrix(steps, normalisation, exact, kinds, tolerance, affinity, rng, cpu):
    features = rng.standard_normal((5, 63))
    graph, propagated = propagation_graph(affinity, features, settings_of(steps, normalisation), exact)
    assert [type(term) for term in graph.terms] == kinds
    expected = dense_graph(affinity, steps, normalisation)
    found, transpose = matrices_of(graph, cpu)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    np.testing.assert_allclose(transpose, expected.T, atol=tolerance)
    assert propagated.dtype == np.float32
    low_rank_only = LowRankMaximum in kinds
    np.testing.assert_allclose(propagated, features @ expected.T, atol=10 * tolerance if low_rank_only else 1e-3)


@pytest.mark.parametrize("normalisation, tolerance", [("symmetric", 2e-3), ("row", 2e-2)])
@pytest.mark.parametrize(
    "steps, radius, level", [(3, 5, 0.5), (16, 5, 0.05), (64, 3, 0.5), (256, 5, 0.99), (2, 5, 0.05), (256, 5, 0.8)]
)
def test_no_clutter_spoils_the_walk(steps, radius, level, normalisation, tolerance, rng, cpu):
    """Where vectors do not suffice, the walk must not be held by them; clutter holds many nodes."""
    affinity = affinity_matrix((level * rng.random((14, 14))).astype(np.float32), radius, 10)
    graph, _ = propagation_graph(affinity, rng.random((8, 196)), settings_of(steps, normalisation))
    rows = rng.standard_normal((1, 20, 196), np.float32)
    found = Propagation([graph], cpu).apply(torch.from_numpy(rows)).numpy()
    expected = rows @ dense_graph(affinity, steps, normalisation).T
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_graph_without_edges_is_the_identity(normalisation, rng, cpu):
    affinity = affinity_matrix(np.full((6, 6), 1, np.float32), 5, 10)  # no node has a neighbour
    graph, propagated = propagation_graph(affinity, rng.random((3, 36)), settings_of(256, normalisation))
    np.testing.assert_allclose(matrices_of(graph, cpu)[0], np.eye(36), atol=1e-3)


@pytest.mark.parametrize("steps", [1, 256])
def test_rows_sum_to_one(steps, affinity, rng, cpu):
    graph, _ = propagation_graph(affinity, rng.random((3, 63)), settings_of(steps, "row"))
    np.testing.assert_allclose(matrices_of(graph, cpu)[0].sum(1), 1, atol=1e-4)


def test_about_half_of_the_weight_stays(affinity, rng, cpu):
    matrix, _ = matrices_of(propagation_graph(affinity, rng.random((3, 63)), settings_of(256))[0], cpu)
    assert 0.4 < np.diag(matrix).min() and np.median(np.diag(matrix)) < 0.6


def test_a_graph_tells_what_holds_it(affinity, rng):
    def text(steps, normalisation="symmetric", exact=False):
        return str(propagation_graph(affinity, rng.random((3, 63)), settings_of(steps, normalisation), exact)[0])

    assert text(1) == f"63 nodes, {affinity.count_nonzero()} entries"
    assert "entries + rank " in text(256)
    assert "polynomial of degree 5 in" in text(5, exact=True)
    assert "maximum" in text(256, "row")


def test_a_graph_does_not_depend_on_global_randomness(affinity, rng, cpu):
    found, features = [], rng.random((3, 63))
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append(matrices_of(propagation_graph(affinity, features, settings_of(256))[0], cpu)[0])
    np.testing.assert_array_equal(*found)


def test_float64_stays_float64(affinity, rng):
    features = rng.random((3, 63))
    graph, propagated = propagation_graph(affinity.astype(float), features, settings_of(256), exact=True)
    assert propagated.dtype == graph.left.dtype == np.float64
    expected = dense_graph(affinity.astype(float), 256, "symmetric")
    np.testing.assert_allclose(propagated, features @ expected.T, rtol=1e-10)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_features_that_are_not_finite_are_an_error(normalisation, affinity):
    with pytest.raises(ValueError, match="node features are not finite"):
        propagation_graph(affinity, np.full((3, 63), np.inf), settings_of(256, normalisation))


def test_a_maximum_that_has_no_other_form_is_dense_as_far_as_it_fits(rng, cpu, monkeypatch):
    affinity = affinity_matrix(np.full((30, 50), 0.3, np.float32), 5, 10)  # 1,500 nodes, half held: no sparse walk
    features = rng.random((3, 1500), np.float32)
    graph, propagated = propagation_graph(affinity, features, settings_of(2, "row"))
    assert str(graph) == "1500 nodes, a dense matrix"
    np.testing.assert_allclose(propagated, features @ dense_graph(affinity, 2, "row").T, atol=1e-5)
    monkeypatch.setattr("wsgcn.graph.operator.MAX_DENSE_NODES", 1499)
    with pytest.raises(ValueError, match="^graph.normalisation: row with 2 steps .* 1500 nodes"):
        propagation_graph(affinity, features, settings_of(2, "row"))
