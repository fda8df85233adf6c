"""Inference: trained weights from a file, test-time augmentation by scale and mirror image."""

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from wsgcn.data.augment import resize
from wsgcn.networks.backbone import Backbone, normalise

Network = TypeVar("Network", bound=nn.Module)


def load_trained(network: Network, path: str | Path, device: torch.device) -> Network:
    """`network` with the state dict at `path`, on `device`, set to inference."""
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device).eval()


def scaled_and_flipped(
    image: np.ndarray, scale: float, flip: bool, backbone: Backbone, device: torch.device
) -> torch.Tensor:
    """uint8 [H, W, 3] as a normalised batch [1, 3, sH, sW], or [2, 3, sH, sW] with the mirror image second."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    batch = torch.from_numpy(resize(image, height, width).copy()).to(device).permute(2, 0, 1)[None].float()
    if flip:
        batch = torch.cat([batch, batch.flip(3)])
    return normalise(batch, backbone).contiguous(memory_format=torch.channels_last)


def unflip(maps: torch.Tensor, flip: bool) -> torch.Tensor:
    """Mean of the maps [1 or 2, K, h, w] with the second one mirrored back, [K, h, w]."""
    return (maps[0] + maps[1].flip(2)) / 2 if flip else maps[0]
