"""CAMs of a second round: a classifier of locations that learns from the labels of the first [self-training].

The labels of the first round follow the edges of their pictures, which no tag knows, and have errors that differ from
picture to picture. What the locations of all pictures have in common remains when one classifier must explain them all.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.cam.contract import CamInput, CamSource
from wsgcn.cam.instances import moments
from wsgcn.cam.mil import STAGES, ViewSettings, location_features, positive_maps
from wsgcn.files import IGNORE, read_arrays, read_label
from wsgcn.graph.grid import grid_size
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.training import NUM_ROWS, FitContext
from wsgcn.sections import from_section

MAX_FEATURE_BYTES = 2**30
"""Of more features of locations than these, as many are drawn."""

BATCH_LOCATIONS = 8192
DROPOUT = 0.5
WEIGHT_DECAY = 0.01

MIN_SHARE = 1e-5
"""A class counts as if it had at least this share of the locations."""


@dataclass(frozen=True)
class SelfTrainingSettings:
    """Of the `self_training` section: hidden units per location; steps and learning rate of Adam."""

    hidden: int
    steps: int
    lr: float


class SegmentingNet(nn.Module):
    """Features of a frozen backbone's stages at each location, standardised, and two layers that classify them."""

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, backbone: Backbone, outputs: int, stride: int, hidden: int):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.stride = stride
        width = sum(backbone.feature_info[stage]["num_chs"] for stage in STAGES)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, outputs)
        )

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [L, C + 1], background first, of features [L, D]."""
        return self.layers((features - self.mean) / self.spread)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to logits at each location, [B, C + 1, H/stride, W/stride]."""
        maps = location_features(self.backbone, images, self.stride)
        return self.classify(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def build_segmenting_net(backbone: BackboneSettings, classes: int, stride: int, hidden: int) -> SegmentingNet:
    """The network of C classes and background over the configured backbone, which keeps its initial weights."""
    frozen = build_backbone(backbone.name, backbone.weights, output_stride=16, dilated=backbone.dilated)
    return SegmentingNet(frozen, classes + 1, stride, hidden).to(memory_format=torch.channels_last)


def class_shares(label: np.ndarray, outputs: int, size: tuple[int, int]) -> np.ndarray:
    """The share of each class in the pixels of each of h × w cells, float32 [h·w, C + 1], background first.

    label: uint8 [H, W], 255 ignored, so that shares may add up to less than 1; cells as of adaptive pooling.
    """
    shares = np.zeros((outputs, size[0] * size[1]), np.float32)
    for value in np.unique(label[label != IGNORE]):
        inside = torch.from_numpy((label == value).astype(np.float32))[None]
        shares[value] = F.adaptive_avg_pool2d(inside, size).ravel().numpy()
    return shares.T


def class_weights(shares: np.ndarray) -> np.ndarray:
    """How much a class counts, float32 [C + 1], from the class shares [L, C + 1]: the root of how much rarer it is than
    background."""
    means = np.maximum(shares.mean(0), MIN_SHARE)
    return np.sqrt(means[0] / means)


def weighted_cross_entropy(logits: torch.Tensor, shares: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """-Σ_c weights_c shares_c log p_c, the mean over the locations [L, C + 1]."""
    return -(weights * shares * logits.log_softmax(1)).sum(1).mean()


def train_on_labels(
    files: Sequence[str], targets: Sequence[str], params: Mapping, context: FitContext
) -> tuple[SegmentingNet, pd.DataFrame]:
    """The network whose layers learn the labels (paths) from the files of features of their images.

    params: classes (their number C), backbone, settings (`SelfTrainingSettings`), views (`ViewSettings`). Returns the
    model and its losses by step, as `networks.training.fit` does. The same files, labels and seed give the same
    weights. Reports classes that no label shows.
    """
    started = time.monotonic()
    settings = from_section(SelfTrainingSettings, params["settings"])
    stride, backbone = from_section(ViewSettings, params["views"]).stride, params["backbone"]
    features, shares = read_locations(files, targets, params["classes"] + 1, context.seed)
    for index in 1 + np.flatnonzero(shares[:, 1:].sum(0) == 0):
        context.report(f"no label of the first round shows class {index} of dataset.classes, so it cannot be learnt")
    torch.manual_seed(context.seed)
    network = build_segmenting_net(from_section(BackboneSettings, backbone), params["classes"], stride, settings.hidden)
    mean, spread = moments(np.array_split(features, 1 + len(features) // BATCH_LOCATIONS))
    network.mean.copy_(torch.from_numpy(mean))
    network.spread.copy_(torch.from_numpy(spread))
    rows = _fit_layers(network, features, shares, settings, context)
    history = pd.DataFrame(rows).set_index("step")
    history.attrs["seconds"] = time.monotonic() - started
    return network, history


def read_locations(
    files: Sequence[str], targets: Sequence[str], outputs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features, float16 [L, D], and class shares, float32 [L, C + 1], of the locations that have a label.

    Of more than `MAX_FEATURE_BYTES`, each image's share of as many is drawn with the seed. Raises ValueError where a
    file does not say how its locations lie.
    """
    rng, found = np.random.default_rng(seed), []
    for path, label in zip(files, targets, strict=True):
        arrays = read_arrays(path)
        if "grid" not in arrays:
            raise ValueError(f"{path} was written by an older version: remove its folder, and it is computed again")
        most = max(1, MAX_FEATURE_BYTES // arrays["locations"][0].nbytes // len(files))
        shares = class_shares(read_label(label), outputs, tuple(arrays["grid"]))
        kept = np.flatnonzero(shares.sum(1) > 0)
        if len(kept) > most:
            kept = np.sort(rng.choice(kept, most, replace=False))
        found.append((arrays["locations"][kept], shares[kept]))
    return np.concatenate([own for own, _ in found]), np.concatenate([own for _, own in found])


def _fit_layers(
    network: SegmentingNet,
    features: np.ndarray,
    shares: np.ndarray,
    settings: SelfTrainingSettings,
    context: FitContext,
) -> list[dict[str, float]]:
    """Train the two layers in place; rows of the mean loss by step.

    Rare classes count more, so that they are learnt at all. In the end the biases take their weights back, so that
    probabilities are those of the labels.
    Raises FloatingPointError where the loss is not finite.
    """
    network.to(context.device).layers.train()
    rng = np.random.default_rng(context.seed)
    weights = torch.from_numpy(class_weights(shares)).to(context.device)
    adam = torch.optim.AdamW(network.layers.parameters(), settings.lr, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps)
    rows, recent = [], list[float]()
    for step in range(1, settings.steps + 1):
        drawn = rng.integers(len(features), size=BATCH_LOCATIONS)
        x, target = (torch.from_numpy(own[drawn]).to(context.device) for own in (features, shares))
        loss = weighted_cross_entropy(network.classify(x.float()), target, weights)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        recent.append(loss.item())
        if not np.isfinite(recent[-1]):
            raise FloatingPointError(f"the loss is {recent[-1]} at step {step}; a lower self_training.lr may help")
        if step * NUM_ROWS // settings.steps > (step - 1) * NUM_ROWS // settings.steps:
            rows.append({"step": step, "loss": float(np.mean(recent))})
            context.report(f"step {step}/{settings.steps}, loss {rows[-1]['loss']:.4f}")
            recent = []
    network.layers.eval()
    cast(
        nn.Linear, network.layers[-1]
    ).bias.data -= weights.log()  # the weights have multiplied the odds of their classes
    return rows


def open_self_trained_cams(params: Mapping, model: str, device: torch.device) -> CamSource:
    """The trained network at the path `model` as a source of CAMs (`cam.contract`): its probabilities.

    params: classes (their number), backbone, views (`ViewSettings`), settings (`hidden` of the section), flip (whether
    the logits of the mirror image count as well). Only the image's classes and the background have a probability.
    Maps are divided by their maximum (+1e-5) per class.
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    views, hidden = from_section(ViewSettings, params["views"]), params["hidden"]
    network = load_trained(build_segmenting_net(backbone, params["classes"], views.stride, hidden), model, device)

    @torch.inference_mode()
    def cams(given: CamInput) -> tuple[np.ndarray, np.ndarray]:
        size = given.image.shape[:2]
        batch = scaled_and_flipped(given.image, views.scale, params["flip"], network.backbone, device)
        logits = unflip(network(batch), params["flip"])[[0, *given.keys]]
        maps = logits.softmax(0)[1:]
        on_grid, full = (positive_maps(maps, target) for target in (grid_size(*size), size))
        return on_grid.cpu().numpy(), full.cpu().numpy()

    return cams
