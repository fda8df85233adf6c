"""One graph convolutional network per image: from a partial to a complete pseudo label [WSGCN, section 3.3].

Z = softmax(W1 · ReLU(W0 · V Âᵗ + b0) Âᵗ + b1) after Kipf & Welling (ICLR 2017), trained on the image's partial label.
Everything is held as rows over the nodes, [B, channels, N] for B images, the transpose of the papers' notation: the
fastest layout for the products with Â. Gradients are written out; they are those of autograd (tests/test_gcn.py).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wsgcn.files import IGNORE
from wsgcn.graph.laplacian import window_laplacian
from wsgcn.graph.maximum import Dense
from wsgcn.graph.operator import Graph
from wsgcn.graph.propagation import Propagation, pad_and_stack
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.refinement.losses import Targets, gcn_losses

Parameters = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def image_seed(seed: int, image: str) -> int:
    """A seed of the image's own, so that its label depends on no other image."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{image}".encode()).digest()[:7])


@dataclass(frozen=True)
class ImageInput:
    """What a GCN knows of an image.

    graph: Â; propagated: ÂV, [D, N]; partial: uint8 [h, w] of `classes` (indices from 1), 0 and 255; image: uint8
    RGB on the grid [h, w, 3]; seed: of its initial weights and its dropout.
    """

    graph: Graph
    propagated: np.ndarray
    partial: np.ndarray
    image: np.ndarray
    classes: Sequence[int]
    seed: int

    @property
    def target(self) -> np.ndarray:
        """The partial label as rows of Z, int64 [N]: background 0, then the classes in their order; 255 unlabelled."""
        rows = np.full(256, IGNORE)
        rows[[0, *self.classes]] = np.arange(len(self.classes) + 1)
        return rows[self.partial.ravel()]


def random_generator(seed: int) -> np.random.Generator:
    """What an image's initial weights and then its dropout masks are drawn from, on any device."""
    return np.random.Generator(np.random.PCG64(seed))


def initial_parameters(rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> np.ndarray:
    """W0 [hidden, inputs], b0, W1 [outputs, hidden], b1 as one float32 vector: Glorot's uniform weights, no biases."""
    parts = []
    for rows, columns in ((hidden, inputs), (outputs, hidden)):
        bound = (6 / (rows + columns)) ** 0.5
        parts += [rng.uniform(-bound, bound, rows * columns), np.zeros(rows)]
    return np.concatenate(parts).astype(np.float32)


def unpack(flat: torch.Tensor, inputs: int, hidden: int, outputs: int) -> Parameters:
    """Views of W0 [B, hidden, inputs], b0 [B, hidden, 1], W1 [B, outputs, hidden], b1 [B, outputs, 1] in [B, P]."""
    shapes = ((hidden, inputs), (hidden, 1), (outputs, hidden), (outputs, 1))
    parts = flat.split([rows * columns for rows, columns in shapes], dim=1)
    return tuple(part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True))


def dropout_mask(rng: np.random.Generator, hidden: int, nodes: int, dropout: float) -> np.ndarray:
    """bool [hidden, nodes], True (kept) with probability 1 - dropout to within 2^-17."""
    words = rng.bit_generator.random_raw(-(-hidden * nodes // 4)).view(np.uint16)  # 16 bits a unit
    return words[: hidden * nodes].reshape(hidden, nodes) >= round(dropout * 2**16)


def forward(
    inputs: torch.Tensor, parameters: Parameters, kept: torch.Tensor | float, graph: Propagation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden units [B, hidden, N] and logits [B, K + 1, N] from ÂV [B, D, N].

    kept: by what the hidden units are multiplied: a mask [B, hidden, N] divided by its mean, or 1.
    """
    w0, b0, w1, b1 = parameters
    hidden = torch.baddbmm(b0, w0, inputs).relu_().mul_(kept)
    return hidden, graph.apply(w1 @ hidden).add_(b1)


def backward(
    inputs: torch.Tensor,
    parameters: Parameters,
    kept: torch.Tensor | float,
    graph: Propagation,
    hidden: torch.Tensor,
    gradient: torch.Tensor,
) -> Parameters:
    """Gradients of the four parameters from that of the logits [B, K + 1, N], after `forward` gave `hidden`."""
    w1 = parameters[2]
    propagated = graph.apply_transpose(gradient)
    before = (w1.mT @ propagated).mul_(hidden > 0).mul_(kept)
    return (
        before @ inputs.mT,
        before.sum(2, keepdim=True),
        propagated @ hidden.mT,
        gradient.sum(2, keepdim=True),
    )


def refine(
    images: Sequence[ImageInput], settings: Mapping, device: torch.device
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train a GCN on each image and return what each says of its nodes, as `train` does.

    On a GPU all images that fit each other are trained together, but for those with dense matrices; on a CPU one after
    the other is fastest, and makes a result the same to the bit in any company.
    """
    groups = {}
    for place, image in enumerate(images):
        kinds = tuple(type(term) for term in image.graph.terms)
        alone = device.type == "cpu" or Dense in kinds
        key = place if alone else (len(image.classes), len(image.propagated), kinds)
        groups.setdefault(key, []).append(place)
    results = {}
    for places in groups.values():
        results.update(zip(places, train([images[place] for place in places], settings, device), strict=True))
    return [results[place] for place in range(len(images))]


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) with weight decay added to the gradient, on one tensor in place.

    That of `torch.optim`, whose import takes longer than the training of an image.
    """

    def __init__(self, values: torch.Tensor, lr: float, weight_decay: float):
        self.values, self.lr, self.weight_decay, self.steps = values, lr, weight_decay, 0
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)

    def step(self, gradient: torch.Tensor) -> None:
        """Change the values by a gradient of their shape."""
        self.steps += 1
        gradient = gradient.to(self.values.dtype).add(self.values, alpha=self.weight_decay)
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        root = (self.square / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
        self.values.addcdiv_(self.mean, root, value=-self.lr / (1 - 0.9**self.steps))


def train(images: Sequence[ImageInput], settings: Mapping, device: torch.device) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train a GCN on each of some images, all at once, and return what each says of its nodes.

    The images have one number of features, one of classes, and graphs of one form and dtype, which is the dtype of all
    that is computed. settings: epochs, lr, weight_decay, dropout, hidden, sigma1, sigma2, window, lambda_ent,
    lambda_lap, laplacian, cross_entropy. Returns, for each image, Z [K + 1, h, w], background first, and the losses,
    float32 [epochs, 5] as `LOSSES`. Z knows the image's own classes only, where the released code's knows all: its
    entropy is at most ln(K + 1).
    """
    graph = Propagation([image.graph for image in images], device)
    inputs = pad_and_stack([image.propagated for image in images], device)  # ÂV: [B, D, N]
    dtype = images[0].propagated.dtype
    smoothness = (settings["sigma1"], settings["sigma2"], settings["window"])
    targets = Targets(
        [image.target for image in images],
        [window_laplacian(image.image, *smoothness).astype(dtype) for image in images],
        len(images[0].classes) + 1,
        device,
        joint=settings["cross_entropy"] == "joint",
    )
    sizes = (inputs.shape[1], settings["hidden"], len(images[0].classes) + 1)
    rngs = [random_generator(image.seed) for image in images]
    flat = pad_and_stack([initial_parameters(rng, *sizes) for rng in rngs], device).double()
    optimizer = Adam(flat, settings["lr"], settings["weight_decay"])
    history = torch.empty(settings["epochs"], len(images), len(LOSSES))
    dropout, kept = settings["dropout"], 1.0
    for epoch in range(settings["epochs"]):
        if dropout:
            nodes = [image.partial.size for image in images]
            masks = [dropout_mask(rng, sizes[1], n, dropout) for rng, n in zip(rngs, nodes, strict=True)]
            kept = pad_and_stack(masks, device) / (1 - dropout)
        parameters = unpack(flat.to(inputs.dtype), *sizes)
        hidden, logits = forward(inputs, parameters, kept, graph)
        history[epoch], gradient = gcn_losses(logits, targets, settings)
        gradients = backward(inputs, parameters, kept, graph, hidden, gradient)
        optimizer.step(torch.cat([part.flatten(1) for part in gradients], 1))
    parameters = unpack(flat.to(inputs.dtype), *sizes)
    z = torch.softmax(forward(inputs, parameters, 1.0, graph)[1], 1).cpu().numpy()
    results = []
    for k, image in enumerate(images):
        scores = z[k, :, : image.partial.size].reshape(-1, *image.partial.shape)
        if not np.isfinite(scores).all():
            raise FloatingPointError("the GCN's scores are not finite")
        results.append((scores, history[:, k].numpy()))
    return results
