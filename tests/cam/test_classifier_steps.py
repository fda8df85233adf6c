"""Two steps of the classifier's training against their formula, and its samples.

Run alone: `.venv/bin/python -m pytest tests/cam/test_classifier_steps.py`.
"""

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch
from configs import CONFIG
from PIL import Image
from slow_training import assert_same_steps, descend, normalised_crops, symmetric_pictures

from wsgcn.cam.classifier import ClassifierSettings, classifier_samples, train_classifier

NAMES = set(ClassifierSettings.__dataclass_fields__)
SETTINGS = {name: value for name, value in CONFIG["classifier"].items() if name in NAMES}
TARGETS = [(1, 4), (2,)]
"""Of two images; class 3 is shown by none."""


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_classifier_takes_the_steps_of_its_formula(decay, tmp_path, wheel, rng, fit_context):
    """Multi-label soft-margin loss: the mean over images and classes of the binary cross-entropies."""
    images, _, _ = symmetric_pictures(tmp_path, rng)
    settings = SETTINGS | {"epochs": 2, "min_steps": 0, "batch": 2, "crop": 48, "long_side": [48, 48]}

    def trained(**rates):
        params = {"classes": 4, "backbone": asdict(wheel), "settings": settings | {"weight_decay": decay} | rates}
        return train_classifier(images, TARGETS, params, fit_context(4))[0]

    start = trained(lr_backbone=0.0, lr_head=0.0)
    net, crops = copy.deepcopy(start).eval(), normalised_crops(images, start.backbone)  # batch norms as they were

    def loss():
        pooled = net.backbone.forward_features(crops).mean((2, 3))
        probabilities = torch.sigmoid(pooled @ net.head.weight[:, :, 0, 0].T)
        costs = []
        for own, classes in zip(probabilities, TARGETS, strict=True):
            costs += [-torch.log(own[c - 1] if c in classes else 1 - own[c - 1]) for c in range(1, 5)]
        return torch.stack(costs).mean()

    descend([([*net.backbone.parameters()], 0.01), ([*net.head.parameters()], 0.1)], loss, 2, decay)
    assert_same_steps(trained(lr_backbone=0.01, lr_head=0.1), net, start)


@pytest.mark.parametrize("long_side", [(20, 60), (30, 31)])
def test_the_longer_side_is_drawn_from_its_range(long_side, tmp_path):
    """Seen by the size of what is not padding; evenly, so that the mean is the middle."""
    Image.new("RGB", (16, 20), (9, 9, 9)).save(tmp_path / "a.png")
    settings = ClassifierSettings(**(SETTINGS | {"crop": 64, "long_side": long_side}))
    sample = classifier_samples([tmp_path / "a.png"], [(1,)], 1, settings, np.full(3, 200.0))
    sides = []
    for seed in range(150):
        own = (sample(0, np.random.default_rng(seed))[0] == 9).all(2)
        height, width = own.any(1).sum(), own.any(0).sum()
        assert abs(width - 0.8 * height) <= 1
        sides.append(height)
    low, high = long_side
    assert low <= min(sides) <= low + 2 and high - 2 <= max(sides) <= high
    assert abs(np.mean(sides) - (low + high) / 2) < 0.08 * (high - low) + 0.5
