"""The losses of the graph convolutional network and their gradient [WSGCN, equations 4 to 8]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from wsgcn.files import IGNORE
from wsgcn.graph.products import pad_and_stack, term_product
from wsgcn.graph.walk import matrix_term


@dataclass(frozen=True)
class LossSettings:
    """The part of the config's `refine` section that defines the loss.

    cross_entropy: `separate` means over foreground and over background nodes, or one `joint` mean; lambda_ent,
    lambda_lap: weights of the entropy and of the Laplacian loss; laplacian: reading of the latter, `paper` or `code`
    (`gcn_losses`); sigma1 [nodes], sigma2 [grey levels], window [nodes]: of `window_laplacian`.
    """

    cross_entropy: str
    lambda_ent: float
    lambda_lap: float
    laplacian: str
    sigma1: float
    sigma2: float
    window: int


class Targets:
    """What the losses of B images compare with, padded to the N nodes of the largest.

    labels: int64 [n] each, rows of Z, 255 unlabelled; laplacians: [n, n] each (`window_laplacian`); joint: one mean
    cross-entropy over all labelled nodes, of which `loss_fg` and `loss_bg` are the parts, instead of a mean over each
    of the two groups.
    """

    def __init__(
        self,
        labels: Sequence[np.ndarray],
        laplacians: Sequence[scipy.sparse.sparray],
        rows: int,
        device: torch.device,
        joint: bool = False,
    ):
        dtype = laplacians[0].dtype
        groups = [np.stack([(t > 0) & (t != IGNORE), t == 0, t == IGNORE]) for t in labels]
        sizes = [g.sum(1, keepdims=True) for g in groups]
        if joint:  # foreground and background are one group
            sizes = [np.stack([s[0] + s[1], s[0] + s[1], s[2]]) for s in sizes]
        weights = [g / np.maximum(1, s) for g, s in zip(groups, sizes, strict=True)]  # of each node in its group's mean
        # [B, 3, N]: foreground, background, unlabelled
        self.node_weights = pad_and_stack([w.astype(dtype) for w in weights], device)
        truths = [(t == np.arange(rows)[:, None]).astype(dtype) for t in labels]
        self.truth = pad_and_stack(truths, device)  # [B, K + 1, N], one-hot
        self.laplacian = term_product([matrix_term(laplacian) for laplacian in laplacians], device)
        self.nodes = torch.tensor([len(t) for t in labels], dtype=self.truth.dtype, device=device)[:, None, None]


def gcn_losses(logits: torch.Tensor, targets: Targets, settings: LossSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses of B images as `loss_names.LOSSES`, [B, 5], and the gradient of the first with respect to the logits.

    logits: [B, K + 1, N], background first. `loss_fg`, `loss_bg`: mean cross-entropies over the foreground and over the
    background nodes; `loss_ent`: mean entropy [nats] over the unlabelled ones; `loss_lap`: ΣiΣj Φij |zi - zj|² / N, or
    with `laplacian: code`, as released, tr(Zᵗ L Z) / N on log Z. They are means and not sums, so that the weights do
    not depend on the image's size. A loss without nodes is zero. `loss` is their sum, weighted by lambda_ent and
    lambda_lap.
    """
    log_z = torch.log_softmax(logits, 1)
    z = log_z.exp()
    foreground, background, unlabelled = targets.node_weights.unbind(1)
    cross_entropy = -(targets.truth * log_z).sum(1)
    z_log_z = z * log_z
    entropy = -z_log_z.sum(1)
    smoothed, factor = (log_z, 1) if settings.laplacian == "code" else (z, 2)
    slope = targets.laplacian(smoothed) * (factor / targets.nodes)
    terms = torch.stack(
        [
            (foreground * cross_entropy).sum(1),
            (background * cross_entropy).sum(1),
            (unlabelled * entropy).sum(1),
            (smoothed * slope).sum((1, 2)),
        ],
        1,
    )
    weights = terms.new_tensor([1, 1, settings.lambda_ent, settings.lambda_lap])
    losses = torch.cat([terms @ weights[:, None], terms], 1)

    gradient = (z - targets.truth) * (foreground + background)[:, None]
    gradient -= settings.lambda_ent * unlabelled[:, None] * (z_log_z + z * entropy[:, None])
    slope = 2 * settings.lambda_lap * slope
    if settings.laplacian == "code":
        gradient += slope - z * slope.sum(1, keepdim=True)
    else:
        gradient += z * (slope - (z * slope).sum(1, keepdim=True))
    return losses, gradient
