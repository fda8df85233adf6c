"""IRNet's boundary branch: labels from CAMs, the network, pairwise affinity from boundaries, its training.

Source: Ahn, Cho & Kwak, Weakly supervised learning of instance segmentation with inter-pixel relations, CVPR 2019,
section 4, and its released code. The displacement field serves instances and is left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.affinity.pair_loss import pairwise_affinity_loss
from wsgcn.files import IGNORE
from wsgcn.graph.grid import grid_size, path_maximum
from wsgcn.labels.crf import dense_crf_labels
from wsgcn.labels.scores import label_from_cams
from wsgcn.networks.backbone import build_backbone, normalise
from wsgcn.networks.inference import scaled_and_flipped, unflip
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit, labelled_crops


def label_for_irnet(image: np.ndarray, cams: np.ndarray, classes: Sequence[int], settings: Mapping) -> np.ndarray:
    """The sure foreground and the sure background, uint8 [H, W], 255 between the two [I, section 4.2].

    cams: float [K, H, W] of `classes`. A CAM argmax against a high background score, refined by a dense CRF, says
    where foreground is sure; one against a low score says where background is. settings: foreground_score,
    background_score, certainty, crf.
    """

    def refined(background: float) -> np.ndarray:
        places = label_from_cams(cams, range(1, len(classes) + 1), background)
        scores = dense_crf_labels(image, places, len(classes) + 1, settings["certainty"], settings["crf"])
        return np.array([0, *classes], np.uint8)[scores.argmax(0)]

    foreground, background = refined(settings["foreground_score"]), refined(settings["background_score"])
    label = np.where(foreground > 0, foreground, IGNORE)
    label[(foreground == 0) & (background == 0)] = 0
    return label.astype(np.uint8)


def affinity_loss(boundary: torch.Tensor, label: torch.Tensor, radius: int) -> dict[str, torch.Tensor]:
    """`pairwise_affinity_loss` of affinities 1 - path maximum [I, equation 8]; boundary: [B, h, w] in 0..1."""
    return pairwise_affinity_loss(lambda dy, dx: 1 - path_maximum(boundary, dy, dx), label, radius)


class BoundaryNet(nn.Module):
    """Five stages of a frozen backbone -> 32 channels each at stride 4 -> 160 node features -> boundary map [I].

    Each stage: 1×1 convolution, GroupNorm(4), bilinear to the grid, ReLU. Only this branch is trained.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        channels = [stage["num_chs"] for stage in backbone.feature_info]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 32, 1, bias=False), nn.GroupNorm(4, 32)) for c in channels
        )
        self.last = nn.Conv2d(32 * len(channels), 1, 1)

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to the node features [B, 160, h, w] on a grid of `size`."""
        with torch.no_grad():
            maps = self.backbone.forward_intermediates(images, intermediates_only=True)
        resized = [
            F.relu(F.interpolate(stage(m), size, mode="bilinear", align_corners=False))
            for stage, m in zip(self.stages, maps, strict=True)
        ]
        return torch.cat(resized, 1)

    def boundary(self, features: torch.Tensor) -> torch.Tensor:
        """Node features [B, 160, h, w] to boundary probabilities [B, h, w]."""
        return torch.sigmoid(self.last(features))[:, 0]


def build_boundary_net(backbone: Mapping, device: torch.device) -> BoundaryNet:
    """The boundary branch over the configured backbone, which keeps its initial (ImageNet) weights."""
    frozen = build_backbone(backbone["name"], backbone["weights"], output_stride=16)
    return BoundaryNet(frozen.to(device, memory_format=torch.channels_last)).to(device)


def train_boundary(
    images: Sequence[str],
    labels: Sequence[str],
    backbone: Mapping,
    settings: Mapping,
    run: FitContext,
) -> tuple[BoundaryNet, pd.DataFrame]:
    """Train the branch on images and their labels of `label_for_irnet` (paths) [I, section 4.3].

    settings: epochs, batch, crop, scale (range), lr, weight_decay, radius. Returns the model and its losses by step.
    """
    torch.manual_seed(run.seed)
    model = build_boundary_net(backbone, run.device)
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])
    h, w = grid_size(settings["crop"], settings["crop"])

    def loss(crops: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        return affinity_loss(model.boundary(model.features(batch, (h, w))), label, settings["radius"])

    history = fit(
        model,
        [{"params": [p for p in model.parameters() if p.requires_grad], "lr": settings["lr"]}],
        loss,
        len(images),
        labelled_crops(images, labels, settings, mean, (h, w)),
        run,
        batch=settings["batch"],
        iterations=num_steps(len(images), settings["epochs"], settings["batch"]),
        weight_decay=settings["weight_decay"],
    )
    return model, history


@torch.inference_mode()
def boundary_and_features(model: BoundaryNet, image: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Boundary map float32 [h, w] in 0..1 and node features float32 [160, h, w], both averaged over the flip [I].

    image: uint8 RGB [H, W, 3].
    """
    batch = scaled_and_flipped(image, 1, True, model.backbone, device)
    features = model.features(batch, grid_size(*image.shape[:2]))
    boundary = unflip(model.boundary(features)[:, None], True)[0]
    return boundary.cpu().numpy(), unflip(features, True).cpu().numpy()
