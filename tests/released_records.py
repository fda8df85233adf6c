"""What released codes computed on three drawn images, tests/reference/; docs/fidelity.md says how it was made."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "reference"
IMAGES = range(3)


def record(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, by their names; those of image k end with _k."""
    with np.load(FOLDER / f"{name}.npz") as archive:
        return dict(archive)


DRAWN = record("wsgcn_images")
"""image uint8 [H, W, 3], mask uint8 [H, W], keys uint8 [K], cam float16 [K, h, w] in 0..1, boundary float16 [h, w]."""


def drawn(k: int) -> dict[str, np.ndarray]:
    """The arrays of image k, and its `keys` as a list."""
    found = {name.removesuffix(f"_{k}"): value for name, value in DRAWN.items() if name.endswith(f"_{k}")}
    return found | {"keys": found["keys"].tolist()}
