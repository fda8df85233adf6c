"""DeepLabV2 (Chen et al., PAMI 2018): training on pseudo labels, multi-scale prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.files import IGNORE
from wsgcn.networks.backbone import (
    Backbone,
    BackboneSettings,
    build_backbone,
    freeze_batch_norm,
    freeze_norm_weights,
    normalise,
)
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.samples import corrections_of, labelled_crops
from wsgcn.networks.training import FitContext, fit
from wsgcn.sections import from_section
from wsgcn.segmentation.prediction import Segmenter

ATROUS_RATES = (6, 12, 18, 24)


@dataclass(frozen=True)
class DeepLabSettings:
    """The `segmentation.training` section: crop [pixels], scale: range of the random scaling, scales: further ones.

    freeze_norm: whether the batch norms' scales and shifts are left as they are; bias_lr_factor, bias_decay: learning
    rate of the head's biases relative to its weights', and whether they decay; loss_size: as in `multi_scale_loss`.
    """

    backbone: BackboneSettings
    iterations: int
    batch: int
    crop: int
    scale: tuple[float, float]
    scales: tuple[float, ...]
    lr: float
    lr_head_factor: float
    momentum: float
    weight_decay: float
    freeze_norm: bool = False
    bias_lr_factor: float = 1
    bias_decay: bool = True
    loss_size: str = "label"


class DeepLabV2(nn.Module):
    """Backbone at output stride 8 and four parallel atrous 3×3 convolutions, summed: the paper's LargeFOV ASPP."""

    def __init__(self, backbone: Backbone, labels: int):
        super().__init__()
        self.backbone = backbone
        branches = [nn.Conv2d(backbone.num_features, labels, 3, padding=rate, dilation=rate) for rate in ATROUS_RATES]
        self.head = nn.ModuleList(branches)
        for branch in branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(cast(torch.Tensor, branch.bias))

    def train(self, mode: bool = True):
        super().train(mode)
        freeze_batch_norm(self)
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to logits [B, labels, H/8, W/8]."""
        features = self.backbone.forward_features(images)
        return sum(branch(features) for branch in self.head)


def build_deeplab(backbone: BackboneSettings, labels: int) -> DeepLabV2:
    """The network on the configured backbone for C + 1 labels, channels last."""
    model = DeepLabV2(build_backbone(backbone.name, backbone.weights, output_stride=8), labels)
    return model.to(memory_format=torch.channels_last)


def multi_scale_loss(
    model: nn.Module,
    images: torch.Tensor,
    label: torch.Tensor,
    scales: Sequence[float],
    weight: torch.Tensor | None = None,
    loss_size: str = "label",
) -> torch.Tensor:
    """Cross-entropy of the logits, of those at each further scale, and of the maximum over all [D, section 4.1].

    images: normalised [B, 3, H, W]; label: int64 [B, H, W], 255 ignored; scales: further ones, [] for a single scale.
    weight: float [B, H, W], how much a pixel counts in the mean over the labelled ones. A batch without any labelled
    pixel costs nothing. loss_size: with `label`, logits are enlarged to the label's size. With `logits`, as in
    DeepLab's Caffe code and its port to PyTorch, each scale's are compared on their own grid with the label's nearest
    pixels, and the maximum is taken on the grid of the first.
    """
    size = label.shape[1:]
    inputs = [images, *(F.interpolate(images, scale_factor=s, mode="bilinear", align_corners=False) for s in scales)]
    logits = [model(batch) for batch in inputs]
    enlarged = [_resized(x, size if loss_size == "label" else logits[0].shape[2:]) for x in logits]
    compared = enlarged if loss_size == "label" else logits
    if scales:
        compared = [*compared, torch.stack(enlarged).amax(0)]
    total = sum(_mean_cross_entropy(x, label, weight) for x in compared)
    return cast(torch.Tensor, total)


def _resized(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def _mean_cross_entropy(logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Over the labelled pixels of the logits' grid, of which each has the label in the middle of its cell."""
    rows, columns = (
        (2 * torch.arange(cells, device=label.device) + 1) * side // (2 * cells)
        for cells, side in zip(logits.shape[2:], label.shape[1:], strict=True)
    )
    label = label[:, rows][:, :, columns]
    loss = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    counted = (label != IGNORE).to(loss.dtype)
    if weight is not None:
        weight = weight[:, rows][:, :, columns]
        loss, counted = loss * weight, counted * weight
    labelled = counted.sum()
    return loss.sum() / labelled.where(labelled > 0, 1)  # cross_entropy's own sum has no fixed order on a GPU


def parameter_groups(model: DeepLabV2, settings: DeepLabSettings) -> list[dict]:
    """SGD's groups: the backbone, the head's weights, the head's biases, each with its `lr` and `weight_decay`."""
    if settings.freeze_norm:
        freeze_norm_weights(model)
    lr, decay = settings.lr * settings.lr_head_factor, settings.weight_decay
    biases = {"lr": lr * settings.bias_lr_factor, "weight_decay": decay if settings.bias_decay else 0.0}
    branches = [cast(nn.Conv2d, branch) for branch in model.head]
    return [
        {
            "params": [p for p in model.backbone.parameters() if p.requires_grad],
            "lr": settings.lr,
            "weight_decay": decay,
        },
        {"params": [branch.weight for branch in branches], "lr": lr, "weight_decay": decay},
        {"params": [cast(nn.Parameter, branch.bias) for branch in branches], **biases},
    ]


def train_deeplab(
    images: Sequence[str], targets: Sequence[str], params: Mapping, context: FitContext
) -> tuple[DeepLabV2, pd.DataFrame]:
    """Train on images and their pseudo labels (paths).

    params: classes (their number C), settings (`DeepLabSettings`), what `corrections_of` reads. Returns the
    model and its losses by step.
    """
    settings = from_section(DeepLabSettings, params["settings"])
    torch.manual_seed(context.seed)
    model = build_deeplab(settings.backbone, params["classes"] + 1).to(context.device).train()
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])

    def loss(crops: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        return {"loss": multi_scale_loss(model, batch, label.long(), settings.scales, weight, settings.loss_size)}

    history = fit(
        model,
        parameter_groups(model, settings),
        loss,
        len(images),
        labelled_crops(images, targets, settings.crop, settings.scale, mean, corrections=corrections_of(params)),
        context,
        batch=settings.batch,
        iterations=settings.iterations,
        momentum=settings.momentum,
    )
    return model, history


@torch.inference_mode()
def predict(
    model: DeepLabV2,
    image: np.ndarray,
    scales: Sequence[float],
    flip: bool,
    device: torch.device,
    combine: str = "mean",
) -> np.ndarray:
    """Class probabilities float32 [C + 1, H, W], averaged over the flip. image: uint8 RGB [H, W, 3].

    combine: `mean` of the probabilities over the scales, or `max_logits`, as in DeepLab's Caffe code and its port to
    PyTorch: the maximum of the logits over the scales, on the grid of the first, of inputs that are scaled linearly
    after their normalisation. Raises FloatingPointError where the probabilities are not finite.
    """
    if combine == "max_logits":
        batch = scaled_and_flipped(image, 1, flip, model.backbone, device)
        scaled = (F.interpolate(batch, scale_factor=s, mode="bilinear", align_corners=False) for s in scales)
        logits = [model(own) for own in scaled]
        highest = torch.stack([_resized(own, logits[0].shape[2:]) for own in logits]).amax(0)
        mean = unflip(_resized(highest, image.shape[:2]).softmax(1), flip)
    else:
        total: Any = 0  # then a tensor
        for scale in scales:
            logits = model(scaled_and_flipped(image, scale, flip, model.backbone, device))
            total = total + unflip(_resized(logits, image.shape[:2]).softmax(1), flip)
        mean = total / len(scales)
    scores = mean.cpu().numpy()
    if not np.isfinite(scores).all():
        raise FloatingPointError("the network's scores are not finite")
    return scores


class DeepLabOnColours(nn.Module):
    """DeepLabV2 with its normalisation: colours in 0..255 [B, 3, H, W], RGB, to logits [B, labels, H/8, W/8]."""

    def __init__(self, network: DeepLabV2):
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(normalise(image, self.network.backbone))


def network_on_colours(params: Mapping, model: str) -> nn.Module:
    """The trained network at the path `model`, set to inference on the CPU; params: as in `open_deeplab`."""
    return DeepLabOnColours(_load(params, model, torch.device("cpu"))).eval()


def _load(params: Mapping, model: str, device: torch.device) -> DeepLabV2:
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    return load_trained(build_deeplab(backbone, params["classes"] + 1), model, device)


def open_deeplab(params: Mapping, model: str, device: torch.device) -> Segmenter:
    """The trained network at the path `model`; params: classes (their number C), backbone, and `combine` of `predict`
    unless it is `mean`."""
    network, combine = _load(params, model, device), params.get("combine", "mean")

    def segment(image: np.ndarray, scales: Sequence[float], flip: bool) -> np.ndarray:
        return predict(network, image, scales, flip, device, combine)

    return segment
