"""A small data set of COCO's layout: objects of all forms, gaps in the ids, images in two splits."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

CATEGORIES = {1: "person", 3: "car", 18: "dog", 90: "toothbrush"}
HEIGHT, WIDTH = 40, 56


def rectangle(left, top, right, bottom):
    """A ring around whole pixels."""
    return [left, top, right, top, right, bottom, left, bottom]


def runs(mask):
    """An uncompressed code of a mask, bool [H, W]."""
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def compressed(mask):
    code = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode()}


def box(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


OBJECTS = {  # by image: category, segmentation, iscrowd
    "train_1": [(1, [rectangle(5, 5, 40, 30)], 0), (18, [rectangle(10, 10, 20, 20)], 0)],
    "train_2": [(3, runs(box(2, 2, 30, 30)), 1), (3, compressed(box(4, 4, 20, 12)), 0)],
    "train_3": [(90, [rectangle(1, 1, 9, 9), rectangle(20, 20, 30, 36)], 0)],
    "train_4": [],
    "val_1": [(18, [rectangle(0, 0, 56, 40)], 0)],
    "val_2": [(1, runs(box(0, 0, 56, 3)), 1)],
}


def coco_json(objects=OBJECTS, categories=CATEGORIES):
    """The content of a JSON with these objects."""
    ids = {image: 100 + 7 * k for k, image in enumerate(objects)}
    images = [{"id": ids[i], "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH} for i in objects]
    annotations = [
        {
            "id": len(ids) * k + j,
            "image_id": ids[image],
            "category_id": category,
            "segmentation": code,
            "iscrowd": crowd,
        }
        for k, (image, own) in enumerate(objects.items())
        for j, (category, code, crowd) in enumerate(own)
    ]
    named = [{"id": number, "name": name} for number, name in categories.items()]
    return {"info": {"n": [1, {"a": None}]}, "images": images, "annotations": annotations, "categories": named}


def write_coco(root: Path, objects=OBJECTS) -> Path:
    """annotations/instances_train.json and instances_val.json, images in train/ and val/."""
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        own = {image: found for image, found in objects.items() if image.startswith(split)}
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(coco_json(own)))
        (root / split).mkdir()
        for k, image in enumerate(own):
            Image.new("RGB", (WIDTH, HEIGHT), (40 * k, 90, 30)).save(root / split / f"{image}.jpg")
    return root


def problems_of(read, **changed) -> list[str]:
    with pytest.raises(ValueError) as error:
        read(**changed)
    return str(error.value).splitlines()


def edit(root, change, split="train"):
    """Change the content of a JSON, with a new time."""
    path = root / f"annotations/instances_{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
