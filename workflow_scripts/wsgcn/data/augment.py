"""Random scaling, flipping and cropping of an image and what is drawn on its pixels, from an explicit generator."""

import numpy as np
from PIL import Image

from wsgcn.files import IGNORE


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 RGB [H, W, 3] to [height, width, 3], bicubic with antialiasing."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_label(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 label [H, W] to [height, width], nearest neighbour."""
    if label.shape == (height, width):
        return label
    return np.array(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))


def rescale(image: np.ndarray, label: np.ndarray | None, scale: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Both by the same factor, at least one pixel a side."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return resize(image, height, width), None if label is None else resize_label(label, height, width)


def flip_and_crop(
    image: np.ndarray, label: np.ndarray | None, size: int, mean: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mirror half of the time, then cut (or pad, at random places) to [size, size].

    Padding is the backbone's mean colour `mean` (float [3], 0..255), nothing once normalised, and 255 in the label.
    Returns uint8 [size, size, 3] and uint8 [size, size] (None without a label).
    """
    if rng.random() < 0.5:
        image = image[:, ::-1]
        label = None if label is None else label[:, ::-1]
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = np.round(mean)
    target = None if label is None else np.full((size, size), IGNORE, np.uint8)
    sources, targets = zip(*(_window(side, size, rng) for side in image.shape[:2]), strict=True)
    canvas[targets] = image[sources]
    if target is not None:
        target[targets] = label[sources]
    return canvas, target


def _window(side: int, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Where to read along a side of the image and where to write along a side of the crop."""
    length = min(side, size)
    source, target = int(rng.integers(side - length + 1)), int(rng.integers(size - length + 1))
    return slice(source, source + length), slice(target, target + length)
