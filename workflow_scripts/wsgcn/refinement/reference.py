"""The method as published and released, with dense matrices, autograd and loops: the reference that tests trust.

Needs 4 N² bytes per matrix in float32 (550 MB for an image of 375×500) and some minutes per image.
"""

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.files import IGNORE
from wsgcn.refinement.gcn import GcnSettings, ImageInput
from wsgcn.refinement.losses import LossSettings
from wsgcn.refinement.network import dropout_mask, initial_parameters, random_generator


def dense_operator(affinity: torch.Tensor, steps: int, normalisation: str) -> torch.Tensor:
    """Â [N, N] from affinities A [N, N] as `operator.propagation_graph` defines it, the walk by matrix powers."""
    degree, walk = affinity.sum(1), affinity
    if steps and normalisation == "symmetric":
        walk = torch.matrix_power(affinity / (degree[:, None] * degree).sqrt(), steps)
    elif steps:
        walk = torch.matrix_power(affinity / degree[:, None], steps)
    if normalisation == "row":
        walk = torch.maximum(walk, walk.T)
    total = walk + torch.eye(len(walk), dtype=walk.dtype)
    sums = total.sum(1)
    return total / (sums[:, None] * sums).sqrt() if normalisation == "symmetric" else total / sums[:, None]


def dense_laplacian(image: np.ndarray, sigma1: float, sigma2: float, window: int) -> np.ndarray:
    """L = D - Φ of an image [h, w, 3] as float64 [N, N], pair by pair (WSGCN, equation 7)."""
    h, w = image.shape[:2]
    colour, reach = image.astype(np.float64), window // 2
    similarity = np.zeros((h * w, h * w))
    for y in range(h):
        for x in range(w):
            for v in range(max(0, y - reach), min(h, y + reach + 1)):
                for u in range(max(0, x - reach), min(w, x + reach + 1)):
                    if (y, x) != (v, u):
                        distance = ((y - v) ** 2 + (x - u) ** 2) / (2 * sigma1**2)
                        contrast = ((colour[y, x] - colour[v, u]) ** 2).sum() / (2 * sigma2**2)
                        similarity[y * w + x, v * w + u] = np.exp(-distance - contrast)
    return np.diag(similarity.sum(1)) - similarity


def dense_losses(
    z: torch.Tensor, target: torch.Tensor, laplacian: torch.Tensor, settings: LossSettings
) -> torch.Tensor:
    """The losses [5] as `loss_names.LOSSES` of probabilities Z [N, K + 1] (WSGCN, equations 4 to 8)."""
    zero = z.new_zeros(())
    foreground, background, unlabelled = (target > 0) & (target != IGNORE), target == 0, target == IGNORE
    loss_fg = F.nll_loss(z.log()[foreground], target[foreground]) if foreground.any() else zero
    loss_bg = F.nll_loss(z.log()[background], target[background]) if background.any() else zero
    if settings.cross_entropy == "joint":  # the parts of one mean
        share = foreground.sum() / max(1, int((foreground | background).sum()))
        loss_fg, loss_bg = share * loss_fg, (1 - share) * loss_bg
    loss_ent = -(z * z.log())[unlabelled].sum(1).mean() if unlabelled.any() else zero
    y, factor = (z.log(), 1) if settings.laplacian == "code" else (z, 2)
    loss_lap = factor * torch.trace(y.T @ (laplacian @ y)) / len(z)
    loss = loss_fg + loss_bg + settings.lambda_ent * loss_ent + settings.lambda_lap * loss_lap
    return torch.stack([loss, loss_fg, loss_bg, loss_ent, loss_lap])


def train_dense(
    operator: torch.Tensor, features: np.ndarray, laplacian: torch.Tensor, image: ImageInput, settings: GcnSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and losses of one image as `gcn.train` computes them, in the dtype of Â [N, N].

    The initial weights and the dropout masks are the same. features: V [D, h, w]; laplacian: L [N, N]; `image.graph`
    and `image.propagated` are not used.
    """
    dtype, rows = operator.dtype, len(image.classes) + 1
    v = torch.from_numpy(features.reshape(len(features), -1).T.copy()).to(dtype)  # [N, D]
    target, hidden = torch.from_numpy(image.target), settings.hidden
    rng = random_generator(image.seed)
    initial = torch.from_numpy(initial_parameters(rng, v.shape[1], hidden, rows, settings.initial_weights)).to(dtype)
    w0, b0, w1, b1 = initial.split([hidden * v.shape[1], hidden, rows * hidden, rows])
    parameters = [w0.view(hidden, -1).T, b0, w1.view(rows, hidden).T, b1]
    w0, b0, w1, b1 = parameters = [p.clone().requires_grad_() for p in parameters]
    optimizer = torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)

    def probabilities(dropout_scale: torch.Tensor | float) -> torch.Tensor:
        h = torch.relu(operator @ (v @ w0) + b0) * dropout_scale
        return torch.softmax(operator @ (h @ w1) + b1, 1)

    history = []
    for _ in range(settings.epochs):
        dropout_scale: torch.Tensor | float = 1.0
        if settings.dropout:
            keep_mask = dropout_mask(rng, hidden, len(v), settings.dropout)
            dropout_scale = torch.from_numpy(keep_mask.T) / (1 - settings.dropout)
        losses = dense_losses(probabilities(dropout_scale), target, laplacian, settings)
        optimizer.zero_grad()
        losses[0].backward()
        optimizer.step()
        history.append(losses.detach())
    with torch.no_grad():
        scores = probabilities(1.0).T.reshape(rows, *image.partial.shape)
    return scores.numpy(), torch.stack(history).numpy() if history else np.empty((0, 5))
