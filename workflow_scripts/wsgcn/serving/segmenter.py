"""An image's file, as bytes, to the very label that the workflow writes for it.

Imports no MLflow. Each step is the workflow's own: how the image is read, shrunk, segmented, resized back and written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from wsgcn.data.augment import resize_label
from wsgcn.data.sizes import read_working_copy
from wsgcn.files import write_grey, write_label
from wsgcn.networks.device import pick_device
from wsgcn.sections import from_section
from wsgcn.segmentation.prediction import PredictionSettings, predict_with_confidence


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
        """The label of an image, given as a file of any format that Pillow reads.

        Raises ValueError, in one sentence, where it cannot be read.
        """
        settings = self.settings
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
