"""Trainings written out: pictures whose batches are known beforehand, and stochastic gradient descent by its formula.

A picture that is its own mirror image, of a size that scaling by a fixed factor makes the size of the crop, gives the
same sample whatever is drawn. A batch of all pictures is then known but for its order, which no mean depends on.
"""

import numpy as np
import torch
from PIL import Image

from wsgcn.files import write_label

SIDE = 48
"""Of a crop [pixels]."""

COARSE = 6
"""Squares of one colour and one label along a side of a picture."""


def symmetric_pictures(folder, rng, factor=2, count=2):
    """Paths of pictures `factor` times as large as a crop, paths of their labels, and these, uint8 [count, 6, 6].

    Labels are 0, 1, 2 and 255.
    """
    images, labels, coarse = [], [], []
    for k in range(count):
        left = COARSE // 2
        colours = rng.integers(0, 256, (COARSE, left, 3)).astype(np.uint8)
        label = rng.permutation(np.resize([0, 1, 2, 1, 0, 255], COARSE * left)).reshape(COARSE, left).astype(np.uint8)
        colours, label = (np.concatenate([half, half[:, ::-1]], 1) for half in (colours, label))
        images.append(str(folder / f"{k}.png"))
        labels.append(str(folder / f"label{k}.png"))
        Image.fromarray(enlarge(colours, factor * SIDE // COARSE)).save(images[-1])
        write_label(labels[-1], enlarge(label, factor * SIDE // COARSE))
        coarse.append(label)
    return images, labels, np.stack(coarse)


def enlarge(values, factor):
    """[h, w, ...] with each value repeated as a square."""
    return values.repeat(factor, 0).repeat(factor, 1)


def normalised_crops(images, backbone):
    """The pictures at the size of a crop, in the range of the backbone's weights: float32 [count, 3, 48, 48]."""
    pixels = [np.asarray(Image.open(path).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for path in images]
    mean, std = (np.array(backbone.pretrained_cfg[key]) for key in ("mean", "std"))
    return torch.tensor((np.stack(pixels) / 255 - mean) / std).permute(0, 3, 1, 2).float()


def descend(groups, loss, steps, weight_decay, momentum=0.0):
    """SGD on a poly schedule: v = momentum v + gradient + decay w; w = w - rate (1 - step / steps)^0.9 v.

    groups: [(parameters, rate)], changed in place; loss(): of the parameters as they are. What the loss does not depend
    on stays as it is.
    """
    parameters = [(p, rate) for group, rate in groups for p in group]
    velocities = [torch.zeros_like(p) for p, _ in parameters]
    for step in range(steps):
        gradients = torch.autograd.grad(loss(), [p for p, _ in parameters], allow_unused=True)
        with torch.no_grad():
            for (p, rate), velocity, gradient in zip(parameters, velocities, gradients, strict=True):
                if gradient is not None:
                    velocity.mul_(momentum).add_(gradient + weight_decay * p)
                    p -= rate * (1 - step / steps) ** 0.9 * velocity


def assert_same_steps(trained, expected, start):
    """Each tensor of two networks has moved from the start by the same, to one percent of the movement's norm."""
    moved = 0
    for (name, found), wanted, first in zip(
        trained.named_parameters(), expected.parameters(), start.parameters(), strict=True
    ):
        step = (wanted - first).norm()
        assert (found - wanted).norm() <= 0.01 * step, name
        moved += bool(step > 0)
    assert moved
