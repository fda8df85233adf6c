"""Pictures of where the labels of two experiments disagree, and which of them is right there.

Every distinction is drawn both in colour (of the set of Okabe and Ito) and in lightness or stripes, so that it survives
grey print and colour blindness.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsgcn.data.augment import resize
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import IGNORE, read_image, read_label
from wsgcn.reporting.pictures import overlay, panel_strip

# Dark, medium, and light with stripes, over a picture lighter than the first two: they differ in grey even where a
# region is too thin for stripes.
BLUE, ORANGE, YELLOW, PURPLE = (0, 114, 178), (230, 159, 0), (240, 228, 66), (204, 121, 167)
STRIPE = (60, 50, 0)
AGREED_BASE, AGREED_SHARE = 205, 0.19  # grey where labels agree, as base + share * the image's grey: 205..253

STRIP_HEIGHT_PX, MAX_WIDTH_PX = 225, 1580
MAX_IMAGES_SHOWN = 6


@dataclass(frozen=True)
class DisagreementRow:
    """One image of a comparison: image uint8 [H, W, 3], labels and truth (None if unknown) uint8 [H, W], a caption."""

    image: np.ndarray
    base: np.ndarray
    other: np.ndarray
    truth: np.ndarray | None
    caption: str


def disagreement_rows(
    shares: Mapping[int, float],
    images: Sequence[str],
    labels: Sequence[str],
    reference_labels: Sequence[str],
    truth: GroundTruth,
) -> list[DisagreementRow]:
    """The images whose labels differ most, at most MAX_IMAGES_SHOWN, the most different first.

    shares: as `comparison.disagreement_shares` returns them; images, labels, reference_labels: one file per image.
    """
    rows = []
    for index in sorted(shares, key=lambda index: -shares[index])[:MAX_IMAGES_SHOWN]:
        label = read_label(labels[index])
        rows.append(
            DisagreementRow(
                image=resize(read_image(images[index]), *label.shape),
                base=read_label(reference_labels[index]),
                other=label,
                truth=truth.read(index),
                caption=f"{truth.ids[index]}: {shares[index]:.0%} of the pixels differ",
            )
        )
    return rows


def disagreement(image: np.ndarray, base: np.ndarray, other: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
    """Colour the pixels where two labels differ, over the pale grey image.

    image uint8 [H, W, 3]; base, other, truth uint8 [H, W] -> uint8 [H, W, 3]. BLUE where only `other` is right, ORANGE
    where only `base` is right, YELLOW with stripes where neither is; pixels that the truth ignores stay grey. Without a
    truth, PURPLE.
    """
    luma = np.asarray(Image.fromarray(image).convert("L"), float)
    out = np.rint(AGREED_BASE + AGREED_SHARE * luma).astype(np.uint8)[..., None].repeat(3, axis=2)
    differ = base != other
    if truth is None:
        out[differ] = PURPLE
        return out
    differ &= truth != IGNORE
    out[differ] = YELLOW
    out[differ & _stripes(base.shape)] = STRIPE
    out[differ & (base == truth)] = ORANGE
    out[differ & (other == truth)] = BLUE
    return out


def disagreement_picture(
    rows: Sequence[DisagreementRow], base_name: str, other_name: str, palette: np.ndarray
) -> Image.Image:
    """A legend and, below it, one strip per row: image, both labels, their `disagreement`, and the truth if known.

    rows: as `disagreement_rows` returns them; names and captions in ASCII (see `pictures.panel_strip`). A strip that
    would be wider than MAX_WIDTH_PX is made less high.
    """
    strips = [_strip(row, base_name, other_name, palette) for row in rows]
    legend = _legend({row.truth is not None for row in rows}, base_name, other_name)
    font, heading, line = ImageFont.load_default(17), ImageFont.load_default(20), 26
    widths = [28 + math.ceil(font.getlength(text)) for text, _ in legend]
    width = max([*widths, *(picture.width for picture in strips)])
    canvas = Image.new("RGB", (width, line * len(legend) + sum(picture.height + 44 for picture in strips)), "white")
    draw = ImageDraw.Draw(canvas)
    x, y = 0, 0
    for (text, swatch), entry in zip(legend, widths, strict=True):
        if x and x + entry > width:
            x, y = 0, y + line
        canvas.paste(swatch, (x, y))
        draw.text((x + 28, y), text, fill=(32, 32, 32), font=font)
        x += entry + 24
    y += line
    for row, picture in zip(rows, strips, strict=True):
        draw.text((0, y + 12), row.caption, fill="black", font=heading, stroke_width=0.4)
        canvas.paste(picture, (0, y + 40))
        y += picture.height + 44
    return canvas.crop((0, 0, width, y))


def _strip(row: DisagreementRow, base_name: str, other_name: str, palette: np.ndarray) -> Image.Image:
    """One row of `disagreement_picture`."""
    panels = [
        ("image", row.image),
        (base_name, overlay(row.image, row.base, palette)),
        (other_name, overlay(row.image, row.other, palette)),
        ("difference", disagreement(row.image, row.base, row.other, row.truth)),
    ]
    if row.truth is not None:
        panels.append(("truth", overlay(row.image, row.truth, palette)))
    picture = panel_strip(panels, STRIP_HEIGHT_PX)
    if picture.width > MAX_WIDTH_PX:  # a strip's captions and gutters scale with its height
        picture = panel_strip(panels, STRIP_HEIGHT_PX * MAX_WIDTH_PX // picture.width)
    return picture


def _legend(with_truth: set[bool], base_name: str, other_name: str) -> list[tuple[str, Image.Image]]:
    """Texts and swatches of the colours that `disagreement` draws with a truth (True), without one (False), or both."""
    entries: list[tuple[str, int, int, int | None]] = []
    if True in with_truth:
        entries += [(f"only {other_name} right", 0, 1, 1), (f"only {base_name} right", 1, 0, 1)]
        entries += [("both wrong, differently", 0, 1, 2)]
    if False in with_truth:
        entries += [("different labels, no truth", 0, 1, None)]
    entries += [("same label, or ignored in the truth" if True in with_truth else "same label", 0, 0, 0)]
    size = (STRIP_HEIGHT_PX, STRIP_HEIGHT_PX)  # of the strips, so that the stripes are as wide
    grey, swatches = np.full((*size, 3), 128, np.uint8), []
    for text, *labels, true_label in entries:
        base, other = (np.full(size, label, np.uint8) for label in labels)
        truth = None if true_label is None else np.full(size, true_label, np.uint8)
        swatches.append((text, Image.fromarray(disagreement(grey, base, other, truth)[:20, :22])))
    return swatches


def _stripes(shape: tuple[int, int]) -> np.ndarray:
    """Thin diagonals, bool [H, W], perpendicular to those of unlabelled pixels in `pictures.overlay`."""
    period = max(4, min(shape) // 25)
    rows, columns = np.indices(shape)
    return (columns - rows) % period < max(1, period // 3)
