"""Classifier and class activation maps [IRNet, Ahn et al., CVPR 2019, and its released code]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.cam.contract import CamInput, CamSource
from wsgcn.data.augment import flip_and_crop, rescale
from wsgcn.files import read_image
from wsgcn.graph.grid import grid_size
from wsgcn.networks.backbone import (
    Backbone,
    BackboneSettings,
    build_backbone,
    freeze_batch_norm,
    freeze_stages,
    normalise,
)
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.samples import Sampler
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit
from wsgcn.sections import from_section

OUTPUT_STRIDE = 16
"""Side of a cell of the final feature map [pixels of the scaled image]."""


@dataclass(frozen=True)
class ClassifierSettings:
    """Of the `classifier` section: the training; crop [pixels], long_side: range of the scaled longer side [pixels].

    freeze_stages: number of the backbone's first stages whose weights are left as they are.
    """

    epochs: float
    min_steps: int
    batch: int
    crop: int
    long_side: tuple[float, float]
    lr_backbone: float
    lr_head: float
    weight_decay: float
    freeze_stages: int = 0


@dataclass(frozen=True)
class CamSettings:
    """Of the `cam` section: the scales that maps are summed over, and whether over the mirror image too.

    full_size: `stretched` to the image's size, or `cut` as in IRN's released code (`class_activation_maps`).
    """

    scales: tuple[float, ...]
    flip: bool
    full_size: str = "stretched"


class Classifier(nn.Module):
    """Backbone at output stride 16, 1×1 convolution without bias to C channels, global average pooling."""

    def __init__(self, backbone: Backbone, classes: int):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Conv2d(backbone.num_features, classes, 1, bias=False)

    def train(self, mode: bool = True):
        super().train(mode)
        freeze_batch_norm(self)
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to logits [B, C]."""
        return self.head(self.backbone.forward_features(images)).mean((2, 3))

    def activation(self, images: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
        """ReLU(w_c · f) of some classes (indices from 1), [B, K, H/16, W/16]."""
        weight = self.head.weight[torch.as_tensor(classes, device=images.device) - 1]
        return F.relu(F.conv2d(self.backbone.forward_features(images), weight))


def build_classifier(backbone: BackboneSettings, classes: int) -> Classifier:
    """The classifier of C classes on the configured backbone, channels last: twice as fast on a CPU."""
    built = build_backbone(backbone.name, backbone.weights, output_stride=OUTPUT_STRIDE, dilated=backbone.dilated)
    model = Classifier(built, classes)
    return model.to(memory_format=torch.channels_last)


def classifier_samples(
    images: Sequence[str],
    targets: Sequence[Sequence[int]],
    classes: int,
    settings: ClassifierSettings,
    mean: np.ndarray,
) -> Sampler:
    """A sampler of images (paths), scaled, mirrored and cropped at random, and their classes (indices from 1).

    mean: float [3], 0..255, the colour of the padding. A sample is uint8 [crop, crop, 3] and float32 [C] of 0 and 1.
    """

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(images[index])
        scale = rng.uniform(*settings.long_side) / max(image.shape[:2])
        crop, _ = flip_and_crop(rescale(image, None, scale)[0], None, settings.crop, mean, rng)
        target = np.zeros(classes, np.float32)
        target[np.array(targets[index], int) - 1] = 1  # none of a negative
        return crop, target

    return sample


def train_classifier(
    images: Sequence[str], targets: Sequence[Sequence[int]], params: Mapping, context: FitContext
) -> tuple[Classifier, pd.DataFrame]:
    """Train on images (paths) and their classes (indices from 1) with the multi-label soft-margin loss [I].

    params: classes (their number C), backbone, settings (`ClassifierSettings`). Returns the model and its losses by
    step.
    """
    settings, classes = from_section(ClassifierSettings, params["settings"]), params["classes"]
    torch.manual_seed(context.seed)
    model = build_classifier(from_section(BackboneSettings, params["backbone"]), classes).to(context.device).train()
    freeze_stages(model.backbone, settings.freeze_stages)
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])

    def loss(crops: torch.Tensor, expected: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        return {"loss": F.multilabel_soft_margin_loss(model(batch), expected)}

    history = fit(
        model,
        [
            {"params": [p for p in model.backbone.parameters() if p.requires_grad], "lr": settings.lr_backbone},
            {"params": list(model.head.parameters()), "lr": settings.lr_head},
        ],
        loss,
        len(images),
        classifier_samples(images, targets, classes, settings, mean),
        context,
        batch=settings.batch,
        iterations=num_steps(len(images), settings.epochs, settings.batch, settings.min_steps),
        weight_decay=settings.weight_decay,
    )
    return model, history


@torch.inference_mode()
def class_activation_maps(
    model: Classifier, image: np.ndarray, classes: Sequence[int], settings: CamSettings, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Multi-scale CAMs of an image's own classes [I].

    image: uint8 RGB [H, W, 3]; classes: indices from 1. Summed over scales and the flip, then divided by the maximum
    of each class (+1e-5). Returns float32 in 0..1 on the graph's grid [K, h, w] and at [K, H, W].
    (The `keys` of IRN's files count classes from 0, ours from 1 as labels do.)

    With `full_size: cut`, the latter are interpolated to the next multiples of 16 of H and W, then cut to H×W, as in
    IRN's released code. A map's cells reach beyond the image where its side is no multiple of 16.
    """
    height, width = image.shape[:2]
    full_size = (height, width)
    if settings.full_size == "cut":
        full_size = (-(-height // OUTPUT_STRIDE) * OUTPUT_STRIDE, -(-width // OUTPUT_STRIDE) * OUTPUT_STRIDE)
    sizes = (grid_size(height, width), full_size)
    sums: list[Any] = [0, 0]  # then tensors
    for scale in settings.scales:
        batch = scaled_and_flipped(image, scale, settings.flip, model.backbone, device)
        maps = unflip(model.activation(batch, classes), settings.flip)[None]
        for k, size in enumerate(sizes):
            sums[k] = sums[k] + F.interpolate(maps, size, mode="bilinear", align_corners=False)[0]
    sums[1] = sums[1][:, :height, :width]
    on_grid, full = (maps / (maps.amax((1, 2), keepdim=True) + 1e-5) for maps in sums)
    return on_grid.cpu().numpy(), full.cpu().numpy()


def open_classifier(params: Mapping, model: str, device: torch.device) -> CamSource:
    """The trained classifier at the path `model` as a source of CAMs (`cam.contract`).

    params: classes (their number), backbone, settings (`CamSettings`).
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    network = load_trained(build_classifier(backbone, params["classes"]), model, device)
    settings = from_section(CamSettings, params["settings"])

    def cams(given: CamInput) -> tuple[np.ndarray, np.ndarray]:
        return class_activation_maps(network, given.image, given.keys, settings, device)

    return cams
