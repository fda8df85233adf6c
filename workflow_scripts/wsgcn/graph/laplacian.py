"""The Laplacian of pixel similarities in a window, for WSGCN's Laplacian loss [WSGCN, equations 6 and 7]."""

import numpy as np
import scipy.sparse

from wsgcn.graph.grid import neighbour_offsets, pair_slices
from wsgcn.graph.stencil import stencil_matrix


def window_laplacian(image: np.ndarray, sigma1: float, sigma2: float, window: int) -> scipy.sparse.dia_array:
    """L = D - Φ of the pixel similarities Φ in a window: ΣiΣj Φij |zi - zj|² = 2 tr(Zᵗ L Z).

    Φij = exp(-|fi - fj|² / (2 sigma1²) - |Ii - Ij|² / (2 sigma2²)): f the grid position, I the colour. image: RGB in
    0..255 on the grid [h, w, 3]; window: odd side of the square. Returns float32 [N, N] (WSGCN, equation 7).
    """
    h, w = image.shape[:2]
    colour, reach = image.astype(np.float32), window // 2

    def similarity(dy: int, dx: int) -> np.ndarray:
        a, b = pair_slices(h, w, dy, dx)
        contrast = ((colour[a] - colour[b]) ** 2).sum(2)
        return np.exp(-(dy * dy + dx * dx) / (2 * sigma1**2) - contrast / (2 * sigma2**2))

    offsets = [(dy, dx) for dy, dx in neighbour_offsets(2 * reach + 1) if max(abs(dy), abs(dx)) <= reach]
    similarities = stencil_matrix(h, w, offsets, similarity, diagonal=0)
    laplacian = -similarities
    laplacian.setdiag(similarities.sum(axis=1))
    return laplacian
