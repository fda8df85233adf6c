"""The two-layer graph convolutional network of one or several images, with its gradients written out.

Z = softmax(W1 · ReLU(W0 · V Âᵗ + b0) Âᵗ + b1) after Kipf & Welling (ICLR 2017). Everything is stored as rows over the
nodes, [B, channels, N] for B images, the transpose of the papers' notation: the fastest layout for the products with Â.
The gradients equal those of autograd (tests/refinement/test_network.py).
"""

import numpy as np
import torch

from wsgcn.graph.propagation import Propagation

Parameters = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def random_generator(seed: int) -> np.random.Generator:
    """What an image's initial weights and then its dropout masks are drawn from, on any device."""
    return np.random.Generator(np.random.PCG64(seed))


def initial_parameters(
    rng: np.random.Generator, inputs: int, hidden: int, outputs: int, kind: str = "glorot"
) -> np.ndarray:
    """W0 [hidden, inputs], b0, W1 [outputs, hidden], b1 as one float32 vector.

    kind: `glorot`, his uniform weights and zero biases, or `uniform`, weights and biases uniform within
    1/sqrt(outputs of the layer), as in the released codes of Kipf & Welling and of WSGCN.
    """
    parts = []
    for rows, columns in ((hidden, inputs), (outputs, hidden)):
        if kind == "uniform":
            parts.append(rng.uniform(-(rows**-0.5), rows**-0.5, rows * columns + rows))
        else:
            bound = (6 / (rows + columns)) ** 0.5
            parts += [rng.uniform(-bound, bound, rows * columns), np.zeros(rows)]
    return np.concatenate(parts).astype(np.float32)


def unpack(flat: torch.Tensor, inputs: int, hidden: int, outputs: int) -> Parameters:
    """Views of W0 [B, hidden, inputs], b0 [B, hidden, 1], W1 [B, outputs, hidden], b1 [B, outputs, 1] in [B, P]."""
    shapes = ((hidden, inputs), (hidden, 1), (outputs, hidden), (outputs, 1))
    parts = flat.split([rows * columns for rows, columns in shapes], dim=1)
    return tuple(part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True))


def dropout_mask(rng: np.random.Generator, hidden: int, nodes: int, dropout: float) -> np.ndarray:
    """bool [hidden, nodes], True (keep) with probability 1 - dropout to within 2^-17."""
    words = rng.bit_generator.random_raw(-(-hidden * nodes // 4)).view(np.uint16)  # 16 bits per unit
    return words[: hidden * nodes].reshape(hidden, nodes) >= round(dropout * 2**16)


def forward(
    inputs: torch.Tensor, parameters: Parameters, dropout_scale: torch.Tensor | float, propagation: Propagation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden units [B, hidden, N] and logits [B, K + 1, N] from ÂV [B, D, N].

    dropout_scale: factor of the hidden units: a mask [B, hidden, N] divided by 1 - dropout, or 1.
    """
    w0, b0, w1, b1 = parameters
    hidden = torch.baddbmm(b0, w0, inputs).relu_().mul_(dropout_scale)
    return hidden, propagation.apply(w1 @ hidden).add_(b1)


def backward(
    inputs: torch.Tensor,
    parameters: Parameters,
    dropout_scale: torch.Tensor | float,
    propagation: Propagation,
    hidden: torch.Tensor,
    gradient: torch.Tensor,
) -> Parameters:
    """Gradients of the four parameters from that of the logits [B, K + 1, N]; hidden: what `forward` returned."""
    w1 = parameters[2]
    propagated = propagation.apply_transpose(gradient)
    hidden_gradient = (w1.mT @ propagated).mul_(hidden > 0).mul_(dropout_scale)
    return (
        hidden_gradient @ inputs.mT,
        hidden_gradient.sum(2, keepdim=True),
        propagated @ hidden.mT,
        gradient.sum(2, keepdim=True),
    )
