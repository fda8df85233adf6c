"""The graph of an image: a sparse affinity matrix from a boundary map, and the operator that a GCN propagates with.

No N×N dense matrix is ever formed. N = h·w nodes, node i is row i // w, column i % w of the grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse
import torch

from wsgcn.paths import displacements, pair_slices, path_maximum


def affinity_matrix(boundary: np.ndarray, radius: int, beta: float) -> scipy.sparse.csr_array:
    """Affinities a_ij^beta, a_ij = 1 - max of the boundary map on the line from i to j, for pairs nearer than radius.

    boundary: float [h, w] in 0..1. Returns symmetric float32 CSR [N, N] with ones on the diagonal: about 66 entries a
    row at radius 5 (IRNet, Ahn et al., CVPR 2019, section 5.2).
    """
    h, w = boundary.shape
    tensor = torch.from_numpy(np.ascontiguousarray(boundary, np.float32))
    nodes = np.arange(h * w, dtype=np.int32).reshape(h, w)
    heads, tails, values = [], [], []
    for dy, dx in displacements(radius):
        if h <= abs(dy) or w <= abs(dx):
            continue
        rows, columns = pair_slices(h, w, dy, dx)
        head = nodes[rows, columns].ravel()
        heads.append(head)
        tails.append(head + np.int32(dy * w + dx))
        values.append((1 - path_maximum(tensor, dy, dx)).clamp(min=0).pow(beta).numpy().ravel())
    half = scipy.sparse.coo_array(
        (
            np.concatenate([*values, np.full(h * w, 0.5, np.float32)]),
            (np.concatenate([*heads, nodes.ravel()]), np.concatenate([*tails, nodes.ravel()])),
        ),
        shape=(h * w, h * w),
    ).tocsr()
    return (half + half.T).tocsr()


NEGLIGIBLE = 1e-4
"""What a spectral form may leave of a random vector's walk, relative to the vector."""


class Graph(Protocol):
    """What a GCN propagates with: Â times a block of columns, and its transpose for the gradient."""

    def apply(self, columns: torch.Tensor) -> torch.Tensor:
        """Â X for X float32 [N, K]."""

    def apply_transpose(self, columns: torch.Tensor) -> torch.Tensor:
        """Âᵗ X for X float32 [N, K]."""


class SparseGraph:
    """Â held as a sparse matrix."""

    def __init__(self, matrix: scipy.sparse.csr_array, device: torch.device):
        matrices = (matrix.tocsr(), matrix.T.tocsr())
        # scipy's product takes a quarter of torch's time on a CPU
        self._matrices = matrices if device.type == "cpu" else tuple(_torch_csr(m).to(device) for m in matrices)

    def apply(self, columns: torch.Tensor) -> torch.Tensor:
        return _product(self._matrices[0], columns)

    def apply_transpose(self, columns: torch.Tensor) -> torch.Tensor:
        return _product(self._matrices[1], columns)


@dataclass(frozen=True)
class SpectralGraph:
    """Â = diag(left) U diag(values) Uᵗ diag(right) + diag(identity): two thin dense products for a long walk.

    basis U: [N, R]; values: [R]; left, right, identity: [N, 1].
    """

    basis: torch.Tensor
    values: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    identity: torch.Tensor

    def apply(self, columns: torch.Tensor) -> torch.Tensor:
        return self._walk(self.left, columns, self.right) + self.identity * columns

    def apply_transpose(self, columns: torch.Tensor) -> torch.Tensor:
        return self._walk(self.right, columns, self.left) + self.identity * columns

    def _walk(self, left: torch.Tensor, columns: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left * (self.basis @ (self.values[:, None] * (self.basis.T @ (right * columns))))


class WalkGraph:
    """Â = diag(left) stepᵗ diag(right) + diag(identity), t products at a time: exact for any step matrix, and slow.

    step: sparse [N, N], symmetric; left, right, identity: [N, 1].
    """

    def __init__(self, step: SparseGraph, steps: int, left: torch.Tensor, right: torch.Tensor, identity: torch.Tensor):
        self.step, self.steps, self.left, self.right, self.identity = step, steps, left, right, identity

    def apply(self, columns: torch.Tensor) -> torch.Tensor:
        return self._walk(self.left, columns, self.right) + self.identity * columns

    def apply_transpose(self, columns: torch.Tensor) -> torch.Tensor:
        return self._walk(self.right, columns, self.left) + self.identity * columns

    def _walk(self, left: torch.Tensor, columns: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        columns = right * columns
        for _ in range(self.steps):
            columns = self.step.apply(columns)
        return left * columns


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, columns: torch.Tensor, graph: Graph) -> torch.Tensor:
        ctx.graph = graph
        return graph.apply(columns)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return ctx.graph.apply_transpose(gradient.contiguous()), None


def propagate(graph: Graph, columns: torch.Tensor) -> torch.Tensor:
    """Â X, differentiable in X [N, K]."""
    return _Propagate.apply(columns, graph)


def propagation_graph(affinity: scipy.sparse.csr_array, settings: Mapping, device: torch.device) -> Graph:
    """Â from affinities A (symmetric, `affinity_matrix`), in the paper's reading or the released code's.

    settings: steps t, normalisation, rank. The walk is A itself at t = 0; otherwise, with D its row sums,
    - normalisation `symmetric` (WSGCN, equation 2): W = (D^-½ A D^-½)^t and Â = D'^-½ (W + I) D'^-½;
    - normalisation `row` (released code): W = (D^-1 A)^t, for t < 2 its elementwise maximum with Wᵗ, and
      Â = D'^-1 (W + I). The maximum of a longer walk is no product of thin matrices, and is left out,
    with D' the row sums of W + I, so that about half of a node's weight stays with itself for t > 0. Walks of more than
    one step are held by their `rank` leading eigenvectors: the 256-step walk's eigenvalues vanish beyond the first
    dozens.
    """
    symmetric = settings["normalisation"] == "symmetric"
    degree = affinity.sum(axis=1)
    if settings["steps"] > 1:
        return _walk_graph(_scaled(affinity, degree**-0.5, degree**-0.5), degree, symmetric, settings, device)
    walk = affinity
    if settings["steps"] == 1:
        root = degree**-0.5
        walk = _scaled(affinity, root, root) if symmetric else _scaled(affinity, 1 / degree, np.ones_like(degree))
    if not symmetric:
        walk = walk.maximum(walk.T)
    total = walk + scipy.sparse.eye_array(walk.shape[0], dtype=np.float32, format="csr")
    sums = total.sum(axis=1)
    left, right = (sums**-0.5, sums**-0.5) if symmetric else (1 / sums, np.ones_like(sums))
    return SparseGraph(_scaled(total, left, right), device)


def _walk_graph(
    step: scipy.sparse.csr_array, degree: np.ndarray, symmetric: bool, settings: Mapping, device: torch.device
) -> Graph:
    """Â of a walk of several steps, from its symmetric step matrix D^-½ A D^-½.

    Spectral where `rank` eigenvectors hold the walk, else the products themselves: few steps forget little, and
    boundaries everywhere cut a graph into more pieces than any fixed rank holds.
    """

    def column(scale: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(scale.astype(np.float32))[:, None].to(device)

    basis, values = _leading_eigenvectors(step, settings)
    # The walk of the ones gives its row sums, that of random probes tells what the eigenvectors leave out.
    probes = np.random.default_rng(1).standard_normal((step.shape[0], 4), dtype=np.float32)
    walked = np.concatenate([np.ones((step.shape[0], 1), np.float32), probes], 1)
    for _ in range(settings["steps"]):
        walked = step @ walked
    left_out = np.linalg.norm(walked[:, 1:] - basis @ (values[:, None] * (basis.T @ probes)))
    if symmetric:
        total = walked[:, 0]
        scales = tuple(map(column, ((total + 1) ** -0.5, (total + 1) ** -0.5, 1 / (total + 1))))
    else:
        scales = tuple(map(column, (0.5 * degree**-0.5, degree**0.5, np.full_like(degree, 0.5))))
    if left_out > NEGLIGIBLE * np.linalg.norm(probes):
        return WalkGraph(SparseGraph(step, device), settings["steps"], *scales)
    tensors = (torch.from_numpy(part.astype(np.float32)).to(device) for part in (basis, values))
    return SpectralGraph(*tensors, *scales)


def _scaled(matrix: scipy.sparse.csr_array, left: np.ndarray, right: np.ndarray) -> scipy.sparse.csr_array:
    """diag(left) · matrix · diag(right), float32 CSR."""
    scaled = scipy.sparse.diags_array(left) @ matrix @ scipy.sparse.diags_array(right)
    return scaled.tocsr().astype(np.float32)


def _leading_eigenvectors(matrix: scipy.sparse.csr_array, settings: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Basis [N, R] and values [R] of matrix^steps, R = min(rank, N), for a symmetric matrix of spectrum in -1..1.

    Subspace iteration: a fixed random block through all the steps, with a QR every 32 of them, then Rayleigh-Ritz.
    """
    nodes = matrix.shape[0]
    block = np.random.default_rng(0).standard_normal((nodes, min(settings["rank"], nodes)), dtype=np.float32)
    for step in range(settings["steps"]):
        block = matrix @ block
        if step % 32 == 31:
            block = np.linalg.qr(block)[0]
    block = np.linalg.qr(block.astype(np.float64))[0]
    values, vectors = np.linalg.eigh(block.T @ (matrix.astype(np.float64) @ block))
    return block @ vectors, values ** settings["steps"]


def _torch_csr(matrix: scipy.sparse.csr_array) -> torch.Tensor:
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, size=matrix.shape)


def _product(matrix, columns: torch.Tensor) -> torch.Tensor:
    if isinstance(matrix, torch.Tensor):
        return matrix @ columns
    return torch.from_numpy(matrix @ columns.numpy())
