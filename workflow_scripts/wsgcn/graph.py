"""The graph of an image: a sparse affinity matrix from a boundary map, and the operator that a GCN propagates with.

No N×N dense matrix is ever formed. N = h·w nodes, node i is row i // w, column i % w of the grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from wsgcn.maximum import LowRankMaximum, sparse_maximum
from wsgcn.paths import displacements, path_maximum
from wsgcn.propagation import Term, term_product
from wsgcn.stencil import scaled, stencil_matrix
from wsgcn.walk import low_rank_walk, matrix_term, walk_polynomial


def affinity_matrix(boundary: np.ndarray, radius: int, beta: float) -> scipy.sparse.dia_array:
    """Affinities a_ij^beta, a_ij = 1 - max of the boundary map on the line from i to j, for pairs nearer than radius.

    boundary: float [h, w] in 0..1. Returns the symmetric float32 matrix [N, N] with ones on its diagonal: about 66
    entries a row at radius 5 (IRNet, Ahn et al., CVPR 2019, section 5.2).
    """
    tensor = torch.from_numpy(np.ascontiguousarray(boundary, np.float32))

    def affinity(dy: int, dx: int) -> np.ndarray:
        return (1 - path_maximum(tensor, dy, dx)).clamp(min=0).pow(beta).numpy()

    return stencil_matrix(*boundary.shape, displacements(radius), affinity, diagonal=1)


@dataclass(frozen=True)
class Graph:
    """Â = diag(left) · (the sum of `terms`) · diag(right) + diag(identity), the terms symmetric [N, N].

    terms: what Â is made of for the hundreds of products of a training; exact: the same to rounding, slower, for the
    one product with the node features. left, right, identity: [N]. `wsgcn.propagation` applies it.
    """

    terms: tuple[Term, ...]
    exact: tuple[Term, ...]
    left: np.ndarray
    right: np.ndarray
    identity: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.left)} nodes, " + " + ".join(map(str, self.terms))


def propagation_graph(affinity: scipy.sparse.dia_array, settings: Mapping) -> Graph:
    """Â from affinities A (symmetric, `affinity_matrix`), in the paper's reading or the released code's.

    settings: steps t, normalisation, rank. The walk W is A itself at t = 0; otherwise, with D its row sums,
    - normalisation `symmetric` (WSGCN, equation 2): W = (D^-½ A D^-½)^t and Â = D'^-½ (W + I) D'^-½;
    - normalisation `row` (released code): W = (D^-1 A)^t, M its elementwise maximum with Wᵗ and Â = D'^-1 (M + I),
    with D' the row sums of what stands in the bracket, so that about half of a node's weight stays with itself for
    t > 0. (The symmetric walk is its own maximum with its transpose.) Walks of more than one step are held as a sparse
    matrix and `rank` vectors where that holds them (`walk.low_rank_walk`), or as a polynomial; the maximum of a walk
    needs vectors, as many as it takes. rank 0 asks for the polynomial. All is computed in the dtype of A.
    """
    steps, row = settings["steps"], settings["normalisation"] == "row"
    degree = affinity.sum(axis=1)
    step = scaled(affinity, degree**-0.5, degree**-0.5)
    if steps == 0:
        terms = exact = (matrix_term(affinity),)
    elif steps == 1:
        terms = exact = (matrix_term(sparse_maximum(step, degree) if row else step),)
    elif row:
        terms = exact = _maximum_terms(step, degree, steps, settings["rank"])
    else:
        exact = (walk_polynomial(step, steps),)
        found = low_rank_walk(step, steps, settings["rank"]) if settings["rank"] else None
        terms = (matrix_term(found[0]), found[1]) if found else exact
    cpu, ones = torch.device("cpu"), torch.from_numpy(np.ones((1, 1, len(degree)), affinity.dtype))
    total = sum(term_product([term], cpu)(ones) for term in exact).ravel().numpy() + 1
    if row:
        return Graph(terms, exact, 1 / total, np.ones_like(total), 1 / total)
    return Graph(terms, exact, total**-0.5, total**-0.5, 1 / total)


def _maximum_terms(step: scipy.sparse.dia_array, degree: np.ndarray, steps: int, rank: int) -> tuple[Term, ...]:
    while not (found := low_rank_walk(step, steps, rank)):
        rank *= 2
    return matrix_term(sparse_maximum(found[0], degree)), LowRankMaximum(found[1], degree)
