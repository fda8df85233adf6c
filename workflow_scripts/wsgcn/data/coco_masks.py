"""Masks from COCO's polygons and run-length codes, and an image's label from all of its objects.

Formats: https://cocodataset.org/#format-data. Rasterised by pycocotools, so that an object has the pixels that COCO's
own tools give it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from wsgcn.files import IGNORE


class CocoObject(NamedTuple):
    """An object's `segmentation` as in the JSON, its value in the label, whether it is a crowd (`iscrowd`)."""

    segmentation: object
    value: int
    crowd: bool


def paint_label(objects: Iterable[CocoObject], height: int, width: int) -> np.ndarray:
    """The label, uint8 [H, W]: each object's value where it is, 0 where none is, 255 where only a crowd is.

    Where objects overlap the smaller one lies on top, as in the masks of coco2voc, so that none is lost; of equally
    large ones the later. Crowds lie below all objects: what is within one but no object of its own is unknown. Raises
    ValueError as `decode_segmentation`.
    """
    masks = [(decode_segmentation(own.segmentation, height, width), own) for own in objects]
    label = np.zeros((height, width), np.uint8)
    for mask, own in sorted(masks, key=lambda pair: (not pair[1].crowd, -int(pair[0].sum()))):
        label[mask] = IGNORE if own.crowd else own.value
    return label


def decode_segmentation(code: object, height: int, width: int) -> np.ndarray:
    """The mask, bool [H, W], of an annotation's `segmentation`: rings, or a run-length code, compressed or not.

    Raises ValueError with the end of a sentence where it is empty, broken, or of an image of another size.
    """
    if not code:
        raise ValueError("has no segmentation")
    try:
        if isinstance(code, list):
            return fill(code, height, width)
        counts = read_code(code, height, width)  # type: ignore[arg-type]
        return coco_mask.decode(coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)) > 0
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"its segmentation cannot be read: {error}") from None


def read_code(code: dict, height: int, width: int) -> list[int]:
    """The run lengths of a code, column by column from the top left, the first of zeros.

    Raises ValueError where it does not fill an image of this size, and as `run_lengths` and dictionaries do.
    """
    if list(code["size"]) != [height, width]:
        raise ValueError(f"its mask is {code['size'][1]}×{code['size'][0]}, but its image is {width}×{height}")
    counts = run_lengths(code["counts"]) if isinstance(code["counts"], str) else list(code["counts"])
    whole = all(type(count) is int for count in counts)
    if not whole or min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise ValueError("its run lengths do not fill the image")
    return counts


def fill(rings: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The mask, bool [H, W], of rings given as x, y, x, y, … in pixels, by pycocotools' rule; several are united.

    Raises ValueError where a ring has fewer than three corners, half a corner, or a coordinate that is no number.
    """
    for ring in rings:
        check_ring(ring)
    if not rings:
        return np.zeros((height, width), bool)
    clipped = [np.asarray(ring, float).clip(-1e6, 1e6).tolist() for ring in rings]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(clipped, height, width))).astype(bool)


def check_ring(ring: Sequence[float]) -> None:
    """Raises ValueError where a ring has fewer than three corners, half a corner, or a coordinate that is no number."""
    if len(ring) < 6 or len(ring) % 2:
        raise ValueError(f"a polygon has {len(ring)} coordinates; it needs x and y of three corners or more")
    if not np.isfinite(np.asarray(ring, float)).all():
        raise ValueError("a polygon has a coordinate that is no number")


def run_lengths(text: str) -> list[int]:
    """The run lengths of a compressed code: 5 bits per character, the lowest first; from the fourth run on, less the
    last but one run.

    pycocotools decodes a code that does not fill its image and leaves the rest of the memory as it is, so the lengths
    are checked first. Raises IndexError where the text ends within a number.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            part = ord(text[position]) - ord("0")
            value |= (part & 31) << shift
            position, shift, more = position + 1, shift + 5, bool(part & 32)
        value -= (part & 16) << (shift - 4)
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
