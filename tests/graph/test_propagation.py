"""The operators on a device, of one graph and of several together, against dense float64 matrices."""

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.graph.products import pad_and_stack, polynomial_product, rows_product
from wsgcn.graph.propagation import Propagation
from wsgcn.graph.walk import matrix_term, walk_polynomial
from wsgcn.refinement.reference import dense_operator

STEPS = [0, 1, 256]


def affinities(rng):
    """Affinity matrices of three grids of different sizes, with a wall in each."""
    for h, w in ((7, 9), (8, 5), (10, 11)):
        boundary = 0.2 * rng.random((h, w), np.float32)
        boundary[: h - 1, w // 2] = 0.8
        yield affinity_matrix(boundary, 3, 4)


def graphs_and_matrices(rng, steps, normalisation, exact=False):
    settings = GraphSettings(radius=5, beta=10, steps=steps, normalisation=normalisation, features="plain")
    matrices = list(affinities(rng))
    dense = [dense_operator(torch.tensor(a.toarray()).double(), steps, normalisation).numpy() for a in matrices]
    features = rng.standard_normal((5, 120))
    return [propagation_graph(a, features[:, : a.shape[0]], settings, exact)[0] for a in matrices], dense


def test_pad_and_stack_fills_with_zeros(cpu):
    found = pad_and_stack([np.ones((2, 3)), np.full((1, 4), 2.0)], cpu)
    assert found.tolist() == [[[1, 1, 1, 0], [1, 1, 1, 0]], [[2, 2, 2, 2], [0, 0, 0, 0]]]


@pytest.mark.parametrize(
    "steps, normalisation, exact, tolerance",
    [
        (0, "symmetric", False, 1e-5),
        (0, "row", False, 1e-5),
        (1, "symmetric", False, 1e-5),
        (1, "row", False, 1e-5),
        (5, "symmetric", True, 1e-5),
        (256, "symmetric", True, 1e-4),
        (256, "symmetric", False, 8e-3),
        (256, "row", False, 1.5e-2),
        (5, "row", True, 5e-2),
        (256, "row", True, 5e-2),
    ],
)
def test_batch_matches_dense_matrices(steps, normalisation, exact, tolerance, rng, cpu):
    graphs, dense = graphs_and_matrices(rng, steps, normalisation, exact)
    nodes = max(len(d) for d in dense)
    block = torch.zeros(3, 2, nodes)
    for k, matrix in enumerate(dense):
        block[k, :, : len(matrix)] = torch.from_numpy(rng.standard_normal((2, len(matrix)), np.float32))
    batch = Propagation(graphs, cpu)
    applied, transposed, block = (b.numpy() for b in (batch.apply(block), batch.apply_transpose(block), block))
    for k, matrix in enumerate(dense):
        n = len(matrix)
        np.testing.assert_allclose(applied[k, :, :n], block[k, :, :n] @ matrix.T, atol=tolerance)
        np.testing.assert_allclose(transposed[k, :, :n], block[k, :, :n] @ matrix, atol=tolerance)
        assert not applied[k, :, n:].any() and not transposed[k, :, n:].any()


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("format", ["dia", "csr"])
def test_polynomial_product_matches_rows_product(format, steps, rng, cpu):
    matrices = [(a.asformat(format) / 20).astype(np.float32) for a in affinities(rng)]
    terms = [walk_polynomial(m, steps) if steps > 1 else matrix_term(m) for m in matrices]
    block = torch.from_numpy(rng.standard_normal((3, 4, 110), np.float32))
    for k, matrix in enumerate(matrices):
        block[k, :, matrix.shape[0] :] = 0
    expected = rows_product(terms)(block)
    torch.testing.assert_close(polynomial_product(terms, cpu)(block), expected, atol=1e-5, rtol=1e-4)
    power = np.linalg.matrix_power(matrices[1].toarray().astype(float), steps)
    np.testing.assert_allclose(expected[1, :, :40], block[1, :, :40].numpy() @ power, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
@pytest.mark.parametrize("steps", STEPS)
def test_gpu_matches_cpu(steps, normalisation, rng, cpu):
    graphs, _ = graphs_and_matrices(rng, steps, normalisation)
    block = torch.from_numpy(rng.standard_normal((3, 4, 110), np.float32))
    for k, graph in enumerate(graphs):
        block[k, :, len(graph.left) :] = 0
    expected = Propagation(graphs, cpu).apply(block)
    found = Propagation(graphs, torch.device("cuda")).apply(block.cuda())
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-4)
