"""The gallery of the report: for some images a strip of pictures, one per stage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsgcn.data.augment import resize
from wsgcn.evaluation.label_files import grid_label, pixel_label, refined_label
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import read_arrays, read_image, voc_palette, why_skipped
from wsgcn.reporting.pictures import grey_map, heat_map, overlay, panel_strip


@dataclass(frozen=True)
class StageFiles:
    """The files of each stage, one per image; none of a stage that an experiment does not have.

    images: RGB; cams, boundaries, refined: .npz; partials, pseudo: label PNGs.
    """

    images: Sequence[str]
    cams: Sequence[str]
    boundaries: Sequence[str]
    partials: Sequence[str]
    refined: Sequence[str]
    pseudo: Sequence[str]


@dataclass(frozen=True)
class GalleryItem:
    """An image's id, the names of its classes, the mIoU of its pseudo label (None if unknown), its strip."""

    image: str
    classes: Sequence[str]
    miou: float | None
    strip: Image.Image


def make_gallery(
    files: StageFiles,
    truth: GroundTruth,
    image_classes: Sequence[Sequence[int]],
    evaluations: Iterable[Mapping],
    method: str,
) -> list[GalleryItem]:
    """The images of `truth` without those that were skipped.

    image_classes: each image's classes, indices from 1; evaluations: of the experiment's stages; method: the caption of
    the refiner's label.
    """
    miou = {row["image"]: row["miou"] for e in evaluations if e["stage"] == "refined_crf" for row in e["by_image"]}
    return [
        GalleryItem(
            image=image,
            classes=[truth.classes[c - 1] for c in image_classes[index]],
            miou=miou.get(image),
            strip=panel_strip(_panels(files, truth, index, method)),
        )
        for index, image in enumerate(truth.ids)
        if not why_skipped(files.pseudo[index])
    ]


def _panels(files: StageFiles, truth: GroundTruth, index: int, method: str) -> list[tuple[str, np.ndarray]]:
    """Captions and pictures of the stages of the image at `index`."""
    pixels, palette = read_image(files.images[index]), voc_palette()
    size = pixels.shape[:2]
    cam = read_arrays(files.cams[index])["high_res"].max(0, initial=0).astype(np.float32)
    panels = [("image", pixels), ("CAM", heat_map(pixels, cam))]
    boundary = read_arrays(files.boundaries[index]).get("boundary") if files.boundaries else None
    if boundary is not None:  # none is computed for an image without a class
        panels.append(("boundary", resize(grey_map(boundary), *size)))
    if files.partials:
        panels.append(("partial", overlay(pixels, grid_label(files.partials[index], size), palette)))
    panels += [
        (method, overlay(pixels, refined_label(files.refined[index], size), palette)),
        (f"{method} + CRF", overlay(pixels, pixel_label(files.pseudo[index], size), palette)),
    ]
    mask = truth.read(index)
    if mask is not None:
        panels.append(("truth", overlay(pixels, mask, palette)))
    return panels
