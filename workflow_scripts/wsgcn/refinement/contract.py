"""What every refiner takes and returns, so that a registry can name it as "module:function". Imports no torch.

A refiner is a function `(images: Sequence[RefinerInput], params: Mapping, device: torch.device | None) ->
list[Refined]`, one result per image in their order. params: the parameters of its job; device: None for a refiner that
runs no network. Its result for an image must not depend on the other images, on a GPU up to rounding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

DEFAULT_FIELD: Any = None
"""Of a field that the refiner does not ask for; a refiner uses the others without a check for None."""


@dataclass(frozen=True)
class RefinerInput:
    """An image as a refiner sees it; fields that the refiner does not ask for are None.

    id: the image's name; keys: its own classes (indices from 1); image: uint8 RGB [H, W, 3] at the size it is processed
    at; cam: arrays of its CAM file: keys uint8 [K], cam float16 [K, h, w] in 0..1, high_res float16 [K, H, W];
    network_output: arrays of its affinity file (`affinity.matrices`); partial: partial label, uint8 [h, w] of keys, 0
    and 255.
    """

    id: str
    keys: tuple[int, ...]
    image: np.ndarray = DEFAULT_FIELD
    cam: dict[str, np.ndarray] = DEFAULT_FIELD
    network_output: dict[str, np.ndarray] = DEFAULT_FIELD
    partial: np.ndarray = DEFAULT_FIELD


@dataclass(frozen=True)
class Refined:
    """Complete scores of an image.

    keys: its classes (indices from 1), in the order of the scores; scores: float [K + 1, h, w], background first;
    losses: float32 [epochs, 5] as `loss_names.LOSSES`, None for a refiner without training.
    """

    keys: tuple[int, ...]
    scores: np.ndarray
    losses: np.ndarray | None = None
