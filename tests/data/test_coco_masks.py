"""Labels painted from COCO's objects, against a painting pixel by pixel."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from small_coco import HEIGHT, WIDTH, compressed, rectangle, runs

from wsgcn.data.coco_masks import CocoObject, paint_label


def paint_slowly(path) -> np.ndarray:
    """The label by COCO's own reader: of each pixel, the smallest object that covers it, else 255 in a crowd."""
    coco = COCO(path)
    found = [(a["iscrowd"], coco.annToMask(a), a["category_id"]) for a in coco.loadAnns(coco.getAnnIds())]
    label = np.zeros((HEIGHT, WIDTH), int)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            here = [(crowd, mask.sum(), -k, value) for k, (crowd, mask, value) in enumerate(found) if mask[y, x]]
            if here:
                crowd, *_, value = min(here)
                label[y, x] = 255 if crowd else value
    return label


def random_objects(rng, count):
    """Polygons of any shape, some of two rings and beyond the edges, and both kinds of run-length codes."""
    for k in range(count):
        rings = [(rng.uniform(-4, 60, 2 * rng.integers(3, 8))).round(2).tolist() for _ in range(rng.integers(1, 3))]
        blob = np.zeros((HEIGHT, WIDTH), bool)
        top, left = rng.integers(0, 30, 2)
        blob[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = True
        blob &= rng.random(blob.shape) < 0.9
        yield CocoObject([rings, runs(blob), compressed(blob)][k % 3], int(rng.integers(1, 90)), rng.random() < 0.2)


@pytest.mark.parametrize("seed", range(6))
def test_any_objects_as_pixel_by_pixel(seed, tmp_path, capsys):
    rng = np.random.default_rng(seed)
    objects = list(random_objects(rng, 7))
    annotations = [
        {"id": k, "image_id": 1, "category_id": own.value, "segmentation": own.segmentation, "iscrowd": int(own.crowd)}
        for k, own in enumerate(objects, start=1)
    ]
    images = [{"id": 1, "height": HEIGHT, "width": WIDTH}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    label = paint_label(objects, HEIGHT, WIDTH)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, paint_slowly(tmp_path / "a.json"))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_smaller_object_lies_on_top_and_crowds_below(order):
    large, small = CocoObject([rectangle(2, 2, 30, 30)], 1, False), CocoObject([rectangle(5, 6, 9, 10)], 2, False)
    tiny_crowd = CocoObject([rectangle(28, 28, 34, 34)], 3, True)
    label = paint_label([large, small, tiny_crowd][order], HEIGHT, WIDTH)
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[28:34, 28:34] = 255
    expected[2:30, 2:30] = 1
    expected[6:10, 5:9] = 2
    np.testing.assert_array_equal(label, expected)


def test_no_object_is_background():
    assert not paint_label([], 3, 4).any() and paint_label([], 3, 4).shape == (3, 4)


@pytest.mark.parametrize(
    "code, why",
    [
        ([], "has no segmentation"),
        (None, "has no segmentation"),
        ([[1, 2, 3, 4]], "a polygon has 4 coordinates"),
        ([[1, 2, 3, 4, 5, 6, 7]], "a polygon has 7 coordinates"),
        ({"size": [3, 3], "counts": [9]}, "its mask is 3×3, but its image is 56×40"),
        ({"size": [HEIGHT, WIDTH], "counts": [9]}, "its run lengths do not fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "o"}, "its segmentation cannot be read"),
        ({"counts": [9]}, "its segmentation cannot be read"),
    ],
)
def test_broken_segmentations(code, why):
    with pytest.raises(ValueError, match=why):
        paint_label([CocoObject(code, 1, False)], HEIGHT, WIDTH)
