"""An image's file, as bytes, to the very label that the workflow writes for it.

Imports no MLflow. Each step is the workflow's own: how the image is read, shrunk, segmented, resized back and written.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from wsgcn.data.augment import resize_label
from wsgcn.data.sizes import read_working_copy
from wsgcn.files import UNREADABLE, write_grey, write_label
from wsgcn.networks.device import pick_device
from wsgcn.sections import from_section
from wsgcn.segmentation.prediction import PredictionSettings, predict_with_confidence

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What is opened of those that Pillow knows: for some, such as EPS, it starts other programs."""

MAX_PIXELS = 100_000_000
"""Of an image: a small file may hold a huge one, and all of it has to be in memory before it is shrunk."""


@dataclass(frozen=True)
class ServedSettings:
    """What an image is segmented with.

    classes: names, foreground only; network: "module:function" that opens the trained network with `params`, as in
    `segmentation.prediction`; longest_side: of an image that is not shrunk [pixels]; black_white: as in
    `files.read_image`.
    """

    classes: tuple[str, ...]
    network: str
    params: Mapping
    prediction: PredictionSettings
    longest_side: int
    black_white: tuple[int, int] | None


class Answer(NamedTuple):
    """Of an image: its label as a palette PNG, its confidence as a grey one, the share of each class that it shows.

    Both pictures are as large as the image; the shares sum to one, background included.
    """

    mask: bytes
    confidence: bytes
    classes: dict[str, float]


class ServedNetwork:
    """The network at the path `model`, ready to answer. settings: a `ServedSettings` as a section; device: its name."""

    def __init__(self, settings: Mapping, model: str | Path, device: str = "auto"):
        self.settings = from_section(ServedSettings, settings)
        opened = resolve_name(self.settings.network)
        self._segment = opened(self.settings.params, str(model), pick_device(device))

    def answer(self, image: bytes) -> Answer:
        """The label of an image, given as a file of one of the `FORMATS`.

        Raises ValueError, in one sentence, where it cannot be read or has more than `MAX_PIXELS`.
        """
        settings = self.settings
        check_image(image)
        with TemporaryDirectory() as folder:
            file = Path(folder, "image")
            file.write_bytes(image)
            try:
                pixels, size = read_working_copy(file, settings.longest_side, settings.black_white)
            except ValueError as error:
                raise ValueError(str(error).replace(f"image {file}", "it").replace(f" '{file}'", "")) from None
            found = predict_with_confidence(self._segment, pixels, settings.prediction)
            label, confidence = (resize_label(own, *size) for own in found)
            write_label(mask := Path(folder, "mask.png"), label)
            write_grey(grey := Path(folder, "confidence.png"), confidence)
            return Answer(mask.read_bytes(), grey.read_bytes(), self._shares(label))

    def _shares(self, label: np.ndarray) -> dict[str, float]:
        names = ("background", *self.settings.classes)
        values, counts = np.unique(label, return_counts=True)
        return {names[value]: float(count / label.size) for value, count in zip(values, counts, strict=True)}


def check_image(image: bytes) -> None:
    """Raises ValueError, in one sentence, for a file of none of the `FORMATS`, or of more than `MAX_PIXELS`.

    Nothing is decoded: the head of the file says how large the image is.
    """
    try:
        with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
            pixels = opened.width * opened.height
    except UnidentifiedImageError:
        raise ValueError(f"it cannot be read: it is none of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except UNREADABLE as error:
        raise ValueError(f"it cannot be read: {error}") from None
    if pixels > MAX_PIXELS:
        raise ValueError(f"it has more than {MAX_PIXELS // 10**6} million pixels")
