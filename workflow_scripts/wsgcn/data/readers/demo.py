"""The drawn demo, in VOC layout under results/."""

from collections.abc import Mapping
from pathlib import Path

from wsgcn.data import demo_scenes as demo
from wsgcn.data.dataset import LISTS, Dataset, Image, mask_values
from wsgcn.data.names import Note


def read(settings: Mapping, seed: int, results: Path, note: Note) -> Dataset | None:
    """The drawn demo, in VOC layout under results/: its classes are planned from the seed, not read back."""
    root = results / "voc"
    wrong = [name for name in LISTS if settings[name] not in ("train", "val")]
    for name in wrong:
        note(f"dataset.{name}: the demo's lists are train and val, not {settings[name]}")
    if wrong:
        return None

    def images(split: str) -> dict[str, Image]:
        return {
            image: Image(
                image,
                str(root / "JPEGImages" / f"{image}.jpg"),
                tuple(1 + demo.CLASSES.index(name) for name in names),
                str(root / "SegmentationClass" / f"{image}.png"),
            )
            for image, names in demo.plan(split, settings[f"demo_{split}"], seed).items()
        }

    lists = {name: images(settings[name]) for name in LISTS}
    return Dataset(demo.CLASSES, **lists, mask_values=mask_values(demo.CLASSES), numbering=demo.CLASSES)
