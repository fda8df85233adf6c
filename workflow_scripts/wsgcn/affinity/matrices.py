"""Affinity matrices and node features from the output of an affinity network, as its file per image holds it.

IRNet's file: boundary [h, w], features [160, h, w], weight [160] of the boundary layer. AffinityNet's: features
[448, h', w'] on its own coarser grid, from which both affinities and node features come.
"""

from collections.abc import Mapping

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F

from wsgcn.graph.grid import neighbour_offsets, pair_slices, path_maximum
from wsgcn.graph.stencil import stencil_matrix


def affinity_matrix_from(
    network_output: Mapping[str, np.ndarray], size: tuple[int, int], radius: int, beta: float
) -> scipy.sparse.dia_array:
    """The affinity matrix [N, N] over a grid of `size`, from either network's file.

    AffinityNet's features are of every 8th pixel. On the grid of every 4th pixel neighbours differ half as much, so the
    same reach and contrast need about twice the radius and the power beta of its paper.
    """
    if "boundary" in network_output:
        return affinity_matrix(network_output["boundary"], radius, beta)
    return feature_affinity_matrix(resample_to_grid(network_output["features"], size), radius, beta)


def node_features(network_output: Mapping[str, np.ndarray], size: tuple[int, int], which: str) -> np.ndarray:
    """V as rows over the nodes of a grid of `size`, float32 [D, N].

    which: plain, or weighted: each channel times its weight in IRNet's boundary layer (WSGCN's released code).
    AffinityNet has no such layer, so its features are always plain. They are divided by their root mean square: they
    are ten times as large as IRNet's, which its groups normalise, and saturate a GCN at its learning rate. The row of
    another network without the weights says that it ignores `graph.features`.
    """
    features = network_output["features"].astype(np.float32)
    if "boundary" not in network_output:
        features /= max(float(np.sqrt(np.square(features).mean())), 1e-6)
    elif which == "weighted" and "weight" in network_output:
        features *= network_output["weight"][:, None, None]
    if features.shape[1:] != tuple(size):
        features = resample_to_grid(features, size)
    return features.reshape(len(features), -1)


def affinity_matrix(boundary: np.ndarray, radius: int, beta: float) -> scipy.sparse.dia_array:
    """Affinities a_ij^beta, a_ij = 1 - max of the boundary map on the line from i to j, for pairs nearer than radius.

    boundary: float [h, w] in 0..1. Returns the symmetric float32 matrix [N, N] with ones on its diagonal: about 66
    entries per row at radius 5 (IRNet, Ahn et al., CVPR 2019, section 5.2). Raises ValueError where the map is
    not finite.
    """
    tensor = torch.from_numpy(_finite(boundary, "boundaries"))

    def affinity(dy: int, dx: int) -> np.ndarray:
        return (1 - path_maximum(tensor, dy, dx)).clamp(min=0).pow(beta).numpy()

    h, w = boundary.shape
    return stencil_matrix(h, w, neighbour_offsets(radius), affinity, diagonal=1)


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    """The values as float32. Raises ValueError where one is not finite: a walk would end in a solver's own words."""
    if not np.isfinite(values).all():
        raise ValueError(f"the {what} of the affinity network are not finite")
    return np.ascontiguousarray(values, np.float32)


def feature_affinity(features: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """exp(-mean |fi - fj|) of the points [..., D, h, w] and their partners at (dy, dx), at `grid.origin_slices`."""
    h, w = features.shape[-2:]
    a, b = (features[..., *slices] for slices in pair_slices(h, w, dy, dx))
    return torch.exp(-(a - b).abs().mean(-3))


def resample_to_grid(features: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Features [D, h', w'] on the graph's grid: float32 [D, h, w], bilinear."""
    batch = torch.from_numpy(np.asarray(features, np.float32))[None]
    return F.interpolate(batch, size, mode="bilinear", align_corners=False)[0].numpy()


def feature_affinity_matrix(features: np.ndarray, radius: int, beta: float) -> scipy.sparse.dia_array:
    """Affinities a_ij^beta, a_ij = exp(-mean |fi - fj|), for pairs nearer than radius.

    Source: AffinityNet (Ahn & Kwak, CVPR 2018, equation 4). features: float [D, h, w] on the graph's grid. Returns the
    symmetric float32 matrix [N, N] with ones on its diagonal. Raises ValueError where features are not finite.
    """
    tensor = torch.from_numpy(_finite(features, "features"))

    def affinity(dy: int, dx: int) -> np.ndarray:
        return feature_affinity(tensor, dy, dx).pow(beta).numpy()

    h, w = features.shape[1:]
    return stencil_matrix(h, w, neighbour_offsets(radius), affinity, diagonal=1)
