"""Read and write the workflow's files: images, label PNGs, arrays, JSON. Writes are atomic."""

import json
import os
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from wsgcn.depth import is_deep, open_image, read_deep, scale_to_8_bits

IGNORE = 255
"""The label of unlabelled pixels (VOC's void)."""

UNREADABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    struct.error,
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
)
"""What Pillow raises on broken images and on files that are not images."""

SKIPPED_KEY = "skipped"
"""The name of the array, or of the PNG text, that says why an image was skipped."""


class Skipped(Exception):
    """Raised on reading the file of an image that an earlier stage skipped; the message says which stage and why."""


def voc_palette() -> np.ndarray:
    """PASCAL VOC's colour map, uint8 [256, 3]: the index's bits go to R, G and B in turn, to the highest bits first."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends without an error.

    Creates the folder where needed. An OSError without a file name, such as that of a full disk, gets `path` as its
    file name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())  # a power failure must not leave an empty file of this name
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def why_no_file(path: str | Path) -> str | None:
    """Why `path` is not a file that can be opened, as the end of a sentence; None where it is one."""
    try:
        return None if stat.S_ISREG(os.stat(path).st_mode) else "is not a file"
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:  # a character that no path can contain
        return "is not a path"


def why_not_writable(folder: Path) -> str | None:
    """Why nothing can be written in a folder, as a sentence; None where it can. The folder is made where it can be."""
    for part in (folder, *folder.parents):
        if part.is_symlink() and not part.exists():
            return f"{part} is a link to {part.readlink()}, which does not exist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"
    return None


NAMED_WEIGHTS = ("wheel", "hub", "random")
"""Initial weights that do not come from a file of the user; see `networks.backbone.build_backbone`."""


def why_no_weights(weights: str | Path) -> str | None:
    """Why `weights` of the config cannot be a source of weights, as a sentence; None where it can."""
    if str(weights) in NAMED_WEIGHTS or not (why := why_no_file(weights)):
        return None
    return f"{weights} {'is neither wheel, hub, random nor a file' if why == 'does not exist' else why}"


def read_image(path: str | Path, black_white: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image of any format that Pillow knows as uint8 RGB [H, W, 3], turned upright by its EXIF tag.

    black_white: the values of an image of 16 bits that become 0 and 255, see `depth.scale_to_8_bits`. Raises
    ValueError, naming the file, where it is missing, truncated, not an image, or of a type without a known value range.
    """
    try:
        with open_image(path) as image:
            if is_deep(image):
                pixels = scale_to_8_bits(read_deep(path, image), black_white)
                return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            if image.mode == "F" or image.mode.startswith("I"):
                raise ValueError(
                    "signed, 32-bit or floating-point data have no known value range (expected 8- or 16-bit unsigned)"
                )
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise ValueError(f"image {path} does not exist") from None
    except UNREADABLE as error:
        raise ValueError(f"image {path} cannot be read: {error}") from error


def read_label(path: str | Path) -> np.ndarray:
    """Read a label PNG (palette or 8-bit grey) as class indices, uint8 [H, W], turned upright where EXIF says so.

    Raises ValueError, naming the file, where it is missing, broken, or of another mode: colours are not class indices.
    Raises Skipped where an earlier stage skipped the image.
    """
    try:
        with open_image(path) as image:
            mode = image.mode
            bits = _bits_per_pixel(image) if mode == "L" else 8
            skipped, values = image.info.get(SKIPPED_KEY), np.array(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise ValueError(f"label {path} does not exist") from None
    except UNREADABLE as error:
        raise ValueError(f"label {path} cannot be read: {error}") from error
    if skipped:
        raise Skipped(skipped)
    if mode not in ("P", "L"):
        raise ValueError(f"label {path} has mode {mode}; class indices need a palette (P) or grey (L) PNG")
    if bits < 8:
        raise ValueError(f"label {path} is grey with {bits} bits per pixel; save it with 8, or as a palette PNG")
    return values


def _bits_per_pixel(image: Image.Image) -> int:
    """Bits per pixel in the file of a grey PNG; Pillow scales 1, 2 and 4 bits to 0..255."""
    tile = getattr(image, "tile", None)
    raw = tile[0].args if tile else ""
    return {"L;1": 1, "L;2": 2, "L;4": 4}.get(raw, 8)


def write_label(path: str | Path, label: np.ndarray) -> None:
    """Write class indices, uint8 [H, W], as a palette PNG in VOC's colours."""
    image = Image.fromarray(np.ascontiguousarray(label, np.uint8)).convert("P")
    image.putpalette(voc_palette().ravel().tolist())
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG", optimize=False)


def write_grey(path: str | Path, values: np.ndarray) -> None:
    """Write values, uint8 [H, W], as a grey PNG, which `read_label` reads."""
    with atomic_write(path) as temporary:
        Image.fromarray(np.ascontiguousarray(values, np.uint8)).save(temporary, format="PNG", optimize=False)


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed .npz; compression saves 40 % on node features, which are often zero.

    Raises FloatingPointError, naming the array, where a value is not finite: later stages rely on finite values.
    """
    for name, values in arrays.items():
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise FloatingPointError(f"array {name} has values that are not finite")
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a .npz as a dict of arrays, without unpickling objects. Raises Skipped where its image was skipped."""
    with np.load(path) as archive:
        if SKIPPED_KEY in archive:
            raise Skipped(str(archive[SKIPPED_KEY]))
        return dict(archive)


def write_skipped(path: str | Path, why: str) -> None:
    """Write an .npz or a label PNG (of one ignored pixel) that says why its image was skipped."""
    if Path(path).suffix == ".npz":
        write_arrays(path, **{SKIPPED_KEY: np.array(why)})
        return
    text = PngInfo()
    text.add_itxt(SKIPPED_KEY, why)
    with atomic_write(path) as temporary:
        Image.new("L", (1, 1), IGNORE).save(temporary, format="PNG", pnginfo=text)


def why_skipped(path: str | Path) -> str | None:
    """The reason that `write_skipped` wrote into an .npz or a label PNG; None for any other file."""
    if Path(path).suffix == ".npz":
        with np.load(path) as archive:
            return str(archive[SKIPPED_KEY]) if SKIPPED_KEY in archive else None
    with Image.open(path) as image:
        return image.info.get(SKIPPED_KEY)


def load_cache(path: str | Path) -> dict:
    """A JSON object that an earlier run cached in a file; empty where there is none or it cannot be read."""
    try:
        cache = read_json(path)
    except (OSError, ValueError):
        return {}
    return cache if isinstance(cache, dict) else {}


def write_cache(path: str | Path, value: object) -> None:
    """Write JSON, in one line, for an indented one takes ten times as long.

    Nothing happens in a folder that cannot be written: planning a read-only project works.
    """
    with suppress(OSError), atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value))


def write_json(path: str | Path, value: object) -> None:
    """Write JSON, indented by one space."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())
