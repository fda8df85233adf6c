"""The graph of an image: a sparse affinity matrix from a boundary map, and the operator that a GCN propagates with.

No N×N dense matrix is formed, but where no other form holds a walk's maximum. N = h·w nodes, node i is row i // w,
column i % w of the grid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
import torch

from wsgcn.graph.maximum import LowRankMaximum, dense_maximum, sparse_maximum
from wsgcn.graph.propagation import Propagation, Term, term_product
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import low_rank_walk, matrix_term, walk_polynomial

CPU = torch.device("cpu")

MAX_RANK = 1000
"""So many vectors may make the maximum of a walk, whose other form is a dense matrix."""

MAX_DENSE_NODES = 30_000
"""Nodes up to which it may be one, of 3.6 GB."""


@dataclass(frozen=True)
class Graph:
    """Â = diag(left) · (the sum of `terms`) · diag(right) + diag(identity), the terms symmetric [N, N].

    left, right, identity: [N]. `wsgcn.propagation` applies it.
    """

    terms: tuple[Term, ...]
    left: np.ndarray
    right: np.ndarray
    identity: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.left)} nodes, " + " + ".join(map(str, self.terms))


def propagation_graph(
    affinity: scipy.sparse.dia_array, features: np.ndarray, settings: Mapping, exact: bool = False
) -> tuple[Graph, np.ndarray]:
    """Â from affinities A (symmetric, `affinity_matrix`), in the paper's reading or the released code's, and ÂV.

    features: V as rows over the nodes [D, N]; settings: steps t, normalisation. The walk W is A itself at t = 0;
    otherwise, with D its row sums,
    - normalisation `symmetric` (WSGCN, equation 2): W = (D^-½ A D^-½)^t and Â = D'^-½ (W + I) D'^-½;
    - normalisation `row` (released code): W = (D^-1 A)^t, M its elementwise maximum with Wᵗ and Â = D'^-1 (M + I),
    with D' the row sums of what stands in the bracket, so that about half of a node's weight stays with itself for
    t > 0. (The symmetric walk is its own maximum with its transpose.) A walk of more than one step is held as a sparse
    matrix and one of low rank where that holds it (`walk.low_rank_walk`), else, or if `exact`, as a polynomial, or its
    maximum as a dense matrix. ÂV [D, N] differs from the dense one by rounding, for a walk held in two parts by 1e-4 of
    its norm. All is computed in the dtype of A.

    Raises ValueError where the features are not finite, or where the maximum of a walk were too large a dense matrix.
    """
    steps, row = settings["steps"], settings["normalisation"] == "row"
    features, degree = features.astype(affinity.dtype), affinity.sum(axis=1)
    if not np.isfinite(features).all():
        raise ValueError("the node features are not finite")
    step = scale_rows_and_columns(affinity, degree**-0.5, degree**-0.5)
    if row and steps > 1:
        found = None if exact else low_rank_walk(step, steps, features, MAX_RANK)
        return _applied(_row_normalised(_maximum_terms(step, degree, steps, found)), features)
    if steps > 1:
        walk = (walk_polynomial(step, steps),)
    else:
        walk = (matrix_term(affinity if not steps else sparse_maximum(step, degree) if row else step),)
    if row:
        return _applied(_row_normalised(walk), features)
    total = _row_sums(walk)
    graph = Graph(walk, total**-0.5, total**-0.5, 1 / total)
    if steps > 1 and not exact and (found := low_rank_walk(step, steps, graph.right * features)):
        held, low_rank, walked = found
        graph = replace(graph, terms=(matrix_term(held), low_rank))
        return graph, graph.left * walked + graph.identity * features
    return _applied(graph, features)


def _row_sums(walk: Sequence[Term]) -> np.ndarray:
    """Of the walk and the identity."""
    matrix = walk[0].matrix
    ones = torch.from_numpy(np.ones((1, 1, matrix.shape[0]), matrix.dtype))
    return sum(term_product([term], CPU)(ones) for term in walk).ravel().numpy() + 1


def _row_normalised(walk: tuple[Term, ...]) -> Graph:
    total = _row_sums(walk)
    return Graph(walk, 1 / total, np.ones_like(total), 1 / total)


def _applied(graph: Graph, features: np.ndarray) -> tuple[Graph, np.ndarray]:
    return graph, Propagation([graph], CPU).apply(torch.from_numpy(features)[None])[0].numpy()


def _maximum_terms(
    step: scipy.sparse.dia_array, degree: np.ndarray, steps: int, found: tuple | None
) -> tuple[Term, ...]:
    if found:
        return matrix_term(sparse_maximum(found[0], degree)), LowRankMaximum(found[1], degree)
    if len(degree) > MAX_DENSE_NODES:
        raise ValueError(
            f"graph.normalisation: row with {steps} steps needs a dense matrix for this image, of {len(degree)} nodes "
            f"where {MAX_DENSE_NODES} is the limit; take symmetric, graph.steps: 1 or a smaller dataset.longest_side"
        )
    return (dense_maximum(step, steps, degree),)
