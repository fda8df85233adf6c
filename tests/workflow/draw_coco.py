"""Draw a data set of COCO's size and layout, to measure planning on.

    .venv/bin/python tests/workflow/draw_coco.py /tmp/coco
    .venv/bin/python tests/workflow/draw_coco.py /tmp/small --train 300 --val 60

Takes a minute and 0.6 GB: the images are hard links to a few small drawings, and the JSONs have as many objects with as
many corners as COCO's 2014 annotations. As there, ids of categories have gaps, some images have no object, and one
object in a hundred is a crowd.
"""

import argparse
from pathlib import Path

import numpy as np
from draw_devkit import HEIGHT_PIXELS, NUM_SCENES, WIDTH_PIXELS, draw_scene, link

GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
CATEGORIES = [number for number in range(1, 91) if number not in GAPS]
OBJECTS_PER_IMAGE = 604_907 / 82_081
WITHOUT_OBJECTS = 702 / 82_783
NUM_SHAPES, CORNERS = 200, 28
CROWDS = 100  # one object in so many


def draw_coco(root: Path, num_train: int, num_val: int) -> None:
    """Write train2014/, val2014/ and annotations/instances_*.json under `root`."""
    (root / "scenes").mkdir(parents=True, exist_ok=True)
    scenes = [draw_scene(root / "scenes" / str(number), number)[0] for number in range(NUM_SCENES)]
    rng = np.random.default_rng(0)
    shapes = [draw_shape(rng) for _ in range(NUM_SHAPES)]
    for split, first, count in (("train2014", 1, num_train), ("val2014", 1 + num_train, num_val)):
        (root / split).mkdir(exist_ok=True)
        (root / "annotations").mkdir(exist_ok=True)
        images = {number: f"COCO_{split}_{number:012}.jpg" for number in range(first, first + count)}
        for number, file in images.items():
            link(scenes[number % NUM_SCENES].with_suffix(".jpg"), root / split / file)
        write_json(root / f"annotations/instances_{split}.json", images, shapes, rng)


def draw_shape(rng: np.random.Generator) -> str:
    """A polygon around a random centre, as JSON."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, CORNERS))
    centre, radius = rng.uniform((20, 20), (WIDTH_PIXELS - 20, HEIGHT_PIXELS - 20)), rng.uniform(4, 18)
    corners = centre + radius * rng.uniform(0.7, 1, (CORNERS, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
    return f"[{', '.join(f'{value:.2f}' for value in corners.ravel())}]"


def write_json(path: Path, images: dict[int, str], shapes: list[str], rng: np.random.Generator) -> None:
    """Write the images with random objects, one text after the other, since all at once would take gigabytes."""
    size = f'"height": {HEIGHT_PIXELS}, "width": {WIDTH_PIXELS}'
    counts = np.where(rng.random(len(images)) < WITHOUT_OBJECTS, 0, 1 + rng.poisson(OBJECTS_PER_IMAGE - 1, len(images)))
    crowd = f'{{"size": [{HEIGHT_PIXELS}, {WIDTH_PIXELS}], "counts": [10, 500, {HEIGHT_PIXELS * WIDTH_PIXELS - 510}]}}'
    with open(path, "w") as stream:
        entries = (f'{{"id": {number}, "file_name": "{file}", {size}}}' for number, file in images.items())
        stream.write(f'{{"info": {{"year": 2014}}, "images": [{", ".join(entries)}], "annotations": [')
        number = 0
        for image, count in zip(images, counts, strict=True):
            for category, shape in zip(
                rng.choice(CATEGORIES, count), rng.integers(NUM_SHAPES, size=count), strict=True
            ):
                number += 1
                is_crowd = number % CROWDS == 0
                stream.write(
                    f'{", " if number > 1 else ""}{{"segmentation": {crowd if is_crowd else f"[{shapes[shape]}]"}, '
                    f'"area": 702.1057499999998, "iscrowd": {int(is_crowd)}, "image_id": {image}, '
                    f'"bbox": [473.07, 395.93, 38.65, 28.67], "category_id": {category}, "id": {number}}}'
                )
        names = ", ".join(f'{{"supercategory": "thing", "id": {k}, "name": "thing {k}"}}' for k in CATEGORIES)
        stream.write(f'], "categories": [{names}]}}')


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of the data set")
    parser.add_argument("--train", type=int, default=82_783, help="images of train2014")
    parser.add_argument("--val", type=int, default=40_504, help="images of val2014")
    arguments = parser.parse_args()
    draw_coco(arguments.folder, arguments.train, arguments.val)
