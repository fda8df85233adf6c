"""Two steps of both affinity networks' trainings against their formulas, each pair of points by itself.

Run alone: `.venv/bin/python -m pytest tests/affinity/test_training_steps.py`.
"""

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from configs import CONFIG
from slow_training import assert_same_steps, descend, enlarge, normalised_crops, symmetric_pictures

from wsgcn.affinity.affinitynet import train_affinitynet
from wsgcn.affinity.irnet import train_boundary

TWO_STEPS = {"epochs": 2, "min_steps": 0, "batch": 2, "crop": 48, "scale": [0.5, 0.5], "weight_decay": 0.3}


def pair_loss(affinity, labels, pairs):
    """(background / 2 + foreground / 2 + negative) / 2, each a mean over pairs; affinity(b, p, q): of image b."""
    costs = {"background": [], "foreground": [], "negative": []}
    for b, label in enumerate(labels):
        for p, q in pairs:
            if 255 not in (label[p], label[q]):
                a = affinity(b, p, q)
                if label[p] != label[q]:
                    costs["negative"].append(-torch.log(1 - a + 1e-5))
                else:
                    costs["background" if label[p] == 0 else "foreground"].append(-torch.log(a + 1e-5))
    background, foreground, negative = (torch.stack(own).mean() for own in costs.values())
    return (background / 2 + foreground / 2 + negative) / 2


def chosen(near, height, width, settings):
    """Of all pairs those that the setting `pairs` keeps: `inner`, those whose upper or left end has every partner."""
    margin = settings["radius"] - 1
    return [
        (p, q)
        for p, q in near
        if settings["pairs"] == "all" or (min(p, q)[0] + margin < height and margin <= min(p, q)[1] < width - margin)
    ]


@pytest.mark.parametrize("change", [{}, {"radius": 2}, {"pairs": "inner"}, {"weight_decay": 0}], ids=str)
def test_the_boundary_branch_takes_the_steps_of_its_formula(
    change, tmp_path, wheel, rng, fit_context, pairs, points_between
):
    images, labels, coarse = symmetric_pictures(tmp_path, rng)
    settings = CONFIG["irnet"]["training"] | TWO_STEPS | {"lr": 0.1, "radius": 3} | change

    def trained(lr):
        params = {"backbone": asdict(wheel), "settings": settings | {"lr": lr}}
        return train_boundary(images, labels, params, fit_context(4))[0]

    start = trained(0.0)
    net, crops, points = copy.deepcopy(start), normalised_crops(images, start.backbone), enlarge_all(coarse, 2)
    near = chosen(pairs(12, 12, settings["radius"]), 12, 12, settings)
    between = {pair: tuple(zip(*points_between(*pair), strict=True)) for pair in near}
    with torch.no_grad():
        maps = net.backbone.forward_intermediates(crops, intermediates_only=True)

    def loss():
        parts = []
        for (convolution, norm), own in zip(net.stages, maps, strict=True):
            reduced = torch.einsum("oi,biyx->boyx", convolution.weight[..., 0, 0], own)
            normed = F.group_norm(reduced, 4, norm.weight, norm.bias)
            parts.append(F.interpolate(normed, (12, 12), mode="bilinear", align_corners=False).clamp(min=0))
        logits = torch.einsum("i,biyx->byx", net.last.weight[0, :, 0, 0], torch.cat(parts, 1)) + net.last.bias
        boundary = 1 / (1 + torch.exp(-logits))
        return pair_loss(lambda b, p, q: 1 - boundary[b][between[p, q]].max(), points, near)

    descend([([*net.stages.parameters(), *net.last.parameters()], 0.1)], loss, 2, settings["weight_decay"])
    assert_same_steps(trained(0.1), net, start)


@pytest.mark.parametrize("change", [{}, {"radius": 2}, {"pairs": "inner"}, {"weight_decay": 0}], ids=str)
def test_affinitynet_takes_the_steps_of_its_formula(change, tmp_path, wheel, rng, fit_context, pairs):
    images, labels, coarse = symmetric_pictures(tmp_path, rng)
    settings = CONFIG["psa"]["training"] | TWO_STEPS | {"radius": 3} | change

    def trained(**rates):
        params = {"backbone": asdict(wheel), "settings": settings | rates}
        return train_affinitynet(images, labels, params, fit_context(4))[0]

    start = trained(lr_backbone=0.0, lr_head=0.0)
    net, crops = copy.deepcopy(start), normalised_crops(images, start.backbone)
    near = chosen(pairs(6, 6, settings["radius"]), 6, 6, settings)

    def loss():
        parts = []
        maps = net.backbone.forward_intermediates(crops, intermediates_only=True)[-3:]
        for convolution, own in zip(net.stages, maps, strict=True):
            reduced = F.elu(torch.einsum("oi,biyx->boyx", convolution.weight[..., 0, 0], own))
            parts.append(F.interpolate(reduced, (6, 6), mode="bilinear", align_corners=False))
        features = F.elu(torch.einsum("oi,biyx->boyx", net.last.weight[..., 0, 0], torch.cat(parts, 1)))
        return pair_loss(
            lambda b, p, q: torch.exp(-(features[b][:, *p] - features[b][:, *q]).abs().mean()), coarse, near
        )

    heads = [*net.stages.parameters(), *net.last.parameters()]
    descend([([*net.backbone.parameters()], 0.001), (heads, 0.01)], loss, 2, settings["weight_decay"])
    assert_same_steps(trained(lr_backbone=0.001, lr_head=0.01), net, start)


def enlarge_all(coarse, factor):
    return np.stack([enlarge(label, factor) for label in coarse])
