"""The operator Â that a GCN propagates with, from affinities A [N, N]: the walk's form, then its normalisation.

N = h·w nodes; node i is row i // w, column i % w of the grid. No dense N×N matrix is formed.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import scipy.sparse
import torch

from wsgcn.graph.forms import Terms, low_rank_symmetric_walk, maximum_walk, symmetric_walk
from wsgcn.graph.products import term_product
from wsgcn.graph.propagation import Graph, Propagation

CPU = torch.device("cpu")


@dataclass(frozen=True)
class GraphSettings:
    """The `graph` section of the config.

    radius, beta: affinities to the power beta between nodes nearer than radius; steps: of the random walk, 0 for the
    affinities themselves; normalisation: symmetric or row (`propagation_graph`); features: plain or weighted.
    """

    radius: int
    beta: float
    steps: int
    normalisation: str
    features: str


def propagation_graph(
    affinity: scipy.sparse.dia_array, features: np.ndarray, settings: GraphSettings, exact: bool = False
) -> tuple[Graph, np.ndarray]:
    """Â and ÂV [D, N], in the paper's reading (`symmetric_graph`) or the released code's (`row_graph`).

    affinity: A, symmetric [N, N]; features: V as rows over the nodes [D, N]; settings: steps and normalisation; exact:
    without low-rank forms, slowly. About half of a node's weight stays with itself for steps > 0. On random vectors Â
    is wrong by at most 4e-3 of their norm, row normalisation aside (docs/gcn-core.md). Everything is computed in the
    dtype of A.

    Raises ValueError where the features are not finite.
    """
    features = features.astype(affinity.dtype)
    if not np.isfinite(features).all():
        raise ValueError("the node features are not finite")
    build = row_graph if settings.normalisation == "row" else symmetric_graph
    return build(affinity, features, settings.steps, exact)


def symmetric_graph(
    affinity: scipy.sparse.dia_array, features: np.ndarray, steps: int, exact: bool = False
) -> tuple[Graph, np.ndarray]:
    """Â = D'^-½ (W + I) D'^-½ and ÂV, W the symmetric walk and D' the row sums of W + I (WSGCN, equation 2)."""
    walk = symmetric_walk(affinity, steps)
    sums = _row_sums_with_identity(walk, affinity)
    graph = Graph(walk, sums**-0.5, sums**-0.5, 1 / sums)
    if steps > 1 and not exact and (fit := low_rank_symmetric_walk(affinity, steps, graph.right * features)):
        terms, walked = fit
        return replace(graph, terms=terms), graph.left * walked + graph.identity * features
    return graph, _propagate(graph, features)


def row_graph(
    affinity: scipy.sparse.dia_array, features: np.ndarray, steps: int, exact: bool = False
) -> tuple[Graph, np.ndarray]:
    """Â = D'^-1 (M + I) and ÂV, M the maximum of the walk with its transpose (WSGCN's released code).

    D': the row sums of M + I.
    """
    walk = maximum_walk(affinity, steps, features, exact)
    sums = _row_sums_with_identity(walk, affinity)
    graph = Graph(walk, 1 / sums, np.ones_like(sums), 1 / sums)
    return graph, _propagate(graph, features)


def _row_sums_with_identity(walk: Terms, affinity: scipy.sparse.sparray) -> np.ndarray:
    """Row sums [N] of the walk plus the identity."""
    ones = torch.from_numpy(np.ones((1, 1, affinity.shape[0]), affinity.dtype))
    sums = cast(torch.Tensor, sum(term_product([term], CPU)(ones) for term in walk))
    return sums.ravel().numpy() + 1


def _propagate(graph: Graph, features: np.ndarray) -> np.ndarray:
    return Propagation([graph], CPU).apply(torch.from_numpy(features)[None])[0].numpy()
