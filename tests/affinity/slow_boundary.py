"""The boundary branch written out with loops, and bilinear interpolation between the centres of pixels."""

import numpy as np
import torch


def naive_bilinear(maps, size):
    """[D, h', w'] at another size: interpolated between the centres of pixels, constant beyond those of the border."""
    (h, w), (rows, columns) = maps.shape[1:], size
    result = np.zeros((len(maps), rows, columns))
    for y in range(rows):
        for x in range(columns):
            v = max((y + 0.5) * h / rows - 0.5, 0.0)
            u = max((x + 0.5) * w / columns - 0.5, 0.0)
            top, left = min(int(v), h - 1), min(int(u), w - 1)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            above = (1 - (u - left)) * maps[:, top, left] + (u - left) * maps[:, top, right]
            below = (1 - (u - left)) * maps[:, bottom, left] + (u - left) * maps[:, bottom, right]
            result[:, y, x] = (1 - (v - top)) * above + (v - top) * below
    return result


def naive_group_norm(maps, groups, scale, shift):
    """[D, h, w] with each group of channels at mean 0 and variance 1, then each channel scaled and shifted."""
    found = np.empty(maps.shape)
    for k in range(groups):
        own = slice(k * len(maps) // groups, (k + 1) * len(maps) // groups)
        found[own] = (maps[own] - maps[own].mean()) / np.sqrt(maps[own].var() + 1e-5)
    return found * scale[:, None, None] + shift[:, None, None]


def naive_branch(net, pixels, size):
    """Boundary [h, w] and node features [160, h, w] of an image, uint8 RGB [H, W, 3], without its mirror image."""
    mean, std = (np.array(net.backbone.pretrained_cfg[key]) for key in ("mean", "std"))
    with torch.no_grad():
        batch = torch.tensor((pixels / 255 - mean) / std).permute(2, 0, 1)[None].float()
        maps = net.backbone.forward_intermediates(batch, intermediates_only=True)
        parts = []
        for stage, values in zip(net.stages, maps, strict=True):
            reduced = np.tensordot(stage[0].weight[..., 0, 0].double().numpy(), values[0].double().numpy(), 1)
            normed = naive_group_norm(reduced, 4, *(p.double().numpy() for p in (stage[1].weight, stage[1].bias)))
            parts.append(np.maximum(naive_bilinear(normed, size), 0))
        features = np.concatenate(parts)
        logits = np.tensordot(net.last.weight[0, :, 0, 0].double().numpy(), features, 1) + net.last.bias.item()
    return 1 / (1 + np.exp(-logits)), features
