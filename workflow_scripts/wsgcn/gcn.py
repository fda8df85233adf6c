"""One graph convolutional network per image: from a partial to a complete pseudo label [WSGCN, section 3.3].

Z = softmax(Â · ReLU(Â V W0) · W1) after Kipf & Welling (ICLR 2017), trained on the image's own partial label.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F

from wsgcn.files import IGNORE
from wsgcn.graph import Graph, SparseGraph, propagate
from wsgcn.paths import displacements, pair_slices

LOSSES = ("loss", "loss_fg", "loss_bg", "loss_ent", "loss_lap")


def image_seed(seed: int, image: str) -> int:
    """A seed of the image's own, so that its label depends on no other image."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{image}".encode()).digest()[:7])


def window_laplacian(image: np.ndarray, sigma1: float, sigma2: float, window: int) -> scipy.sparse.csr_array:
    """L = D - Φ of the pixel similarities Φ in a window, so that ΣiΣj Φij |zi - zj|² = 2 tr(Zᵗ L Z).

    Φij = exp(-|fi - fj|² / (2 sigma1²) - |Ii - Ij|² / (2 sigma2²)): f the grid position, I the colour. image: RGB in
    0..255 on the grid [h, w, 3]; window: odd side of the square. Returns float32 CSR [N, N] (WSGCN, equation 7).
    """
    h, w = image.shape[:2]
    colour, nodes, reach = image.astype(np.float64), np.arange(h * w).reshape(h, w), window // 2
    heads, tails, values = [], [], []
    for dy, dx in displacements(2 * reach + 1):
        if abs(dy) > reach or abs(dx) > reach or h <= abs(dy) or w <= abs(dx):
            continue
        rows, columns = pair_slices(h, w, dy, dx)
        there = (slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx))
        contrast = ((colour[rows, columns] - colour[there]) ** 2).sum(2)
        values.append(np.exp(-(dy * dy + dx * dx) / (2 * sigma1**2) - contrast / (2 * sigma2**2)).ravel())
        heads.append(nodes[rows, columns].ravel())
        tails.append(nodes[there].ravel())
    if not values:
        return scipy.sparse.csr_array((h * w, h * w), dtype=np.float32)
    pairs = (np.concatenate(heads), np.concatenate(tails))
    half = scipy.sparse.coo_array((np.concatenate(values), pairs), shape=(h * w, h * w)).tocsr()
    similarity = half + half.T
    return (scipy.sparse.diags_array(similarity.sum(axis=1)) - similarity).tocsr().astype(np.float32)


def gcn_losses(
    logits: torch.Tensor, target: torch.Tensor, laplacian: Graph, settings: Mapping
) -> dict[str, torch.Tensor]:
    """The four losses of an image and their weighted sum (WSGCN, equations 4 to 8).

    logits: [N, K + 1], background first; target: int64 [N] of column indices, 255 unlabelled. `loss_fg`, `loss_bg`:
    mean cross-entropies over the foreground and over the background nodes; `loss_ent`: mean entropy [nats] over the
    unlabelled ones; `loss_lap`: ΣiΣj Φij |zi - zj|² / N. The released code's reading (settings["laplacian"] `code`) is
    tr(Zᵗ L Z) / N on log Z instead. Means and not sums, so that the weights do not depend on the image's size. A loss
    without nodes is zero.
    """
    log_z = F.log_softmax(logits, 1)
    z = log_z.exp()

    def mean_over(nodes: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return (values * nodes).sum() / nodes.sum().clamp(min=1)

    unlabelled = target == IGNORE
    cross_entropy = -log_z.gather(1, target.where(~unlabelled, 0)[:, None])[:, 0]
    smoothed, factor = (log_z, 1) if settings["laplacian"] == "code" else (z, 2)
    losses = {
        "loss_fg": mean_over((target > 0) & ~unlabelled, cross_entropy),
        "loss_bg": mean_over(target == 0, cross_entropy),
        "loss_ent": mean_over(unlabelled, -(z * log_z).sum(1)),
        "loss_lap": factor * (smoothed * propagate(laplacian, smoothed)).sum() / len(z),
    }
    weights = {"loss_ent": settings["lambda_ent"], "loss_lap": settings["lambda_lap"]}
    return {"loss": sum(weights.get(name, 1) * value for name, value in losses.items())} | losses


def refine(
    graph: Graph,
    features: np.ndarray,
    partial: np.ndarray,
    image: np.ndarray,
    classes: Sequence[int],
    settings: Mapping,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Train a GCN on one image and return what it says of each node.

    features: V, float [N, D]; partial: uint8 [h, w] of `classes` (indices from 1), 0 and 255; image: uint8 RGB on the
    grid [h, w, 3]. settings: epochs, lr, weight_decay, dropout, hidden, sigma1, sigma2, window, lambda_ent, lambda_lap,
    laplacian. Returns Z, float32 [K + 1, h, w], background first, and the losses, float32 [epochs, 5] as `LOSSES`. Z
    knows the image's own classes only, where the released code's knows all: its entropy is at most ln(K + 1).
    """
    generator = torch.Generator(device).manual_seed(seed)
    columns = np.full(256, IGNORE)
    columns[[0, *classes]] = np.arange(len(classes) + 1)
    target = torch.from_numpy(columns[partial.ravel()]).to(device)
    laplacian = SparseGraph(window_laplacian(image, settings["sigma1"], settings["sigma2"], settings["window"]), device)
    inputs = graph.apply(torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(device))  # ÂV: [N, D]

    def glorot(rows: int, columns: int) -> torch.Tensor:
        bound = (6 / (rows + columns)) ** 0.5
        uniform = torch.rand(rows, columns, generator=generator, device=device)
        return ((2 * uniform - 1) * bound).requires_grad_()

    w0, w1 = glorot(inputs.shape[1], settings["hidden"]), glorot(settings["hidden"], len(classes) + 1)
    b0, b1 = (torch.zeros(w.shape[1], device=device, requires_grad=True) for w in (w0, w1))

    def logits(dropout: float) -> torch.Tensor:
        hidden = torch.relu(inputs @ w0 + b0)  # [N, hidden]
        if dropout:
            kept = torch.rand(hidden.shape, generator=generator, device=device) >= dropout
            hidden = hidden * kept / (1 - dropout)
        return propagate(graph, hidden @ w1) + b1  # [N, K + 1]

    optimizer = torch.optim.Adam([w0, b0, w1, b1], lr=settings["lr"], weight_decay=settings["weight_decay"])
    history = torch.empty(settings["epochs"], len(LOSSES))
    for epoch in range(settings["epochs"]):
        losses = gcn_losses(logits(settings["dropout"]), target, laplacian, settings)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history[epoch] = torch.stack([losses[name].detach() for name in LOSSES])
    with torch.no_grad():
        z = torch.softmax(logits(0), 1).T.reshape(len(classes) + 1, *partial.shape)
    if not torch.isfinite(z).all():
        raise FloatingPointError("the GCN's scores are not finite")
    return z.cpu().numpy(), history.numpy()
