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
from wsgcn.cam.head import fold_of_images, mean_precision, precision_table, tag_matrix
from wsgcn.cam.instances import choose_tops, fit_locations, num_locations
from wsgcn.files import read_arrays
from wsgcn.graph.grid import grid_size
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone
from wsgcn.networks.inference import load_trained, scaled_and_flipped, unflip
from wsgcn.networks.training import FitContext
from wsgcn.sections import from_section
from wsgcn.text import metric_part

STAGES = (1, 2, 3)
"""The backbone's stages whose features are used: strides 4, 8 and 16."""

NUM_FOLDS = 3
"""Folds of images that choose the share of locations of each class."""


@dataclass(frozen=True)
class ViewSettings:
    """Of the `mil` section: scale of the input image; distance of neighbouring locations [pixels of that input]."""

    scale: float
    stride: int


@dataclass(frozen=True)
class FitSettings:
    """Of the `mil` section: shares of the locations whose mean is an image's score, of which one is chosen for each
    class; shares of classes by name, where they are known; weight of the L2 penalty."""

    top: tuple[float, ...]
    top_of: Mapping[str, float]
    l2: float


class LocationNet(nn.Module):
    """Features of a frozen backbone's stages at each location, and a linear classifier of them.

    The buffer `top`, [C], is the share of the locations that each class was trained with.
    """

    top: torch.Tensor

    def __init__(self, backbone: Backbone, classes: int, settings: ViewSettings):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.settings = settings
        width = sum(backbone.feature_info[stage]["num_chs"] for stage in STAGES)
        self.last = nn.Conv2d(width, classes, 1)
        self.register_buffer("top", torch.ones(classes))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """As `location_features`."""
        return location_features(self.backbone, images, self.settings.stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the classes at each location, [B, C, H/stride, W/stride]."""
        return self.last(self.features(images))


def location_features(backbone: Backbone, images: torch.Tensor, stride: int) -> torch.Tensor:
    """Normalised images [B, 3, H, W] to features [B, D, H/stride, W/stride]: finer maps averaged, coarser ones
    interpolated."""
    height, width = (-(-side // stride) for side in images.shape[2:])
    maps = backbone.forward_intermediates(images, intermediates_only=True)
    return torch.cat([_at_size(maps[stage], (height, width)) for stage in STAGES], 1)


def _at_size(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if maps.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def build_location_net(backbone: BackboneSettings, classes: int, settings: ViewSettings) -> LocationNet:
    """The network of C classes over the configured backbone, which keeps its initial weights."""
    frozen = build_backbone(backbone.name, backbone.weights, output_stride=16, dilated=backbone.dilated)
    return LocationNet(frozen, classes, settings).to(memory_format=torch.channels_last)


def open_location_features(params: Mapping, device: torch.device) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The function from an image, uint8 RGB [H, W, 3], to its features at each location, row by row.

    params: backbone, settings (`ViewSettings`). Its arrays: `locations`, float16 [L, D]; `grid`, (h, w), L = h·w.
    """
    backbone, settings = (
        from_section(BackboneSettings, params["backbone"]),
        from_section(ViewSettings, params["settings"]),
    )
    network = build_location_net(backbone, 1, settings).to(device).eval()

    @torch.inference_mode()
    def extract(image: np.ndarray) -> dict[str, np.ndarray]:
        batch = scaled_and_flipped(image, settings.scale, False, network.backbone, device)
        found = network.features(batch)[0]
        locations = found.flatten(1).T.cpu().numpy().astype(np.float16)
        return {"locations": locations, "grid": np.array(found.shape[1:])}

    return extract


def train_locations(
    files: Sequence[str], targets: Sequence[Sequence[int]], params: Mapping, context: FitContext
) -> tuple[LocationNet, pd.DataFrame]:
    """The network whose last layer is fitted to the files of features of the images, given their classes (from 1).

    params: classes (their number C), names (theirs), groups (of the images, `head.fold_of_images`), backbone, settings
    (`FitSettings`), views (`ViewSettings`). Returns the model and a history as `head.train_head` does: average
    precisions by fold, and the constant columns `ap`, `loss` and `top/<class>`, the chosen shares. The same files and
    tags give the same weights.
    """
    started = time.monotonic()
    settings, names = from_section(FitSettings, params["settings"]), params["names"]
    tags = tag_matrix(targets, params["classes"])
    fold = fold_of_images(params["groups"], tags, NUM_FOLDS)
    candidates = [(settings.top_of[name],) if name in settings.top_of else settings.top for name in names]
    problems, choose = choose_tops(candidates, tags, fold)
    features = [read_arrays(path)["locations"] for path in files]
    found, scores, rounds = fit_locations(features, tags, problems, settings.l2, context.report)
    chosen, precisions = choose(scores)
    tops = [problems[m].top for m in chosen]
    for name, top, precision in zip(names, tops, precisions.T, strict=True):
        context.report(f"{name}: top {top:g}, cross-validated AP {mean_precision(precision):.3f}")
    backbone, views = from_section(BackboneSettings, params["backbone"]), from_section(ViewSettings, params["views"])
    model = build_location_net(backbone, params["classes"], views)
    weights = torch.from_numpy(found.weights[chosen])[:, :, None, None]
    model.last.load_state_dict({"weight": weights, "bias": torch.from_numpy(found.bias[chosen])})
    model.top.copy_(torch.tensor(tops))
    table = precision_table(precisions, names).assign(ap=mean_precision(precisions), loss=rounds["loss"].iloc[-1])
    history = table.assign(**{f"top/{metric_part(name)}": top for name, top in zip(names, tops, strict=True)})
    history.attrs["seconds"] = time.monotonic() - started
    return model, history


def open_location_cams(params: Mapping, model: str, device: torch.device) -> CamSource:
    """The trained network at the path `model` as a source of CAMs (`cam.contract`): ReLU of its logits.

    params: classes (their number), backbone, views (`ViewSettings`), flip (whether the logits of the mirror image
    count as well). The image's tag is right even where the network would deny it: where the mean of its highest
    locations, as many as trained with, is below 0, this mean takes the place of 0. Maps are divided by their maximum
    (+1e-5) per class.
    """
    backbone = replace(from_section(BackboneSettings, params["backbone"]), weights="random")
    settings = from_section(ViewSettings, params["views"])
    network = load_trained(build_location_net(backbone, params["classes"], settings), model, device)
    tops = network.top.tolist()

    @torch.inference_mode()
    def cams(given: CamInput) -> tuple[np.ndarray, np.ndarray]:
        size = given.image.shape[:2]
        batch = scaled_and_flipped(given.image, settings.scale, params["flip"], network.backbone, device)
        own = [key - 1 for key in given.keys]
        logits = unflip(network(batch), params["flip"])[own]
        logits = logits - highest_logits(logits, [tops[k] for k in own]).clamp(max=0)
        on_grid, full = (positive_maps(logits, target) for target in (grid_size(*size), size))
        return on_grid.cpu().numpy(), full.cpu().numpy()

    return cams


def highest_logits(logits: torch.Tensor, shares: Sequence[float]) -> torch.Tensor:
    """The mean of the highest share of logits [K, h, w] of each class, at least one, [K, 1, 1]. shares: [K]."""
    flat = logits.flatten(1)
    means = [own.topk(num_locations(len(own), share)).values.mean() for own, share in zip(flat, shares, strict=True)]
    return torch.stack(means)[:, None, None]


def positive_maps(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """ReLU of maps [K, h, w], interpolated to a size (H, W) and divided by their maximum (+1e-5), [K, H, W]."""
    maps = F.relu(F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0])
    return maps / (maps.amax((1, 2), keepdim=True) + 1e-5)
