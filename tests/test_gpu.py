"""On a GPU: each training gives the same weights every time to the bit, also when it resumes from a checkpoint.

Run alone: `.venv/bin/python -m pytest tests/test_gpu.py`.
"""

from dataclasses import asdict, replace

import pytest
import torch
from PIL import Image

from wsgcn.affinity.affinitynet import train_affinitynet
from wsgcn.affinity.irnet import train_boundary
from wsgcn.cam.classifier import train_classifier
from wsgcn.data import demo_scenes as demo
from wsgcn.files import write_label
from wsgcn.networks.device import pick_device
from wsgcn.segmentation.deeplab import train_deeplab

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHARED = {"min_steps": 0, "batch": 4, "crop": 64, "weight_decay": 1e-4}
RATES = {"lr_backbone": 0.02, "lr_head": 0.2}
SCALE = {"scale": [0.75, 1.5]}
SETTINGS = {
    "classifier": SHARED | RATES | {"epochs": 6, "long_side": [64, 96]},
    "irnet": SHARED | SCALE | {"epochs": 6, "lr": 0.1, "radius": 5},
    "affinitynet": SHARED | SCALE | RATES | {"epochs": 6, "radius": 3},
    "deeplab": SHARED | SCALE | {"iterations": 12, "scales": [0.75], "lr": 5e-4, "lr_head_factor": 5, "momentum": 0.9},
}
TRAININGS = {
    "classifier": train_classifier,
    "irnet": train_boundary,
    "affinitynet": train_affinitynet,
    "deeplab": train_deeplab,
}


class Killed(BaseException):
    """In place of a signal: nothing catches it."""


@pytest.fixture
def drawings(tmp_path):
    """Paths of eight drawings, paths of their labels, and their classes (indices from 1)."""
    images, labels, classes = [], [], []
    for name, shown in demo.plan("train", 8, 0).items():
        pixels, truth = demo.draw(name, shown, 0, 96)
        images.append(str(tmp_path / f"{name}.png"))
        labels.append(str(tmp_path / f"{name}_label.png"))
        Image.fromarray(pixels).save(images[-1])
        write_label(labels[-1], truth)
        classes.append([1 + demo.CLASSES.index(c) for c in shown])
    return images, labels, classes


@pytest.fixture
def train(drawings, wheel):
    """train(network, context): the training of a network on the drawings."""
    images, labels, classes = drawings

    def call(network, context):
        backbone, settings = asdict(wheel), SETTINGS[network]
        if network == "deeplab":
            settings = settings | {"backbone": backbone}
        params = {"settings": settings, "backbone": backbone, "classes": len(demo.CLASSES)}
        return TRAININGS[network](images, classes if network == "classifier" else labels, params, context)

    return call


@pytest.mark.parametrize("network", TRAININGS)
def test_training_gives_the_same_bits_every_time(network, train, tmp_path, fit_context):
    def kill(line):
        if line.startswith("step 7/"):
            raise Killed

    context = replace(fit_context(3), device=pick_device("cuda"))
    models = [train(network, context)[0].state_dict() for _ in range(2)]
    with_checkpoint = replace(context, checkpoint=tmp_path / "state", seconds=0)
    with pytest.raises(Killed):
        train(network, replace(with_checkpoint, report=kill))
    models.append(train(network, with_checkpoint)[0].state_dict())
    for other in models[1:]:
        for key, values in models[0].items():
            assert torch.equal(values, other[key]), key
    assert all(torch.isfinite(values).all() for values in models[0].values())
