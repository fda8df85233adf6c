"""Labels with what is hard for other formats, exported and as they come back."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from wsgcn.exporting.contract import Known, LabelledImage
from wsgcn.exporting.returned import open_returned
from wsgcn.files import write_label
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS

CLASSES = ("cat", "leaf rust", 'Größe, <b> & "c"')
SETTINGS = {
    "objects": "component",
    "coco": "rle",
    "polygon_tolerance": 0,
    "image_prefix": "/data/local-files/?d=",
}


def small_labels() -> dict[str, np.ndarray]:
    """Three labels of 8×12 pixels, by image id: a rectangle of each class."""
    found = {name: np.zeros((8, 12), np.uint8) for name in "abc"}
    for k, label in enumerate(found.values(), start=1):
        label[2:6, 2:8] = k
    return found


def hard_labels() -> dict[str, np.ndarray]:
    """Twenty-two labels of up to three classes, by image id."""
    rng = np.random.default_rng(0)
    ring = np.zeros((31, 40), np.uint8)
    ring[3:28, 4:36] = 1
    ring[8:20, 10:30] = 0
    ring[11:16, 15:25] = 1
    ring[12:14, 17:20] = 2
    ring[4, 5] = 0
    crack = np.zeros((30, 30), np.uint8)
    crack[np.arange(30), np.arange(30)] = 3
    pixel = np.zeros((9, 7), np.uint8)
    pixel[0, 0] = pixel[8, 6] = 2
    corner_hole = np.ones((6, 6), np.uint8)
    corner_hole[1, 1] = corner_hole[2, 2] = corner_hole[0, 3] = 0
    named = {
        "ring": ring,
        "crack": crack,
        "pixel": pixel,
        "corner hole": corner_hole,
        "nothing": np.zeros((12, 17), np.uint8),
        "all": np.full((5, 8), 2, np.uint8),
        "größe": np.arange(3, dtype=np.uint8).repeat(20).reshape(6, 10),
        "50%20off": np.full((3, 4), 1, np.uint8),
        "50 off": np.full((4, 3), 2, np.uint8),
        "one": np.ones((1, 1), np.uint8),
    }
    for k in range(6):  # noise: every shape of a few pixels
        named[f"noise_{k}"] = rng.integers(0, 4, rng.integers(2, 25, 2)).astype(np.uint8)
    for k in range(6):  # blobs, as a CRF leaves them
        fields = gaussian_filter(rng.random((4, 60 + k, 80 - k)), (0, 3, 3))
        named[f"blobs_{k}"] = fields.argmax(0).astype(np.uint8)
    return named


def write_images(folder: Path, labels: dict[str, np.ndarray], confident: bool = True) -> list[LabelledImage]:
    """The labels' PNGs and their confidences, as the workflow writes them."""
    images = []
    for name, label in labels.items():
        write_label(folder / f"pseudo/{name}.png", label)
        confidence = None
        if confident:
            confidence = folder / f"confidence/{name}.png"
            confidence.parent.mkdir(exist_ok=True)
            values = np.random.default_rng(len(name)).integers(0, 256, label.shape).astype(np.uint8)
            Image.fromarray(values).save(confidence)
        images.append(LabelledImage(name, f"photos/sub/{name}.jpg", folder / f"pseudo/{name}.png", confidence))
    return images


def export(folder: Path, name: str, images: list[LabelledImage], classes=CLASSES, **changed: object) -> list[Path]:
    """The files of a format."""
    outputs = [folder / file for file in EXPORTERS[name].files]
    load(EXPORTERS[name].write)([str(path) for path in outputs], images, classes, {"settings": SETTINGS | changed})
    return outputs


def known_of(labels: dict[str, np.ndarray], classes=CLASSES) -> Known:
    return Known({name: label.shape for name, label in labels.items()}, classes)


def read_back(name: str, source: Path, known: Known) -> tuple[dict[str, np.ndarray], list[str]]:
    """The labels that a format's reader finds, and its problems."""
    problems = []
    with open_returned(str(source)) as returned:
        found = dict(load(EXPORTERS[name].read)(returned, known, problems.append) or {})
    return found, [problem.replace(str(source), source.name) for problem in problems]


def zip_folder(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target
