"""CAMs of small objects: a linear classifier of locations, trained by multiple-instance learning on image tags.

A lesion of half a percent of an image drowns in a global average. Here an image's score is the mean of its highest
locations, of which a tag says that they show the class.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from wsgcn.cam.contract import CamInput, CamSource
from wsgcn.cam.instances import LocationClassifier, fit_locations, num_locations
from wsgcn.files import read_arrays
from wsgcn.graph.grid import grid_size
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.training import FitContext
from wsgcn.sections import from_section

STAGES = (1, 2, 3)
"""The backbone's stages whose features are used: strides 4, 8 and 16."""


@dataclass(frozen=True)
class ViewSettings:
    """Of the `mil` section: scale of the input image; distance of neighbouring locations [pixels of that input]."""

    scale: float
    stride: int


@dataclass(frozen=True)
class FitSettings:
    """Of the `mil` section: share of the locations whose mean is an image's score; weight of the L2 penalty."""

    top: float
    l2: float


class LocationNet(nn.Module):
    """Features of a frozen backbone's stages at each location, and a linear classifier of them."""

    def __init__(self, backbone: Backbone, classes: int, settings: ViewSettings):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.settings = settings
        width = sum(backbone.feature_info[stage]["num_chs"] for stage in STAGES)
        self.last = nn.Conv2d(width, classes, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to features [B, D, H/stride, W/stride]: finer maps averaged, coarser ones
        interpolated."""
        height, width = (-(-side // self.settings.stride) for side in images.shape[2:])
        maps = self.backbone.forward_intermediates(images, intermediates_only=True)
        return torch.cat([_at_size(maps[stage], (height, width)) for stage in STAGES], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the classes at each location, [B, C, H/stride, W/stride]."""
        return self.last(self.features(images))


def _at_size(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if maps.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def build_location_net(backbone: BackboneSettings, classes: int, settings: ViewSettings) -> LocationNet:
    """The network of C classes over the configured backbone, which keeps its initial weights."""
    frozen = build_backbone(backbone.name, backbone.weights, output_stride=16)
    return LocationNet(frozen, classes, settings).to(memory_format=torch.channels_last)


def open_location_features(params: Mapping, device: torch.device) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The function from an image, uint8 RGB [H, W, 3], to its features at each location: float16 [L, D].

    params: backbone, settings (`ViewSettings`).
    """
    backbone, settings = (
        from_section(BackboneSettings, params["backbone"]),
        from_section(ViewSettings, params["settings"]),
    )
    network = build_location_net(backbone, 1, settings).to(device).eval()

    @torch.inference_mode()
    def extract(image: np.ndarray) -> dict[str, np.ndarray]:
        batch = scaled_and_flipped(image, settings.scale, False, network.backbone, device)
        return {"locations": network.features(batch)[0].flatten(1).T.cpu().numpy().astype(np.float16)}

    return extract


def train_locations(
    files: Sequence[str], targets: Sequence[Sequence[int]], params: Mapping, context: FitContext
) -> tuple[LocationNet, pd.DataFrame]:
    """The network whose last layer is fitted to the files of features of the images, given their classes (from 1).

    params: classes (their number C), backbone, settings (`FitSettings`), views (`ViewSettings`). Returns the model
    and the losses by round, as `fit_locations` does; the same files and tags give the same weights.
    """
    started = time.monotonic()
    settings = from_section(FitSettings, params["settings"])
    features = [read_arrays(path)["locations"] for path in files]
    found, history = fit_locations(features, targets, params["classes"], settings.top, settings.l2, context.report)
    backbone, views = from_section(BackboneSettings, params["backbone"]), from_section(ViewSettings, params["views"])
    model = build_location_net(backbone, params["classes"], views)
    _set_weights(model, found)
    history.attrs["seconds"] = time.monotonic() - started
    return model, history


def _set_weights(model: LocationNet, found: LocationClassifier) -> None:
    weights = {"weight": torch.from_numpy(found.weights)[:, :, None, None], "bias": torch.from_numpy(found.bias)}
    model.last.load_state_dict(weights)


def open_location_cams(params: Mapping, model: str, device: torch.device) -> CamSource:
    """The trained network at the path `model` as a source of CAMs (`cam.contract`): ReLU of its logits.

    params: classes (their number), backbone, views (`ViewSettings`), flip (whether the logits of the mirror image
    count as well), top (the share of locations that was trained). The image's tag is right even where the network would
    deny it: where the mean of its highest locations is below 0, this mean takes the place of 0. Maps are divided by
    their maximum (+1e-5) per class.
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    settings = from_section(ViewSettings, params["views"])
    network = load_trained(build_location_net(backbone, params["classes"], settings), model, device)

    @torch.inference_mode()
    def cams(given: CamInput) -> tuple[np.ndarray, np.ndarray]:
        size = given.image.shape[:2]
        batch = scaled_and_flipped(given.image, settings.scale, params["flip"], network.backbone, device)
        logits = unflip(network(batch), params["flip"])[[key - 1 for key in given.keys]]
        logits = logits - highest_logits(logits, params["top"]).clamp(max=0)
        on_grid, full = (_normalised(logits, target) for target in (grid_size(*size), size))
        return on_grid.cpu().numpy(), full.cpu().numpy()

    return cams


def highest_logits(logits: torch.Tensor, share: float) -> torch.Tensor:
    """The mean of the highest `share` of logits [K, h, w] of each class, at least one: [K, 1, 1]."""
    flat = logits.flatten(1)
    return flat.topk(num_locations(flat.shape[1], share), 1).values.mean(1)[:, None, None]


def _normalised(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    maps = F.relu(F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0])
    return maps / (maps.amax((1, 2), keepdim=True) + 1e-5)
