"""Label files of every stage as labels of a whole image, uint8 [H, W]: 0 background, 1..C classes, 255 unlabelled.

Sizes are (H, W) in pixels. All readers raise `files.Skipped` on the file of a skipped image.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from wsgcn.data.augment import resize_label
from wsgcn.files import read_arrays, read_label, why_skipped
from wsgcn.labels.scores import label_from_cams, label_of, upsample

LabelReader = Callable[[str, tuple[int, int]], np.ndarray]
"""(path, size) -> label."""

Labeller = Callable[[float], np.ndarray]
"""Background score in 0..1 -> label."""


def label_reader(stage: str, background_score: float | None = None) -> LabelReader:
    """The reader of an evaluated stage's label files; a stage that is not listed here writes PNGs at full size.

    background_score: the constant that CAMs compete with; other stages do not use it. Raises ValueError where CAMs have
    none.
    """
    if stage == "cam":
        if background_score is None:
            raise ValueError("labels from CAMs need a background score")
        return partial(cam_label, background=background_score)
    return {"partial": grid_label, "refined": refined_label}.get(stage, pixel_label)


def cam_labeller(path: str, size: tuple[int, int]) -> Labeller:
    """Labels of a CAM file by background score: its argmax against that constant, nearest at full size."""
    cam = read_arrays(path)
    classes = cam["keys"].tolist()
    return lambda background: resize_label(label_from_cams(cam["high_res"], classes, background), *size)


def walk_labeller(path: str, size: tuple[int, int]) -> Labeller:
    """As `cam_labeller`, for a refined file whose background scores are a constant; that constant is left out."""
    refined = read_arrays(path)
    scores, classes = upsample(refined["scores"][1:], *size), refined["keys"].tolist()
    return lambda background: label_from_cams(scores, classes, background)


def cam_label(path: str, size: tuple[int, int], background: float) -> np.ndarray:
    """A CAM file's label at one background score."""
    return cam_labeller(path, size)(background)


def refined_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """Argmax of a refined file's scores at full size: the refiner's label without the dense CRF."""
    refined = read_arrays(path)
    return label_of(upsample(refined["scores"], *size), refined["keys"].tolist())


def grid_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """A label PNG on the grid, nearest at full size."""
    return resize_label(read_label(path), *size)


def pixel_label(path: str, size: tuple[int, int]) -> np.ndarray:
    """A label PNG that already has full size."""
    return read_label(path)


def share_without_background(paths: Iterable[str]) -> float:
    """The share, in 0..1, of label PNGs without a pixel of background; skipped ones do not count; 0 of none."""
    labels = [path for path in paths if not why_skipped(path)]
    return sum(0 not in read_label(path) for path in labels) / max(1, len(labels))
