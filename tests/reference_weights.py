"""Weights of a network that are the same wherever they are drawn: those of the records in tests/reference/."""

from collections.abc import Mapping

import numpy as np
import torch


def drawn_weights(state: Mapping[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Values for each tensor of a state dict, drawn in the order of their names, such that no map explodes.

    Weights of convolutions: normal, of variance 2 / inputs; of norms: uniform in 0.5..1.5, a fifth of that for the
    last of a ResNet's block; running variances: uniform in 0.5..1.5; all else: normal, of standard deviation 0.1.
    """
    rng, found = np.random.default_rng(seed), {}
    for name in sorted(state):
        shape = tuple(state[name].shape)
        if name.endswith("num_batches_tracked"):
            found[name] = state[name]
            continue
        if len(shape) == 4:
            values = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith(("weight", "running_var")):
            values = rng.uniform(0.5, 1.5, shape) * (0.2 if name.endswith("bn3.weight") else 1)
        else:
            values = 0.1 * rng.standard_normal(shape)
        found[name] = torch.from_numpy(np.asarray(values, np.float32))
    return found
