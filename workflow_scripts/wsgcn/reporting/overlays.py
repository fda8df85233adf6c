"""A sheet of labels over their images, with the ground truth beside them."""

from collections.abc import Sequence

from PIL import Image

from wsgcn.evaluation.label_files import LabelReader
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import read_image, voc_palette, why_skipped
from wsgcn.reporting.pictures import overlay, panel_strip

NUM_PANELS_PER_ROW = 6


def overlay_sheet(
    shown: Sequence[str], images: Sequence[str], labels: Sequence[str], truth: GroundTruth, read: LabelReader
) -> Image.Image:
    """Rows of pictures: the label over its image and, for an image with a mask, the truth over it.

    shown: ids, of which skipped ones are left out; a white pixel if none remains. images, labels: one file per id of
    `truth`; read: how the label files are read.
    """
    panels, palette = [], voc_palette()
    for image in shown:
        index = list(truth.ids).index(image)
        if why_skipped(labels[index]):
            continue
        pixels = read_image(images[index])
        panels.append((image, overlay(pixels, read(labels[index], pixels.shape[:2]), palette)))
        mask = truth.read(index)
        if mask is not None:
            panels.append(("truth", overlay(pixels, mask, palette)))
    rows = [panel_strip(panels[k : k + NUM_PANELS_PER_ROW]) for k in range(0, len(panels), NUM_PANELS_PER_ROW)]
    return _stack(rows or [Image.new("RGB", (1, 1), "white")])


def _stack(rows: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another on white, aligned on the left."""
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet
