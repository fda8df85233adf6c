"""External class activation maps: files of other methods, as the released codes of IRN, PSA and CLIP-ES write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.cam.contract import CamInput, CamSource
from wsgcn.cam.npy_reader import CallRecord, read_array, read_pickled_dict
from wsgcn.graph.grid import grid_size

FULL_SIZE = ("high_res", "attn_highres", "highres")
"""The names of maps of the image's size: IRN's and, refined by attention or not, CLIP-ES's."""

MAX_ROUNDING = 1e-3  # of a value beyond 0..1: one step of half precision above 1


def read_external_cams(
    path: str | Path,
    size: tuple[int, int],
    keys: Sequence[int],
    num_classes: int,
    full_size: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Another method's maps of an image's own classes, in IRN's, CLIP-ES's or PSA's style.

    size: (H, W) at which the image is processed; keys: the file's numbers, from 0, of the classes wanted (at least
    one); num_classes: of the file's numbering; full_size: the image's own (H, W), which the file's is, where a smaller
    copy is processed. Returns float32 in 0..1, in the order of keys, on the graph's grid [K, h, w] and at [K, H, W];
    what the file lacks is interpolated from what it holds. Raises ValueError, naming the file, where it is missing or
    broken, holds something other than arrays or tensors, or maps of another size, other classes, or outside of 0..1.
    """
    try:
        maps = _select_maps(read_pickled_dict(Path(path)), tuple(full_size or size), keys, num_classes)
    except ValueError as error:
        raise ValueError(f"CAM file {path}: {str(error)[:300]}") from None
    return _resize(maps[0], grid_size(*size)), _resize(maps[-1], tuple(size))


def open_external_cams(params: Mapping, model: str | None, device: object) -> CamSource:
    """Files of external CAMs as a source (`cam.contract`); it needs neither a model nor a device.

    params: names (of the classes 1 to C of the data set), numbering (the names in the order of the files' numbers).
    """
    names, numbering = params["names"], params["numbering"]

    def cams(given: CamInput) -> tuple[np.ndarray, np.ndarray]:
        numbers = [numbering.index(names[key - 1]) for key in given.keys]
        file: Any = given.file  # a job of this source has one per image
        return read_external_cams(file, given.image.shape[:2], numbers, len(numbering), given.full_size)

    return cams


def _select_maps(content: Mapping, size: tuple[int, ...], keys: Sequence[int], num_classes: int) -> list[np.ndarray]:
    """Coarse maps [K, any, any], full maps [K, H, W], or the one of them that the file holds, of some classes."""
    irn = "keys" in content
    if not irn and (not content or any(type(key) is str for key in content)):
        raise ValueError("holds a dict with neither keys (IRN's style) nor class numbers (PSA's)")
    numbers = _class_numbers(content["keys"] if irn else list(content), num_classes)
    for key in keys:
        if key not in numbers:
            raise ValueError(f"lacks class {key}, which the image has")
    indices = [numbers.index(key) for key in keys]
    if not irn:
        maps = list(content.values())
        return [np.stack([_checked_maps(maps[k], f"a map of class {numbers[k]}", size) for k in indices])]
    full = next((name for name in FULL_SIZE if content.get(name) is not None), FULL_SIZE[0])
    shapes = {"cam": (len(numbers), None, None), full: (len(numbers), *size)}
    found = [
        _checked_maps(content[name], name, shapes[name], indices) for name in shapes if content.get(name) is not None
    ]
    if not found:
        raise ValueError(f"holds neither cam nor {' nor '.join(FULL_SIZE)}")
    height, width = found[0].shape[1:]
    if abs(height * size[1] - width * size[0]) > max(size):  # more than a node from the image's proportions
        raise ValueError(f"holds cam of {height}×{width}, which is not the shape of its image, {size[0]}×{size[1]}")
    return found


def _class_numbers(value: Any, num_classes: int) -> list[int]:
    """Class numbers, each once: integers 0..num_classes-1 as an array or a tensor [K] or a list."""
    if type(value) in (list, tuple):
        head = value[: num_classes + 1]
        numbers = [read_array(number).tolist() if type(number) is CallRecord else number for number in head]
    else:
        array = read_array(value)
        numbers = array[: num_classes + 1].tolist() if array.ndim == 1 else [None]
    if any(type(number) is not int for number in numbers):
        raise ValueError("holds keys that are no list of integers")
    for number in numbers:
        if not 0 <= number < num_classes:
            raise ValueError(f"holds maps of the unknown class {number}; known are 0 to {num_classes - 1}")
    if len(set(numbers)) < len(numbers):
        raise ValueError("lists a class twice")
    return numbers


def _checked_maps(record: object, name: str, shape: tuple[int | None, ...], indices: Any = ...) -> np.ndarray:
    """Float32 in 0..1 of an array that must have a shape (None: any), at some indices of its first axis."""
    array = read_array(record)
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        found, expected = ("×".join("any" if n is None else str(n) for n in sides) for sides in (array.shape, shape))
        raise ValueError(f"holds {name} of shape {found} where its keys and the image ask for {expected}")
    with np.errstate(over="ignore"):  # an infinity is reported below
        array = array[indices].astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"holds {name} that is not finite")
    if array.min() < -MAX_ROUNDING or array.max() > 1 + MAX_ROUNDING:
        raise ValueError(f"holds {name} from {array.min():g} to {array.max():g}, outside of 0 to 1")
    return array.clip(0, 1)


def _resize(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Bilinear interpolation of maps [K, any, any] to a size; maps of that size stay as they are."""
    if maps.shape[1:] == size:
        return maps
    resized = F.interpolate(torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=False)[0]
    return resized.clamp(0, 1).numpy()  # weights that do not quite add up to 1 may carry it over
