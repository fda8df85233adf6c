"""On a GPU: each training gives the same weights every time to the bit, and so does one that a checkpoint saved."""

import dataclasses

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

CROPS = {"epochs": 6, "batch": 4, "crop": 64, "scale": [0.75, 1.5], "weight_decay": 1e-4}
RATES = {"lr_backbone": 0.02, "lr_head": 0.2}


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.fixture
def trainings(tmp_path, wheel):
    """Each training on eight drawings, as a function of how it is carried out alone."""
    images, labels, classes = [], [], []
    for name, shown in demo.plan("train", 8, 0).items():
        pixels, truth = demo.draw(name, shown, 0, 96)
        images.append(str(tmp_path / f"{name}.png"))
        labels.append(str(tmp_path / f"{name}_label.png"))
        Image.fromarray(pixels).save(images[-1])
        write_label(labels[-1], truth)
        classes.append([1 + demo.CLASSES.index(c) for c in shown])
    count, deeplab = len(demo.CLASSES), CROPS | {"backbone": wheel, "iterations": 12, "scales": [0.75], "lr": 5e-4}
    classifier = CROPS | RATES | {"long_side": [64, 96]}
    return {
        "classifier": lambda run: train_classifier(images, classes, count, wheel, classifier, run),
        "boundary": lambda run: train_boundary(images, labels, wheel, CROPS | {"lr": 0.1, "radius": 5}, run),
        "affinitynet": lambda run: train_affinitynet(images, labels, wheel, CROPS | RATES | {"radius": 3}, run),
        "deeplab": lambda run: train_deeplab(
            images, labels, count, deeplab | {"lr_head_factor": 5, "momentum": 0.9}, run
        ),
    }


@pytest.mark.parametrize("name", ["classifier", "boundary", "affinitynet", "deeplab"])
def test_a_training_gives_the_same_bits_every_time(name, trainings, tmp_path, quietly):
    def kill(line):
        if line.startswith("step 7/"):
            raise Killed

    run = dataclasses.replace(quietly(3), device=pick_device("cuda"))
    models = [trainings[name](run)[0].state_dict() for _ in range(2)]
    resumed = dataclasses.replace(run, checkpoint=tmp_path / "state", seconds=0)
    with pytest.raises(Killed):
        trainings[name](dataclasses.replace(resumed, report=kill))
    models.append(trainings[name](resumed)[0].state_dict())
    for other in models[1:]:
        for key, values in models[0].items():
            assert torch.equal(values, other[key]), key
    assert all(torch.isfinite(values).all() for values in models[0].values())
