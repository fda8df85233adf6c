"""Draw a PASCAL VOC devkit of the real one's size and layout, to measure planning on.

    .venv/bin/python tests/workflow/draw_devkit.py /tmp/voc/VOC2012
    .venv/bin/python tests/workflow/draw_devkit.py /tmp/small/VOC2012 --train 300 --val 60

Takes seconds: the images and masks are hard links to a few small drawings. Each annotation has one to three of the 20
classes. As in VOC with SBD's list, `train_aug` is all of the training images and `train` about a seventh of them; only
`train` and `val` have masks.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()

NUM_SCENES = 40
WIDTH_PIXELS, HEIGHT_PIXELS = 100, 75
TRAIN_SHARE = 1464 / 10582  # of train_aug that is VOC's own train list

HEADER = """<annotation>
\t<folder>VOC2012</folder>
\t<filename>{image}.jpg</filename>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>1</segmented>
"""

OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>{box[0]}</xmin>
\t\t\t<ymin>{box[1]}</ymin>
\t\t\t<xmax>{box[2]}</xmax>
\t\t\t<ymax>{box[3]}</ymax>
\t\t</bndbox>
\t</object>
"""


def draw_devkit(root: Path, num_train: int, num_val: int) -> None:
    """Write JPEGImages, SegmentationClass, Annotations and ImageSets/Segmentation under `root`."""
    folders = {name: root / name for name in ("JPEGImages", "SegmentationClass", "Annotations")}
    lists = root / "ImageSets/Segmentation"
    for folder in (*folders.values(), lists, root / "scenes"):
        folder.mkdir(parents=True, exist_ok=True)
    scenes = [draw_scene(root / "scenes" / str(number), number) for number in range(NUM_SCENES)]
    images = [f"{2007 + k % 6}_{k:06}" for k in range(num_train + num_val)]
    train_aug, val = images[:num_train], images[num_train:]
    train = train_aug[: max(1, round(num_train * TRAIN_SHARE))]
    with_mask = {*train, *val}
    for k, image in enumerate(images):
        stem, objects = scenes[k % NUM_SCENES]
        link(stem.with_suffix(".jpg"), folders["JPEGImages"] / f"{image}.jpg")
        if image in with_mask:
            link(stem.with_suffix(".png"), folders["SegmentationClass"] / f"{image}.png")
        header = HEADER.format(image=image, width=WIDTH_PIXELS, height=HEIGHT_PIXELS)
        body = "".join(OBJECT.format(name=name, box=box) for name, box in objects)
        (folders["Annotations"] / f"{image}.xml").write_text(f"{header}{body}</annotation>\n")
    for name, ids in (("train", train), ("train_aug", train_aug), ("val", val)):
        (lists / f"{name}.txt").write_text("\n".join(sorted(ids)) + "\n")


def draw_scene(stem: Path, number: int) -> tuple[Path, list[tuple[str, tuple[int, ...]]]]:
    """Write `stem`.jpg and `stem`.png: one to three rectangles, each of a class. Returns the stem and (name, box)s."""
    rng = np.random.default_rng(number)
    picture = rng.integers(90, 130, (HEIGHT_PIXELS, WIDTH_PIXELS, 3), dtype=np.uint8)
    mask = np.zeros((HEIGHT_PIXELS, WIDTH_PIXELS), np.uint8)
    objects = []
    count = 1 + number % 3
    for k in range(count):  # side by side, so that none hides another
        index = (number + 7 * k) % len(VOC_CLASSES)
        left, right = WIDTH_PIXELS * k // count + 3, WIDTH_PIXELS * (k + 1) // count - 3
        box = (left, 15, right, HEIGHT_PIXELS - 15)
        picture[15:-15, left:right] = (12 * index, 255 - 12 * index, 60 * k)
        mask[15:-15, left:right] = index + 1
        objects.append((VOC_CLASSES[index], box))
    Image.fromarray(picture).save(stem.with_suffix(".jpg"))
    Image.fromarray(mask).save(stem.with_suffix(".png"))
    return stem, objects


def link(source: Path, target: Path) -> None:
    """A hard link in place of what may be there."""
    target.unlink(missing_ok=True)
    os.link(source, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the devkit's VOC2012 folder")
    parser.add_argument("--train", type=int, default=10582, help="images of train_aug")
    parser.add_argument("--val", type=int, default=1449, help="images of val")
    arguments = parser.parse_args()
    draw_devkit(arguments.folder, arguments.train, arguments.val)
