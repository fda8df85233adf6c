"""Classifier and class activation maps [IRNet, Ahn et al., CVPR 2019, and its released code]."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.data.augment import flip_and_crop, rescale
from wsgcn.files import read_image
from wsgcn.graph.grid import grid_size
from wsgcn.networks.backbone import build_backbone, freeze_batch_norm, normalise
from wsgcn.networks.inference import scaled_and_flipped, unflip
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit


class Classifier(nn.Module):
    """Backbone at output stride 16, 1×1 convolution without bias to C channels, global average pooling."""

    def __init__(self, backbone: nn.Module, classes: int):
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


def build_classifier(backbone: Mapping, classes: int) -> Classifier:
    """The classifier on the configured backbone (`name`, `weights`), channels last: twice as fast on a CPU."""
    model = Classifier(build_backbone(backbone["name"], backbone["weights"], output_stride=16), classes)
    return model.to(memory_format=torch.channels_last)


def train_classifier(
    paths: Sequence[str],
    labels: Sequence[Sequence[int]],
    classes: int,
    backbone: Mapping,
    settings: Mapping,
    run: FitContext,
) -> tuple[Classifier, pd.DataFrame]:
    """Train on image-level classes (indices from 1) with the multi-label soft-margin loss [I].

    settings: epochs, batch, crop, long_side (range of the longer side after random scaling), lr_backbone, lr_head,
    weight_decay. Returns the model and its losses by step.
    """
    torch.manual_seed(run.seed)
    model = build_classifier(backbone, classes).to(run.device).train()
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(paths[index])
        scale = rng.uniform(*settings["long_side"]) / max(image.shape[:2])
        crop, _ = flip_and_crop(rescale(image, None, scale)[0], None, settings["crop"], mean, rng)
        target = np.zeros(classes, np.float32)
        target[np.array(labels[index]) - 1] = 1
        return crop, target

    def loss(crops: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        images = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        return {"loss": F.multilabel_soft_margin_loss(model(images), targets)}

    history = fit(
        model,
        [
            {"params": list(model.backbone.parameters()), "lr": settings["lr_backbone"]},
            {"params": list(model.head.parameters()), "lr": settings["lr_head"]},
        ],
        loss,
        len(paths),
        sample,
        run,
        batch=settings["batch"],
        iterations=num_steps(len(paths), settings["epochs"], settings["batch"]),
        weight_decay=settings["weight_decay"],
    )
    return model, history


@torch.inference_mode()
def class_activation_maps(
    model: Classifier, image: np.ndarray, classes: Sequence[int], settings: Mapping, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Multi-scale CAMs of an image's own classes [I].

    image: uint8 RGB [H, W, 3]; classes: indices from 1; settings: scales, flip. Summed over scales and the flip, then
    divided by each class's maximum (+1e-5). Returns float32 in 0..1 on the graph's grid [K, h, w] and at [K, H, W].
    (The `keys` of IRN's files count classes from 0, ours from 1 as labels do.)
    """
    sizes = (grid_size(*image.shape[:2]), image.shape[:2])
    sums = [0, 0]
    for scale in settings["scales"]:
        batch = scaled_and_flipped(image, scale, settings["flip"], model.backbone, device)
        maps = unflip(model.activation(batch, classes), settings["flip"])[None]
        for place, size in enumerate(sizes):
            sums[place] = sums[place] + F.interpolate(maps, size, mode="bilinear", align_corners=False)[0]
    strided, full = (maps / (maps.amax((1, 2), keepdim=True) + 1e-5) for maps in sums)
    return strided.cpu().numpy(), full.cpu().numpy()
