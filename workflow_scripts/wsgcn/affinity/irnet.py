"""IRNet's boundary branch: its labels from CAMs, the network, pairwise affinity from boundaries, its training.

Source: Ahn, Cho & Kwak, Weakly supervised learning of instance segmentation with inter-pixel relations, CVPR 2019,
section 4, and its released code. The displacement field serves instances and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.affinity.contract import AffinityOutput
from wsgcn.affinity.learning import measured_images
from wsgcn.affinity.pair_loss import measure_gain, pair_costs, pairwise_affinity_loss
from wsgcn.data.augment import resize_label
from wsgcn.files import read_image, read_label
from wsgcn.graph.grid import grid_size, path_maximum
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone, normalise
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.samples import corrections_of, labelled_crops
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import FitContext, fit
from wsgcn.sections import from_section


@dataclass(frozen=True)
class IrnetTrainingSettings:
    """The `irnet.training` section: crop [pixels], scale: range of the random scaling, radius of the pairs [nodes]."""

    epochs: float
    min_steps: int
    batch: int
    crop: int
    scale: tuple[float, float]
    lr: float
    weight_decay: float
    radius: int


def affinity_loss(
    boundary: torch.Tensor, label: torch.Tensor, radius: int, weight: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """`pairwise_affinity_loss` of affinities 1 - path maximum [I, equation 8]; boundary: [B, h, w] in 0..1."""
    return pairwise_affinity_loss(lambda dy, dx: 1 - path_maximum(boundary, dy, dx), label, radius, weight)


class BoundaryNet(nn.Module):
    """Five stages of a frozen backbone -> 32 channels each at stride 4 -> 160 node features -> boundary map [I].

    Each stage: 1×1 convolution, GroupNorm(4), bilinear to the grid, ReLU. Only this branch is trained.
    """

    def __init__(self, backbone: Backbone):
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


def build_boundary_net(backbone: BackboneSettings, device: torch.device) -> BoundaryNet:
    """The boundary branch over the configured backbone, which keeps its initial (ImageNet) weights."""
    frozen = build_backbone(backbone.name, backbone.weights, output_stride=16)
    return BoundaryNet(frozen.to(device, memory_format=torch.channels_last)).to(device)


def train_boundary(
    images: Sequence[str], targets: Sequence[str], params: Mapping, context: FitContext
) -> tuple[BoundaryNet, pd.DataFrame]:
    """Train the branch on images and their labels of `label_for_irnet` (paths) [I, section 4.3].

    params: backbone, settings (`IrnetTrainingSettings`), what `corrections_of` reads. Returns the
    model and its losses by step, with `learnt` in their `attrs` (`affinity.learning`).
    """
    settings = from_section(IrnetTrainingSettings, params["settings"])
    torch.manual_seed(context.seed)
    model = build_boundary_net(from_section(BackboneSettings, params["backbone"]), context.device)
    mean = 255 * np.array(model.backbone.pretrained_cfg["mean"])
    h, w = grid_size(settings.crop, settings.crop)

    def loss(crops: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        batch = normalise(crops.permute(0, 3, 1, 2).float(), model.backbone)
        return affinity_loss(model.boundary(model.features(batch, (h, w))), label, settings.radius, weight)

    history = fit(
        model,
        [{"params": [p for p in model.parameters() if p.requires_grad], "lr": settings.lr}],
        loss,
        len(images),
        labelled_crops(images, targets, settings.crop, settings.scale, mean, (h, w), corrections_of(params)),
        context,
        batch=settings.batch,
        iterations=num_steps(len(images), settings.epochs, settings.batch, settings.min_steps),
        weight_decay=settings.weight_decay,
    )
    model.eval()
    measured = measured_images(targets)
    costs = (_costs(model, images[k], targets[k], settings.radius, context.device) for k in measured)
    history.attrs["learnt"] = {"section": "irnet.training", "gain": measure_gain(costs)}
    return model, history


def _costs(model: BoundaryNet, image: str, label: str, radius: int, device: torch.device) -> tuple[list, list]:
    """The `pair_costs` of what the branch says of an image (a path), by its label (a path)."""
    boundary, _ = boundary_and_features(model, read_image(image), device)
    points = torch.from_numpy(resize_label(read_label(label), *boundary.shape))[None]
    found = torch.from_numpy(boundary)[None]
    return pair_costs(lambda dy, dx: 1 - path_maximum(found, dy, dx), points, radius)


@torch.inference_mode()
def boundary_and_features(model: BoundaryNet, image: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Boundary map float32 [h, w] in 0..1 and node features float32 [160, h, w], both averaged over the flip [I].

    image: uint8 RGB [H, W, 3].
    """
    batch = scaled_and_flipped(image, 1, True, model.backbone, device)
    features = model.features(batch, grid_size(*image.shape[:2]))
    boundary = unflip(model.boundary(features)[:, None], True)[0]
    return boundary.cpu().numpy(), unflip(features, True).cpu().numpy()


def open_boundary_net(params: Mapping, model: str, device: torch.device) -> AffinityOutput:
    """The trained network at the path `model`; params: backbone.

    Its output: boundary float32 [h, w], features float16 [160, h, w], weight float32 [160] of the boundary layer.
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    network = load_trained(build_boundary_net(backbone, device), model, device)
    weight = network.last.weight.detach().cpu().numpy().ravel()

    def infer(image: np.ndarray) -> dict[str, np.ndarray]:
        boundary, features = boundary_and_features(network, image, device)
        return {"boundary": boundary, "features": features.astype(np.float16), "weight": weight}

    return infer
