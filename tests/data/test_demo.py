"""The drawn demo: its plan, its pictures and masks, its files."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from wsgcn.data import demo_scenes as demo
from wsgcn.data import demo_shapes

SEED = 3
SIZE = 96  # pixels; small, for speed: only the scale of the drawing depends on it


@pytest.fixture(scope="module")
def images():
    """40 images: classes, picture and mask by id."""
    planned = demo.plan("train", 40, SEED)
    return {key: (names, *demo.draw(key, names, SEED, SIZE)) for key, names in planned.items()}


def test_plan_of_an_image_does_not_depend_on_the_count():
    whole = demo.plan("val", 50, SEED)
    assert list(whole) == [f"val_{k:04d}" for k in range(50)]
    for count in (0, 1, 7, 49):
        assert demo.plan("val", count, SEED) == dict(list(whole.items())[:count])


def test_plan_depends_on_seed_and_split():
    plans = [demo.plan(*a) for a in (("a", 30, 1), ("a", 30, 2), ("b", 30, 1))]
    assert len({tuple(p.values()) for p in plans}) == 3


@pytest.mark.parametrize("seed", range(5))
def test_plan_is_balanced(seed):
    planned = demo.plan("train", 96, seed).values()
    assert all(1 <= len(names) <= 2 for names in planned)
    assert all(names == tuple(c for c in demo.CLASSES if c in names) for names in planned)
    counts = Counter(name for names in planned for name in names)
    assert set(counts) == set(demo.CLASSES)
    assert max(counts.values()) <= 1.5 * min(counts.values())
    assert 0.3 < np.mean([len(names) == 2 for names in planned]) < 0.7


def test_import_does_not_import_torch():
    code = "import sys; from wsgcn.data import demo_scenes; sys.exit('torch' in sys.modules)"
    scripts = Path(demo.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=scripts, check=True)


def test_draw_is_reproducible_and_depends_on_id_seed_and_size():
    first = demo.draw("train_0001", ("car", "fish"), SEED, SIZE)
    again = demo.draw("train_0001", ("car", "fish"), SEED, SIZE)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    first_id = "train_0001"
    for other in (("train_0002", SEED, SIZE), (first_id, SEED + 1, SIZE), (first_id, SEED, 64)):
        key, seed, size = other
        rgb, _ = demo.draw(key, ("car", "fish"), seed, size)
        assert rgb.shape != first[0].shape or not np.array_equal(rgb, first[0])


def test_exactly_the_planned_classes_are_visible(images):
    for key, (names, _, mask) in images.items():
        wanted = {demo.CLASSES.index(name) + 1 for name in names}
        assert set(np.unique(mask)) == wanted | {0}, key
        assert all(np.mean(mask == label) >= 0.02 for label in wanted), key


def test_shapes_and_types(images):
    shapes = set()
    for _, rgb, mask in images.values():
        assert rgb.dtype == mask.dtype == np.uint8
        assert rgb.shape == (*mask.shape, 3)
        assert 0.7 * SIZE <= min(mask.shape) and max(mask.shape) == SIZE
        shapes.add(mask.shape)
    assert len(shapes) == 5


@pytest.mark.parametrize("size", [48, 160])
def test_other_sizes(size):
    rgb, mask = demo.draw("x", ("boat", "person"), SEED, size)
    assert max(mask.shape) == size and set(np.unique(mask)) == {0, 1, 5}


@pytest.mark.parametrize("name", demo.CLASSES)
def test_objects_are_made_of_parts(name):
    """No paint covers nearly all of an object, and at least three paints cover 4 % of it each."""
    for seed in range(12):
        parts = demo_shapes.SHAPES[name](Random(seed))
        layer = demo.place_parts(Random(0), 1, parts, (150, 150), 240)
        part_map = demo.draw_part_map([layer], 300, 300)
        areas = Counter()
        for k, part in enumerate(parts, 1):
            areas[part.colour] += np.count_nonzero(part_map == k) / np.count_nonzero(part_map)
        assert max(areas.values()) < 0.85
        assert sum(area >= 0.04 for area in areas.values()) >= 3


def test_classes_and_clutter_share_the_paints():
    """Each class and the clutter come in at least half of all paints."""

    def paints(make):
        table = np.array(list(demo_shapes.PAINT.values()))
        parts = [part for seed in range(60) for part in make(Random(seed))]
        off = [np.abs(table - part.colour).max(1) for part in parts]
        return {int(d.argmin()) for d in off}

    for make in (*demo_shapes.SHAPES.values(), demo_shapes.clutter):
        assert len(paints(make)) > len(demo_shapes.PAINT) / 2


def test_colour_alone_does_not_segment(images):
    """Even a colour table filled from the masks themselves labels other images badly."""

    def bins(rgb):
        return (rgb // 32).astype(int) @ (64, 8, 1)

    items, classes = list(images.values()), len(demo.CLASSES) + 1
    table = np.zeros((512, classes))
    for _, rgb, mask in items[:30]:
        np.add.at(table, (bins(rgb), mask), 1)
    table /= table.sum(0) + 1  # equal say for each class
    hit, union = np.zeros(classes), np.zeros(classes)
    for _, rgb, mask in items[30:]:
        guess = table[bins(rgb)].argmax(-1)
        for label in range(classes):
            hit[label] += np.count_nonzero((guess == label) & (mask == label))
            union[label] += np.count_nonzero((guess == label) | (mask == label))
    print("IoU from colour:", np.round(hit / union, 2))
    assert np.mean(hit / union) < 0.3


def test_mask_outlines_follow_image_edges(images):
    """The picture changes more across a mask's rim than elsewhere."""
    ratios = []
    for _, rgb, mask in images.values():
        step = np.abs(np.diff(rgb.astype(int), axis=1)).sum(-1)
        rim = mask[:, 1:] != mask[:, :-1]
        ratios.append(step[rim].mean() / step[~rim].mean())
    assert np.median(ratios) > 2 and min(ratios) > 1


def test_clutter_in_front_is_background():
    car = demo.place_parts(Random(0), 2, demo_shapes.car(Random(0)), (150, 150), 200)
    ball = demo.place_parts(Random(1), 0, [demo_shapes.Part(demo_shapes.oval(0, 0, 1, 1), (9, 9, 9))], (150, 150), 60)
    part_map = demo.draw_part_map([car, ball], 300, 300)
    assert part_map[150, 150] == len(car.parts) + 1
    assert demo.shows_enough([car, ball], part_map, ("car",))
    wide = demo.place_parts(Random(1), 0, ball.parts, (150, 150), 190)
    assert not demo.shows_enough([car, wide], demo.draw_part_map([car, wide], 300, 300), ("car",))


def test_an_impossible_plan_raises(monkeypatch):
    monkeypatch.setattr(demo, "MIN_SHARE", 0.99)
    with pytest.raises(RuntimeError, match="x_0000.*car"):
        demo.draw("x_0000", ("car",), SEED, 48)


def test_write_uses_the_voc_layout(tmp_path):
    names = ("fish", "house")
    demo.write(tmp_path, "val_0000", names, SEED, SIZE)
    rgb, mask = demo.draw("val_0000", names, SEED, SIZE)
    with Image.open(tmp_path / "JPEGImages/val_0000.jpg") as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - rgb).mean() < 6
    with Image.open(tmp_path / "SegmentationClass/val_0000.png") as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), mask)
        assert image.getpalette()[9:12] == [128, 128, 0]  # VOC's colour 3
    tree = ElementTree.parse(tmp_path / "Annotations/val_0000.xml")
    assert tuple(node.text for node in tree.findall("object/name")) == names
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 3
