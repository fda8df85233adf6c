"""Two steps of DeepLab's training against their formula.

Run alone: `.venv/bin/python -m pytest tests/segmentation/test_deeplab_steps.py`.
"""

import copy
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from configs import CONFIG
from slow_training import SIDE, assert_same_steps, descend, enlarge, normalised_crops, symmetric_pictures

from wsgcn.segmentation.deeplab import train_deeplab


def cross_entropy(logits, labels):
    """The mean over labelled pixels of -log of the true class's probability; logits: [B, C + 1, H, W]."""
    costs = []
    for own, label in zip(logits, labels, strict=True):
        powers = torch.exp(own - own.max())
        probabilities = powers / powers.sum(0)
        costs += [-torch.log(probabilities[k][label == k]) for k in range(len(own))]
    return torch.cat(costs).mean()


@pytest.mark.parametrize(
    "change", [{}, {"scales": []}, {"weight_decay": 0.0}, {"momentum": 0.0}, {"lr_head_factor": 2}], ids=str
)
def test_deeplab_takes_the_steps_of_its_formula(change, tmp_path, wheel, rng, fit_context):
    images, labels, coarse = symmetric_pictures(tmp_path, rng)
    settings = CONFIG["segmentation"]["training"] | {"backbone": asdict(wheel), "iterations": 2, "batch": 2}
    settings |= {"crop": SIDE, "scale": [0.5, 0.5], "scales": [0.5], "lr": 0.001, "lr_head_factor": 5}
    settings |= {"momentum": 0.9, "weight_decay": 0.3} | change

    def trained(**rates):
        return train_deeplab(images, labels, {"classes": 2, "settings": settings | rates}, fit_context(4))[0]

    start = trained(lr=0.0)
    net, crops = copy.deepcopy(start).eval(), normalised_crops(images, start.backbone)  # batch norms as they were
    full = [torch.tensor(enlarge(label, SIDE // 6)) for label in coarse]

    def logits_at(scale):
        side = round(scale * SIDE)
        batch = F.interpolate(crops, (side, side), mode="bilinear", align_corners=False)
        features = net.backbone.forward_features(batch)
        found = sum(
            F.conv2d(features, branch.weight, branch.bias, padding=rate, dilation=rate)
            for branch, rate in zip(net.head, (6, 12, 18, 24), strict=True)
        )
        return F.interpolate(found, (SIDE, SIDE), mode="bilinear", align_corners=False)

    def loss():
        every = [logits_at(scale) for scale in (1, *settings["scales"])]
        if settings["scales"]:
            every.append(torch.maximum(*every))
        return sum(cross_entropy(own, full) for own in every)

    groups = [(net.backbone.parameters(), 0.001), (net.head.parameters(), 0.001 * settings["lr_head_factor"])]
    descend(groups, loss, 2, settings["weight_decay"], settings["momentum"])
    assert_same_steps(trained(), net, start)
