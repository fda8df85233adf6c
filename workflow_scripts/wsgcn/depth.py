"""Images of 16 bits per channel, which mostly hold fewer: read whole, and scaled to 8 bits.

Pillow keeps the upper 8 of 16 bits of a colour image, so that one of 10 or 12 bits becomes nearly black.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112
"""EXIF's tag of how to turn an image upright, 1 to 8; values from 5 to 8 exchange height and width."""

TIFF_PHOTOMETRIC = 262
"""TIFF's tag of what 0 means: 0 for white, 1 for black."""

TIFF_BITS = 258
"""TIFF's tag of the bits per channel."""

DEEP_COLOURS = re.compile("(RGB|RGBA|RGBa|RGBX|LA|La|CMYK);16[BLNS]?")
"""Pillow's raw modes of colours that it cuts to 8 bits."""


def open_image(path: str | Path) -> Image.Image:
    """A file as Pillow opens it, but never mapped into memory.

    Pillow maps an uncompressed TIFF with the size that it has once turned upright, which scrambles its rows.
    """
    image = Image.open(path)
    if image.format == "TIFF":
        image.filename = ""  # without a name, it is read
    return image


def is_deep(image: Image.Image) -> bool:
    """Whether a file that Pillow has opened, but not loaded, holds 16 bits per channel."""
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM") or _has_deep_colours(image)


def orientation_of(image: Image.Image) -> int:
    """An image's EXIF orientation, 1 to 8; 1 (upright) where there is none or an impossible one."""
    value = image.getexif().get(ORIENTATION, 1)
    return int(value) if value in range(1, 9) else 1


def read_deep(path: str | Path, image: Image.Image) -> np.ndarray:
    """All bits of an image that `is_deep`: uint16 [H, W] or [H, W, 3], upright, without transparency.

    image: the file at `path` as Pillow has opened it. Raises ValueError where the format is neither PNG nor TIFF and
    its colours are deep, and where 0 is white.
    """
    if image.format == "TIFF" and image.tag_v2.get(TIFF_PHOTOMETRIC) == 0:  # type: ignore[attr-defined]
        raise ValueError("TIFF of 16 bits whose 0 is white is not supported; save it with 0 as black")
    if not _has_deep_colours(image):
        return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    if image.format not in ("PNG", "TIFF"):
        raise ValueError(
            f"colours of {image.format} with over 8 bits per channel are not supported (expected PNG or TIFF)"
        )
    from imagecodecs import imread  # late: few data sets need it

    turned, channels = orientation_of(image), len(image.getbands())
    if image.mode == "CMYK":
        raise ValueError("CMYK of 16 bits per channel is not supported (expected grey or RGB)")
    pixels = imread(str(path), codec=image.format.lower())
    if pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError(f"{image.format} with {pixels.dtype} of shape {pixels.shape} is not supported")
    if pixels.shape[0] == channels and pixels.shape[2] != channels:  # a plane per channel
        pixels = np.moveaxis(pixels, 0, -1)
    grey = pixels.shape[2] == 2
    return np.ascontiguousarray(_turn_upright(pixels[..., 0] if grey else pixels[..., :3], turned))


def scale_to_8_bits(pixels: np.ndarray, black_white: tuple[int, int] | None = None) -> np.ndarray:
    """Values from black to white as 0..255, uint8; what lies outside is clipped.

    black_white: None: from 0 to the largest value of as many bits as the pixels need, 8 at least.
    """
    black, white = black_white or (0, full_white(int(pixels.max(initial=0))))
    return (255 * ((pixels.astype(np.float32) - black) / max(white - black, 1)).clip(0, 1)).round().astype(np.uint8)


def full_white(value: int) -> int:
    """The largest number of as many bits as `value` has, 8 at least: 255, 1023 or 4095 for 8, 10 or 12 bits."""
    return (1 << max(8, value.bit_length())) - 1


def _has_deep_colours(image: Image.Image) -> bool:
    if image.mode.startswith("I") or not (tiles := getattr(image, "tile", None)):
        return False
    codec, args = tiles[0].codec_name, tiles[0].args
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    if image.format == "TIFF":
        return max(image.tag_v2.get(TIFF_BITS, (8,))) == 16  # type: ignore[attr-defined]
    if image.format == "PPM":
        return codec.startswith("ppm") and args[-1] > 255
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image) > 8
    return codec == "SGI16" or (isinstance(raw_mode, str) and DEEP_COLOURS.fullmatch(raw_mode) is not None)


def _jpeg2000_bits(image: Image.Image) -> int:
    """Bits per channel, from the marker of the sizes in the file's head; 8 where there is none."""
    stream = getattr(image, "fp", None)
    if stream is None:
        return 8
    position = stream.tell()
    stream.seek(0)
    head = stream.read(4096)
    stream.seek(position)
    start = head.find(b"\xff\x51")
    return (head[start + 40] & 0x7F) + 1 if 0 <= start < len(head) - 40 else 8


def _turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An array [H, W, …] as EXIF's orientation says, like Pillow's `exif_transpose`."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
