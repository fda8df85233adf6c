"""What an affinity network has learnt of an image, as its file holds it, for the refinement.

IRNet's file: boundary [h, w], features [160, h, w], weight [160] of the boundary layer. AffinityNet's: features
[448, h', w'] on its own coarser grid, from which both affinities and node features come.
"""

from collections.abc import Mapping

import numpy as np
import scipy.sparse

from wsgcn.graph import affinity_matrix, feature_affinity_matrix, on_grid


def affinities_of(
    learnt: Mapping[str, np.ndarray], size: tuple[int, int], radius: int, beta: float
) -> scipy.sparse.dia_array:
    """The affinity matrix [N, N] over a grid of `size`, from either network's file.

    AffinityNet's features are of every 8th pixel; on the grid of every 4th, neighbours differ half as much, so that
    the same reach and contrast take about twice the radius and the power beta that its paper has.
    """
    if "boundary" in learnt:
        return affinity_matrix(learnt["boundary"], radius, beta)
    return feature_affinity_matrix(on_grid(learnt["features"], size), radius, beta)


def node_features(learnt: Mapping[str, np.ndarray], size: tuple[int, int], which: str) -> np.ndarray:
    """V as rows over the nodes of a grid of `size`, float32 [D, N].

    which: plain, or weighted: each channel times its weight in IRNet's boundary layer (WSGCN's released code).
    AffinityNet's features, which no such layer follows, are always plain, and divided by their root mean square:
    IRNet's are normalised by its groups, these are ten times as large and saturate a GCN at its learning rate.
    """
    features = learnt["features"].astype(np.float32)
    if "boundary" not in learnt:
        features /= max(float(np.sqrt(np.square(features).mean())), 1e-6)
    elif which == "weighted":
        features *= learnt["weight"][:, None, None]
    if features.shape[1:] != tuple(size):
        features = on_grid(features, size)
    return features.reshape(len(features), -1)
