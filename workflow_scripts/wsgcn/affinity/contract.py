"""What every affinity network takes and gives.

Each has three functions: `label(image, cams, keys, settings)` makes what it is trained on, uint8 [H, W] or arrays by
name, from an image's CAMs; `train` is a `networks.training.Train`; `open_<network>(params, model, device)` opens the
weights at the path `model` for inference.
"""

from collections.abc import Callable

import numpy as np

AffinityOutput = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From an image, uint8 RGB [H, W, 3], to the arrays of its affinity file, which `affinity.matrices` reads."""
