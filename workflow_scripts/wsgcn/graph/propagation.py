"""The operators Â of one or several images on a device, padded to one length and applied together."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F

from wsgcn.graph.maximum import Dense, LowRankMaximum
from wsgcn.graph.walk import LowRank, Polynomial, evaluate, walk_rows

Product = Callable[[torch.Tensor], torch.Tensor]
Term = Polynomial | LowRank | LowRankMaximum | Dense

NUM_DEGREE_GROUPS = 64
"""So many groups of like degree stand for the nodes in `LowRankMaximum`; within one it takes the mean of the two."""


def pad_and_stack(rows: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """Arrays [..., n] as one tensor [B, ..., N]: N and the axes before it are the largest, zeros fill up."""
    shape = np.max([row.shape for row in rows], axis=0)
    pads = [[(0, most - size) for most, size in zip(shape, row.shape, strict=True)] for row in rows]
    return torch.from_numpy(np.stack([np.pad(row, pad) for row, pad in zip(rows, pads, strict=True)])).to(device)


def rows_product(terms: Sequence[Polynomial]) -> Product:
    """The function that multiplies blocks [B, K, N] by B polynomials of matrices of at most N nodes, on a CPU."""

    def product(block: torch.Tensor) -> torch.Tensor:
        result = torch.zeros_like(block)
        for term, source, target in zip(terms, block.numpy(), result.numpy(), strict=True):
            nodes = term.matrix.shape[0]
            target[:, :nodes] = walk_rows(term, source[:, :nodes])
        return result

    return product


def polynomial_product(terms: Sequence[Polynomial], device: torch.device) -> Product:
    """The same by products with one block-diagonal matrix, as suits a GPU."""
    nodes = max(term.matrix.shape[0] for term in terms)
    parts = [scipy.sparse.csr_array(term.matrix) for term in terms]
    for part in parts:
        part.resize(nodes, nodes)
    whole = scipy.sparse.block_diag(parts, format="csr")
    arrays = (torch.from_numpy(array) for array in (whole.indptr, whole.indices, whole.data))
    matrix = torch.sparse_csr_tensor(*arrays, size=whole.shape, check_invariants=False).to(device)
    padded = pad_and_stack([np.array(term.coefficients, term.matrix.dtype) for term in terms], device)
    coefficients = padded.T[:, :, None, None].unbind()

    def product(block: torch.Tensor) -> torch.Tensor:
        columns = block.transpose(1, 2).reshape(-1, block.shape[1])
        return (matrix @ columns).view(len(block), nodes, -1).transpose(1, 2).contiguous()

    return lambda block: evaluate(coefficients, product, block)


def term_product(terms: Sequence[Term], device: torch.device) -> Product:
    """The function that multiplies blocks [B, K, N] by one term, all of a kind, of each of B graphs."""
    kind = type(terms[0])
    if kind is Polynomial:
        return rows_product(terms) if device.type == "cpu" else polynomial_product(terms, device)
    if kind is LowRank:
        basis, values = _low_rank(terms, device)
        return lambda block: (block @ basis.mT * values) @ basis
    if kind is Dense:
        if len(terms) == 1:  # without a copy of what may be large
            matrix = torch.from_numpy(terms[0].matrix).to(device)
            return lambda block: block @ matrix
        matrices = pad_and_stack([term.matrix for term in terms], device)
        return lambda block: block @ matrices
    basis, values = _low_rank([term.low_rank for term in terms], device)
    return _maximum_product(basis, values, [term.degree for term in terms], device)


def _low_rank(terms: Sequence[LowRank], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    values = [term.values for term in terms]
    return pad_and_stack([term.basis for term in terms], device), pad_and_stack(values, device)[:, None]


def _maximum_product(basis: torch.Tensor, values: torch.Tensor, degrees: Sequence[np.ndarray], device) -> Product:
    """Sums over the nodes of smaller degree and over those of larger degree, by groups of nodes in their order."""
    count, nodes = len(degrees), basis.shape[2]
    size = -(-nodes // NUM_DEGREE_GROUPS)
    node_at = torch.full(
        (count, 1, NUM_DEGREE_GROUPS * size), nodes
    )  # the node of each place in the groups; `nodes` is none
    place_of = torch.zeros((count, 1, nodes), dtype=torch.int64)
    for degree, node, place in zip(degrees, node_at, place_of, strict=True):
        order, own = torch.from_numpy(degree).argsort(stable=True), -(-len(degree) // NUM_DEGREE_GROUPS)
        rank = torch.arange(len(degree))
        place[0, order] = rank // own * size + rank % own  # in the groups that the graph alone would have
        node[0, place[0, order]] = order
    node_at, place_of = node_at.to(device), place_of.to(device)

    def grouped(rows: torch.Tensor, fill: float = 0) -> torch.Tensor:  # [B, R, N] to [B, G, R, N / G]
        padded = F.pad(rows, (0, 1), value=fill)
        in_order = padded.gather(2, node_at.expand(-1, rows.shape[1], -1))
        return in_order.view(count, -1, NUM_DEGREE_GROUPS, size).transpose(1, 2)

    bases, root = grouped(basis).contiguous(), grouped(pad_and_stack(degrees, device)[:, None], 1).sqrt()

    def product(block: torch.Tensor) -> torch.Tensor:
        rows = grouped(block)
        below, above = ((rows * factor) @ bases.mT * values[:, None] for factor in (1 / root, root))  # [B, G, K, R]
        below, above = below.cumsum(1) - below / 2, above.flip(1).cumsum(1).flip(1) - above / 2
        rows = root * (below @ bases) + (above @ bases) / root
        rows = rows.transpose(1, 2).reshape(count, -1, NUM_DEGREE_GROUPS * size)
        return rows.gather(2, place_of.expand(-1, rows.shape[1], -1))

    return product


class Propagation:
    """Â of B graphs whose terms are of the same kinds, for blocks of rows X [B, K, N].

    N is the number of nodes of the largest graph; whatever X holds at a smaller one's further nodes, Â X is zero there.
    """

    def __init__(self, graphs: Sequence, device: torch.device):
        self._terms = [term_product(terms, device) for terms in zip(*(graph.terms for graph in graphs), strict=True)]
        columns = ([getattr(graph, name)[None] for graph in graphs] for name in ("left", "right", "identity"))
        self._left, self._right, self._identity = (pad_and_stack(column, device) for column in columns)

    def apply(self, block: torch.Tensor) -> torch.Tensor:
        """Â X, row by row of X [B, K, N]."""
        return self._apply(self._left, block, self._right)

    def apply_transpose(self, block: torch.Tensor) -> torch.Tensor:
        """Âᵗ X."""
        return self._apply(self._right, block, self._left)

    def _apply(self, left: torch.Tensor, block: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        scaled = right * block
        return left * sum(term(scaled) for term in self._terms) + self._identity * block
