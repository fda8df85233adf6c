"""Random scaling, flipping and cropping of an image and its label, from an explicit random generator."""

from typing import TypeVar

import numpy as np
from PIL import Image

from wsgcn.files import IGNORE

Label = TypeVar("Label", np.ndarray, None)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image, uint8 RGB [H, W, 3], to [height, width, 3]: bicubic with antialiasing."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_label(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label, uint8 [H, W], to [height, width]: nearest neighbour."""
    if label.shape == (height, width):
        return label
    return np.array(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))


def rescale(image: np.ndarray, label: Label, scale: float) -> tuple[np.ndarray, Label]:
    """Resize an image and its label by the same factor, to at least one pixel per side."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return resize(image, height, width), None if label is None else resize_label(label, height, width)


def flip_and_crop(
    image: np.ndarray, label: Label, size: int, mean: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Label]:
    """Mirror with probability 0.5, then crop, or pad, at a random offset to [size, size].

    image: uint8 [H, W, 3]; label: uint8 [H, W] or None; mean: the colour of the padding, float [3] in 0..255, that of
    the backbone's normalisation, so that padding is 0 after it. The label's padding is 255. Returns uint8
    [size, size, 3] and uint8 [size, size] (None without a label). Several labels [H, W, L] become [size, size, L].
    """
    if rng.random() < 0.5:
        image = image[:, ::-1]
        label = None if label is None else label[:, ::-1]
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = np.round(mean)
    source_window, target_window = zip(*(_windows(side, size, rng) for side in image.shape[:2]), strict=True)
    canvas[target_window] = image[source_window]
    target = None
    if label is not None:
        target = np.full((size, size, *label.shape[2:]), IGNORE, np.uint8)
        target[target_window] = label[source_window]
    return canvas, target


def _windows(side: int, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """The slice to read along one side of the image and the slice to write along that side of the crop."""
    length = min(side, size)
    source, target = int(rng.integers(side - length + 1)), int(rng.integers(size - length + 1))
    return slice(source, source + length), slice(target, target + length)
