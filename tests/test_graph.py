"""Affinities and the propagation operator, against dense float64 matrices."""

import numpy as np
import pytest
import torch

from wsgcn.graph import SparseGraph, SpectralGraph, WalkGraph, affinity_matrix, propagate, propagation_graph

NORMALISATIONS = ("symmetric", "row")


def settings_of(steps, normalisation="symmetric", rank=96):
    return {"steps": steps, "normalisation": normalisation, "rank": rank}


def dense_walk(affinity, steps, normalisation):
    """A itself, or t steps of D^-½ A D^-½ or D^-1 A, a single one the maximum of itself and its transpose."""
    degree = affinity.sum(1)
    if steps == 0:
        return affinity
    root = np.diag(degree**-0.5)
    step = root @ affinity @ root if normalisation == "symmetric" else np.diag(1 / degree) @ affinity
    if normalisation == "row" and steps == 1:
        return np.maximum(step, step.T)
    return np.linalg.matrix_power(step, steps)


def normalised(matrix, normalisation):
    """D^-½ (M + I) D^-½ or D^-1 (M + I), D the row sums of M + I."""
    total = matrix + np.eye(len(matrix))
    sums = total.sum(1)
    if normalisation == "symmetric":
        return np.diag(sums**-0.5) @ total @ np.diag(sums**-0.5)
    return np.diag(1 / sums) @ total


def dense_graph(affinity, steps, normalisation):
    return normalised(dense_walk(affinity, steps, normalisation), normalisation)


def matrix_of(apply, nodes):
    return apply(torch.eye(nodes)).numpy()


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
    assert 60 < found.nnz / found.shape[0] < 69
    assert np.diff(found.indptr).max() == 69  # the 68 other points of the open disc and the node itself


def test_a_closed_boundary_cuts_the_graph():
    boundary = np.zeros((4, 7), np.float32)
    boundary[:, 3] = 1
    found = affinity_matrix(boundary, 5, 10).toarray().reshape(4, 7, 4, 7)
    assert not found[:, :3, :, 3:].any()
    assert found[:, :3, :, :3].any(axis=(2, 3)).all()


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize(
    "steps, rank, kind",
    [
        (0, 96, SparseGraph),
        (1, 96, SparseGraph),
        (5, 96, SpectralGraph),  # rank >= N: exact
        (5, 8, WalkGraph),
        (256, 96, SpectralGraph),
        (256, 24, SpectralGraph),  # the others of the 63 eigenvalues have vanished
        (256, 1, WalkGraph),
    ],
)
def test_propagation_graph_is_the_dense_matrix(steps, rank, kind, normalisation, affinity, cpu):
    graph = propagation_graph(affinity, settings_of(steps, normalisation, rank), cpu)
    assert type(graph) is kind
    expected = dense_graph(affinity.toarray().astype(np.float64), steps, normalisation)
    nodes = len(expected)
    np.testing.assert_allclose(matrix_of(graph.apply, nodes), expected, atol=1e-5)
    np.testing.assert_allclose(matrix_of(graph.apply_transpose, nodes), expected.T, atol=1e-5)


@pytest.mark.parametrize(
    "steps, rank, radius, level",
    [
        (3, 64, 5, 0.5),
        (16, 16, 5, 0.05),
        (16, 64, 2, 0.05),
        (64, 96, 3, 0.5),
        (256, 16, 2, 0.05),
        (256, 16, 5, 0.99),
        (2, 96, 5, 0.05),
        (3, 64, 2, 0.05),
    ],
)
def test_no_rank_spoils_the_walk(steps, rank, radius, level, rng, cpu):
    """Where `rank` eigenvectors do not suffice, the walk must not be held by them."""
    affinity = affinity_matrix((level * rng.random((14, 14))).astype(np.float32), radius, 10)
    graph = propagation_graph(affinity, settings_of(steps, "row", rank), cpu)
    expected = dense_graph(affinity.toarray().astype(np.float64), steps, "row")
    assert abs(matrix_of(graph.apply, 196) - expected).sum(1).max() < 1e-3  # of a row that sums to one


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_graph_in_more_pieces_than_the_rank_walks_exactly(normalisation, cpu):
    affinity = affinity_matrix(np.full((6, 6), 1, np.float32), 5, 10)  # no node has a neighbour
    graph = propagation_graph(affinity, settings_of(256, normalisation, 8), cpu)
    assert type(graph) is WalkGraph
    np.testing.assert_allclose(matrix_of(graph.apply, 36), np.eye(36), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 5, 256])
def test_rows_sum_to_one_and_half_of_the_weight_stays(steps, affinity, cpu):
    graph = propagation_graph(affinity, settings_of(steps, "row"), cpu)
    matrix = matrix_of(graph.apply, affinity.shape[0])
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-4)
    if steps > 1:  # the maximum with the transpose adds to the neighbours' weights
        assert (np.diag(matrix) >= 0.5 - 1e-4).all()


def test_row_reading_of_one_step_is_the_released_code_s(affinity, cpu):
    graph = propagation_graph(affinity, settings_of(1, "row"), cpu)
    dense = affinity.toarray().astype(np.float64)
    walk = dense / dense.sum(1, keepdims=True)
    expected = normalised(np.maximum(walk, walk.T), "row")
    np.testing.assert_allclose(matrix_of(graph.apply, len(expected)), expected, atol=1e-3)


def test_a_graph_does_not_depend_on_global_randomness(affinity, cpu):
    columns = torch.arange(63.0)[:, None]
    graphs = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        graphs.append(propagation_graph(affinity, settings_of(256, rank=24), cpu))
    assert torch.equal(graphs[0].apply(columns), graphs[1].apply(columns))


@pytest.mark.parametrize("steps, rank, kind", [(0, 96, SparseGraph), (256, 24, SpectralGraph), (5, 8, WalkGraph)])
def test_gradient_of_propagate(steps, rank, kind, affinity, cpu):
    """The operator is linear, so a finite difference of any width is exact."""
    graph = propagation_graph(affinity, settings_of(steps, "row", rank), cpu)
    assert type(graph) is kind
    generator = torch.Generator().manual_seed(0)
    columns, weights = (torch.randn(63, 2, generator=generator) for _ in range(2))
    inputs = columns.clone().requires_grad_()
    output = propagate(graph, inputs)
    (output * weights).sum().backward()
    for node, column in [(0, 0), (20, 1), (44, 0), (62, 1)]:
        moved = columns.clone()
        moved[node, column] += 1
        difference = ((graph.apply(moved) - output.detach()) * weights).sum()
        torch.testing.assert_close(inputs.grad[node, column], difference, atol=1e-4, rtol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("steps, rank", [(0, 96), (1, 96), (5, 8), (256, 24)])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_gpu_computes_the_same(steps, rank, normalisation, affinity):
    graph = propagation_graph(affinity, settings_of(steps, normalisation, rank), torch.device("cuda"))
    expected = dense_graph(affinity.toarray().astype(np.float64), steps, normalisation)
    columns = torch.eye(len(expected), device="cuda")
    np.testing.assert_allclose(graph.apply(columns).cpu().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(graph.apply_transpose(columns).cpu().numpy(), expected.T, atol=1e-5)
