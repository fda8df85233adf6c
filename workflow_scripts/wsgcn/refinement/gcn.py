"""One graph convolutional network per image: from a partial to a complete pseudo label [WSGCN, section 3.3]."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wsgcn.files import IGNORE
from wsgcn.graph.laplacian import window_laplacian
from wsgcn.graph.products import pad_and_stack
from wsgcn.graph.propagation import Graph, Propagation
from wsgcn.refinement.adam import Adam
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.refinement.losses import LossSettings, Targets, gcn_losses
from wsgcn.refinement.network import backward, dropout_mask, forward, initial_parameters, random_generator, unpack


@dataclass(frozen=True)
class GcnSettings(LossSettings):
    """The `refine` section of the config.

    epochs, lr, weight_decay: of Adam; dropout: share of the hidden units that is dropped; hidden: number of these per
    node; initial_weights: as in `network.initial_parameters`; outputs: `own`, an image's network has those of its
    classes and background, or `all`, those of all the data set's classes.
    """

    epochs: int
    lr: float
    weight_decay: float
    dropout: float
    hidden: int
    initial_weights: str = "glorot"
    outputs: str = "own"


def image_seed(seed: int, image: str) -> int:
    """The image's own seed, in 0..2^56-1, so that its label depends on no other image."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{image}".encode()).digest()[:7])


@dataclass(frozen=True)
class ImageInput:
    """What the GCN of an image is trained on.

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


def refine(
    images: Sequence[ImageInput], settings: GcnSettings, device: torch.device
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train a GCN on each image and return its scores and losses, as `train` does.

    On a GPU, images of one shape of network are trained together. On a CPU one after the other is fastest, and makes
    each result independent of the other images to the bit.
    """
    groups: dict[object, list[int]] = {}
    for index, image in enumerate(images):
        types = tuple(type(term) for term in image.graph.terms)
        key = index if device.type == "cpu" else (len(image.classes), len(image.propagated), types)
        groups.setdefault(key, []).append(index)
    results: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for indices in groups.values():
        results.update(zip(indices, train([images[k] for k in indices], settings, device), strict=True))
    return [results[index] for index in range(len(images))]


def train(
    images: Sequence[ImageInput], settings: GcnSettings, device: torch.device
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train a GCN on each image, all at once, and return its scores and losses.

    The images must agree in the number of features, in that of classes, and in the types of their graphs' terms and
    their dtype, in which everything is computed. Returns, per image, Z [K + 1, h, w], background first, and the losses,
    float32 [epochs, 5] as `LOSSES`. Z covers `ImageInput.classes`: its entropy is at most ln(K + 1). Raises
    FloatingPointError where Z is not finite.
    """
    propagation = Propagation([image.graph for image in images], device)
    inputs = pad_and_stack([image.propagated for image in images], device)  # ÂV: [B, D, N]
    dtype = images[0].propagated.dtype
    targets = Targets(
        [image.target for image in images],
        [
            window_laplacian(image.image, settings.sigma1, settings.sigma2, settings.window).astype(dtype)
            for image in images
        ],
        len(images[0].classes) + 1,
        device,
        joint=settings.cross_entropy == "joint",
    )
    sizes = (inputs.shape[1], settings.hidden, len(images[0].classes) + 1)
    rngs = [random_generator(image.seed) for image in images]
    flat = pad_and_stack([initial_parameters(rng, *sizes, settings.initial_weights) for rng in rngs], device).double()
    optimizer = Adam(flat, settings.lr, settings.weight_decay)
    history = torch.empty(settings.epochs, len(images), len(LOSSES))
    dropout = settings.dropout
    dropout_scale: torch.Tensor | float = 1.0
    for epoch in range(settings.epochs):
        if dropout:
            nodes = [image.partial.size for image in images]
            masks = [dropout_mask(rng, sizes[1], n, dropout) for rng, n in zip(rngs, nodes, strict=True)]
            dropout_scale = pad_and_stack(masks, device) / (1 - dropout)
        parameters = unpack(flat.to(inputs.dtype), *sizes)
        hidden, logits = forward(inputs, parameters, dropout_scale, propagation)
        history[epoch], gradient = gcn_losses(logits, targets, settings)
        gradients = backward(inputs, parameters, dropout_scale, propagation, hidden, gradient)
        optimizer.step(torch.cat([part.flatten(1) for part in gradients], 1))
    parameters = unpack(flat.to(inputs.dtype), *sizes)
    z = torch.softmax(forward(inputs, parameters, 1.0, propagation)[1], 1).cpu().numpy()
    results = []
    for k, image in enumerate(images):
        scores = z[k, :, : image.partial.size].reshape(-1, *image.partial.shape)
        if not np.isfinite(scores).all():
            raise FloatingPointError("the GCN's scores are not finite")
        results.append((scores, history[:, k].numpy()))
    return results
