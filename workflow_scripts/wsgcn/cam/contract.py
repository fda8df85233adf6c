"""What every source of class activation maps takes and gives.

A source is opened in a job by `open_<source>(params, model, device)`: params are the job's, model is the path of the
classifier's weights (None where the source has none), device is a `torch.device` (None for a source without network).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CamInput:
    """One image.

    image: uint8 RGB [H, W, 3] at the size it is processed at; keys: its own classes, indices from 1; file: path of its
    external CAMs, if any; full_size: the image's own (H, W) where a smaller copy is processed, else None.
    """

    image: np.ndarray
    keys: tuple[int, ...]
    file: str | None = None
    full_size: tuple[int, int] | None = None


CamSource = Callable[[CamInput], tuple[np.ndarray, np.ndarray]]
"""Maps of an image's own classes in 0..1, float, in the order of its keys: on the graph's grid [K, h, w], and at full
size [K, H, W]."""
