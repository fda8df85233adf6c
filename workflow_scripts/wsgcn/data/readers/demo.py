"""The drawn demo, in VOC layout under results/."""

from collections.abc import Mapping
from pathlib import Path

from wsgcn.data import demo_scenes as demo
from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.names import Note

SPLITS = ("train", "val")


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The data set that the workflow draws under `results`; None where a list is not one of its splits.

    settings: the `dataset` section of the config. Ids and classes follow from the seed, so no file is opened. Problems
    go to `note`.
    """
    unknown = [name for name in LISTS if settings[name] not in SPLITS]
    for name in unknown:
        note(f"dataset.{name}: {settings[name]} must be one of {', '.join(SPLITS)}, the lists of the demo")
    if unknown:
        return None
    root = results / "voc"
    train, label, evaluate = (_images(root, settings[n], settings[f"demo_{settings[n]}"], seed) for n in LISTS)
    return Dataset(demo.CLASSES, train, label, evaluate, mask_values(demo.CLASSES), numbering=demo.CLASSES)


def _images(root: Path, split: str, count: int, seed: int) -> dict[str, Image]:
    return {
        identifier: Image(
            identifier,
            str(root / "JPEGImages" / f"{identifier}.jpg"),
            tuple(1 + demo.CLASSES.index(name) for name in names),
            str(root / "SegmentationClass" / f"{identifier}.png"),
        )
        for identifier, names in demo.plan(split, count, seed).items()
    }
