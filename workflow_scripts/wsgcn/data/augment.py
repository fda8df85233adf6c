"""Random scaling, flipping and cropping of an image and its label, from an explicit random generator."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageEnhance

from wsgcn.files import IGNORE

Label = TypeVar("Label", np.ndarray, None)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image, uint8 RGB [H, W, 3], to [height, width, 3]: bicubic with antialiasing."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def grid_image(image: np.ndarray, height: int, width: int, reading: str = "bicubic") -> np.ndarray:
    """An image, uint8 RGB [H, W, 3], on the graph's grid: uint8 [height, width, 3].

    reading: `bicubic`, or `lanczos_bgr` as in WSGCN's released code: Lanczos, blue first. The order of the channels
    changes a dense CRF slightly, since the lattice that approximates it has no symmetry.
    """
    if reading == "bicubic":
        return resize(image, height, width)
    bgr = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    return np.asarray(bgr.resize((width, height), Image.Resampling.LANCZOS))


def resize_label(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label, uint8 [H, W], to [height, width]: nearest neighbour."""
    if label.shape == (height, width):
        return label
    return np.array(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))


def rescale(image: np.ndarray, label: Label, scale: float) -> tuple[np.ndarray, Label]:
    """Resize an image and its label by the same factor, to at least one pixel per side."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return resize(image, height, width), None if label is None else resize_label(label, height, width)


def jitter_colours(image: np.ndarray, strengths: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """An image, uint8 RGB [H, W, 3], with its colours changed at random, as torchvision's ColorJitter does.

    strengths: of brightness, contrast and saturation, each multiplied by a factor within 1 - s and 1 + s, at least 0,
    and of the hue, which is turned by at most this share of a turn; applied in a random order. At 0 nothing is drawn.
    """
    if not any(strengths):
        return image
    picture = Image.fromarray(image)
    for k in rng.permutation(4).tolist():
        strength = strengths[k]
        if k < 3:
            enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[k]
            picture = enhance(picture).enhance(rng.uniform(max(0, 1 - strength), 1 + strength))
        else:
            hue, saturation, value = picture.convert("HSV").split()
            turned = (np.asarray(hue).astype(int) + int(255 * rng.uniform(-strength, strength))) % 256
            channels = (Image.fromarray(turned.astype(np.uint8)), saturation, value)
            picture = Image.merge("HSV", channels).convert("RGB")
    return np.asarray(picture)


def flip_and_crop(
    image: np.ndarray, label: Label, size: int, mean: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Label]:
    """Mirror with probability 0.5, then crop, or pad, at a random offset to [size, size].

    image: uint8 [H, W, 3]; label: uint8 [H, W] or None; mean: the colour of the padding, float [3] in 0..255, that of
    the backbone's normalisation, so that padding is 0 after it. The label's padding is 255; that of float scores in its
    place is 0. Returns uint8 [size, size, 3] and the label's dtype [size, size] (None without a label). Several labels
    [H, W, L] become [size, size, L].
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
        padding = 0 if np.issubdtype(label.dtype, np.floating) else IGNORE
        target = np.full((size, size, *label.shape[2:]), padding, label.dtype)
        target[target_window] = label[source_window]
    return canvas, target


def _windows(side: int, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """The slice to read along one side of the image and the slice to write along that side of the crop."""
    length = min(side, size)
    source, target = int(rng.integers(side - length + 1)), int(rng.integers(size - length + 1))
    return slice(source, source + length), slice(target, target + length)
