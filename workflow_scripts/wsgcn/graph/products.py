"""Products of blocks of rows with the terms of one or several graphs, padded to one length, on a device."""

from collections.abc import Callable, Sequence
from typing import TypeGuard, TypeVar, cast

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F

from wsgcn.graph.low_rank import LowRank
from wsgcn.graph.maximum import LowRankMaximum
from wsgcn.graph.walk import Polynomial, ScaledPolynomial, evaluate, walk_rows

Product = Callable[[torch.Tensor], torch.Tensor]
Term = Polynomial | ScaledPolynomial | LowRank | LowRankMaximum
Kind = TypeVar("Kind", Polynomial, ScaledPolynomial, LowRank)

NUM_DEGREE_GROUPS = 64
"""Groups of similar degree that `LowRankMaximum` sorts the nodes into; within a group it averages W and Wᵗ."""


def pad_and_stack(arrays: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """B arrays [..., n] as one tensor [B, ..., N]: every axis gets the largest size among them, filled with zeros."""
    shape = np.max([array.shape for array in arrays], axis=0)
    pads = [[(0, largest - size) for largest, size in zip(shape, array.shape, strict=True)] for array in arrays]
    padded = [np.pad(array, pad) for array, pad in zip(arrays, pads, strict=True)]
    return torch.from_numpy(np.stack(padded)).to(device)


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
    """The same by products with one block-diagonal matrix, which suits a GPU."""
    nodes = max(term.matrix.shape[0] for term in terms)
    blocks = [scipy.sparse.csr_array(term.matrix) for term in terms]
    for block in blocks:
        block.resize(nodes, nodes)
    diagonal = scipy.sparse.block_diag(blocks, format="csr")
    indptr, indices, data = (torch.from_numpy(array) for array in (diagonal.indptr, diagonal.indices, diagonal.data))
    matrix = torch.sparse_csr_tensor(indptr, indices, data, size=diagonal.shape, check_invariants=False).to(device)
    padded = pad_and_stack([np.array(term.coefficients, term.matrix.dtype) for term in terms], device)
    coefficients = padded.T[:, :, None, None].unbind()

    def product(block: torch.Tensor) -> torch.Tensor:
        columns = block.transpose(1, 2).reshape(-1, block.shape[1])
        return (matrix @ columns).view(len(block), nodes, -1).transpose(1, 2).contiguous()

    return lambda block: evaluate(coefficients, product, block)


def scaled_product(terms: Sequence[ScaledPolynomial], device: torch.device) -> Product:
    """The function that multiplies blocks [B, K, N] by B sums of scaled polynomials."""
    inner = term_product([term.polynomial for term in terms], device)
    factors = pad_and_stack([term.factors for term in terms], device)[:, :, None]  # [B, M, 1, N]
    signs = pad_and_stack([term.signs for term in terms], device)[:, :, None, None]

    def product(block: torch.Tensor) -> torch.Tensor:
        scaled = factors * block[:, None]
        return (inner(scaled.flatten(1, 2)).view_as(scaled) * (signs * factors)).sum(1)

    return product


def _are(terms: Sequence[Term], kind: type[Kind]) -> TypeGuard[Sequence[Kind]]:
    """Whether terms, which are of one type, are of this one."""
    return type(terms[0]) is kind


def term_product(terms: Sequence[Term], device: torch.device) -> Product:
    """The function that multiplies blocks [B, K, N] by one term of each of B graphs; the terms are of one type."""
    if _are(terms, Polynomial):
        return rows_product(terms) if device.type == "cpu" else polynomial_product(terms, device)
    if _are(terms, LowRank):
        basis, values = _basis_and_values(terms, device)
        return lambda block: (block @ basis.mT * values) @ basis
    if _are(terms, ScaledPolynomial):
        return scaled_product(terms, device)
    maxima = cast(Sequence[LowRankMaximum], terms)
    basis, values = _basis_and_values([term.low_rank for term in maxima], device)
    return _maximum_product(basis, values, [term.degree for term in maxima], device)


def _basis_and_values(terms: Sequence[LowRank], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, R, N] and [B, 1, R]."""
    values = pad_and_stack([term.values for term in terms], device)
    return pad_and_stack([term.basis for term in terms], device), values[:, None]


def _maximum_product(
    basis: torch.Tensor, values: torch.Tensor, degrees: Sequence[np.ndarray], device: torch.device
) -> Product:
    """Sums over the nodes of smaller degree and over those of larger degree, by groups of nodes sorted by degree."""
    count, nodes = len(degrees), basis.shape[2]
    size = -(-nodes // NUM_DEGREE_GROUPS)
    # The node in each slot of the groups (`nodes` for an empty slot), and the slot of each node.
    node_of_slot = torch.full((count, 1, NUM_DEGREE_GROUPS * size), nodes)
    slot_of_node = torch.zeros((count, 1, nodes), dtype=torch.int64)
    for degree, node, slot in zip(degrees, node_of_slot, slot_of_node, strict=True):
        order, own_size = torch.from_numpy(degree).argsort(stable=True), -(-len(degree) // NUM_DEGREE_GROUPS)
        rank = torch.arange(len(degree))
        slot[0, order] = rank // own_size * size + rank % own_size  # in the groups that the graph alone would have
        node[0, slot[0, order]] = order
    node_of_slot, slot_of_node = node_of_slot.to(device), slot_of_node.to(device)

    def group(rows: torch.Tensor, fill: float = 0) -> torch.Tensor:  # [B, R, N] to [B, G, R, N / G]
        padded = F.pad(rows, (0, 1), value=fill)
        in_order = padded.gather(2, node_of_slot.expand(-1, rows.shape[1], -1))
        return in_order.view(count, -1, NUM_DEGREE_GROUPS, size).transpose(1, 2)

    bases, root = group(basis).contiguous(), group(pad_and_stack(degrees, device)[:, None], 1).sqrt()

    def product(block: torch.Tensor) -> torch.Tensor:
        rows = group(block)
        below, above = ((rows * factor) @ bases.mT * values[:, None] for factor in (1 / root, root))  # [B, G, K, R]
        below, above = below.cumsum(1) - below / 2, above.flip(1).cumsum(1).flip(1) - above / 2
        rows = root * (below @ bases) + (above @ bases) / root
        rows = rows.transpose(1, 2).reshape(count, -1, NUM_DEGREE_GROUPS * size)
        return rows.gather(2, slot_of_node.expand(-1, rows.shape[1], -1))

    return product
