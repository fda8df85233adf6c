"""The embedded data set: small drawn scenes in PASCAL VOC layout with exact masks.

Every object is a list of polygons in different paints. A scene is one map of part numbers at three
times the resolution; picture and mask are both look-ups in it, so they agree by construction.
Objects, clutter and backdrops share the paints, so that colour alone tells nothing apart.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wsgcn.data.demo_shapes import CLASSES, SHAPES, SUPER, TEXTURES, Names, Part, backdrop, clutter, patterns
from wsgcn.files import atomic_write, write_label

MIDDLE = (slice(SUPER // 2, None, SUPER),) * 2  # the middle sample of every pixel
MIN_SHARE = 0.02  # of the image's pixels, for each planned class
MIN_VISIBLE = 0.55  # of each object's own area
ASPECTS = ((1, 1), (1, 1), (0.8, 1), (1, 0.8), (0.75, 1), (1, 0.75))
SIDES = {1: (0.55, 0.78), 2: (0.42, 0.7), 3: (0.27, 0.56)}  # object side by number of objects


class Layer(NamedTuple):
    """A thing in its place: its class number (0 is clutter) and parts, points in samples."""

    label: int
    parts: list[Part]
    low: np.ndarray  # [2], the least x and y
    high: np.ndarray  # [2], the greatest


def plan(split: str, count: int, seed: int) -> dict[str, Names]:
    """Image id -> its class names; image k depends on (seed, split, k) only."""
    images = {}
    for k in range(count):
        block, turn = divmod(k, len(CLASSES))  # in a block every class leads once
        r = Random(f"plan/{seed}/{split}/{block}")
        order, shift = r.sample(CLASSES, len(CLASSES)), r.randrange(1, len(CLASSES))
        alone = [r.random() < 0.5 for _ in CLASSES][turn]
        chosen = {order[turn], order[turn if alone else (turn + shift) % len(CLASSES)]}
        images[f"{split}_{k:04d}"] = tuple(name for name in CLASSES if name in chosen)
    return images


def put(r: Random, label: int, parts: list[Part], centre: Sequence[float], side: float) -> Layer:
    """Scale the longer side to ``side`` samples, squeeze, flip and turn a little, and move."""
    points = np.concatenate([p.points for p in parts])
    scale = side / np.ptp(points, axis=0).max()
    turn = math.radians(r.gauss(0, 6))
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    squeeze = np.array([[r.choice((-1, 1)) * r.uniform(0.9, 1.1)], [1]])
    matrix, middle = squeeze * [[c, s], [-s, c]], (points.max(0) + points.min(0)) / 2
    moved = [p._replace(points=(p.points - middle) @ matrix + centre) for p in parts]
    points = np.concatenate([p.points for p in moved])
    return Layer(label, moved, points.min(0), points.max(0))


def arrange(r: Random, classes: Names, h: int, w: int) -> list[Layer]:
    """A scene on h x w samples, back to front: far clutter, objects, clutter in their way."""
    names = [*classes, *r.choices(classes, k=r.choice((0, 0, 0, 1, 2)))][:3]
    things, spots, short = [], [], min(h, w)
    for name in names:
        side = r.uniform(*SIDES[len(names)]) * short
        tries = [[r.uniform(0.45 * side, n - 0.45 * side) for n in (w, h)] for _ in range(5)]
        spots.append(max(tries, key=lambda t: min((math.dist(t, o) for o in spots), default=0)))
        things.append(put(r, CLASSES.index(name) + 1, SHAPES[name](r), spots[-1], side))
    things.sort(key=lambda thing: thing.high[1])  # the lower on the ground, the nearer
    far, near = [], []
    for _ in range(r.randint(1, 4)):
        spot = r.uniform(0, w), r.uniform(0.3 * h, h)
        far.append(put(r, 0, clutter(r), spot, r.uniform(0.12, 0.36) * short))
    for thing in things:
        if r.random() < 0.55:  # over its rim
            angle, reach = r.uniform(0, 2 * math.pi), (thing.high - thing.low) / 2
            spot = thing.low + reach * (1 + 0.85 * np.array([math.cos(angle), math.sin(angle)]))
            near.append(put(r, 0, clutter(r), spot, reach.max() * r.uniform(0.4, 0.9)))
    return far + things + near


def number(layers: list[Layer], h: int, w: int) -> np.ndarray:
    """The part seen at each sample, int32 [h,w], counted from 1; 0 is the backdrop."""
    sheet = Image.new("I", (w, h), 0)
    for k, part in enumerate((p for layer in layers for p in layer.parts), 1):
        ImageDraw.Draw(sheet).polygon(part.points.ravel().tolist(), fill=k)
    return np.asarray(sheet)


def fair(layers: list[Layer], seen: np.ndarray, classes: tuple[str, ...]) -> bool:
    """Whether every object shows enough of itself and every class fills its share of pixels."""
    pixels, start, share = seen[MIDDLE], 1, dict.fromkeys(classes, 0)
    for layer in layers:
        stop = start + len(layer.parts)
        if layer.label:
            visible = np.count_nonzero((pixels >= start) & (pixels < stop))
            if visible < MIN_VISIBLE * np.count_nonzero(number([layer], *seen.shape)[MIDDLE]):
                return False
            share[CLASSES[layer.label - 1]] += visible
        start = stop
    return min(share.values()) >= MIN_SHARE * pixels.size


def render(r: Random, layers: list[Layer], seen: np.ndarray, classes: Names) -> np.ndarray:
    """The picture uint8 [h/SUPER,w/SUPER,3] of a map of part numbers [h,w]."""
    h, w = seen.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    rng = np.random.default_rng(r.getrandbits(64))
    bank, shadow = patterns(rng, h, w), Image.new("L", (w, h), 255)
    looks = [(0, 0, 0, 0, 0, 0, 1)]
    for layer in layers:
        (x0, y0), (x1, y1) = layer.low, layer.high
        ImageDraw.Draw(shadow).ellipse((x0, y1 - 0.12 * (y1 - y0), x1, y1 + 5 * SUPER), fill=130)
        looks += [(*p.colour, TEXTURES.index(p.texture), p.strength, y0, y1) for p in layer.parts]
    dim = np.asarray(shadow.filter(ImageFilter.GaussianBlur(2 * SUPER)), np.float32) / 255
    look = np.array(looks, np.float32)[seen]
    pattern = np.take_along_axis(bank, look[None, ..., 3].astype(int), 0)[0]
    fall = 1.12 - 0.26 * (y - look[..., 5]) / (look[..., 6] - look[..., 5])  # lit from above
    things = (look[..., :3] + (pattern * look[..., 4])[..., None]) * fall[..., None]
    scene = np.where(seen[..., None], things, backdrop(r, classes, bank) * dim[..., None])
    angle = r.uniform(0, 2 * math.pi)
    slope = (x / w - 0.5) * math.cos(angle) + (y / h - 0.5) * math.sin(angle)
    cast = r.uniform(0.72, 1.15) * np.array([r.uniform(0.9, 1.1) for _ in "rgb"], np.float32)
    scene *= (1 + r.uniform(0, 0.5) * slope)[..., None] * cast
    small = scene.reshape(h // SUPER, SUPER, w // SUPER, SUPER, 3).mean((1, 3))
    return np.clip(small + rng.normal(0, r.uniform(2, 7), small.shape), 0, 255).astype(np.uint8)


def draw(image_id: str, classes: Names, seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture uint8 [H,W,3] and its mask uint8 [H,W] of class numbers, H and W near size."""
    r, classes = Random(f"draw/{seed}/{image_id}"), tuple(classes)
    h, w = (SUPER * round(share * size) for share in r.choice(ASPECTS))
    for _ in range(200):
        layers = arrange(r, classes, h, w)
        seen = number(layers, h, w)
        if fair(layers, seen, classes):
            labels = np.array([0, *(q.label for q in layers for _ in q.parts)], np.uint8)
            return render(r, layers, seen, classes), labels[seen[MIDDLE]]
    raise RuntimeError(f"{image_id}: no arrangement at {size} px shows enough of {classes}")


def write(root: Path, image_id: str, classes: Names, seed: int, size: int) -> None:
    """Picture, mask and annotation of one image in PASCAL VOC layout under ``root``."""
    root = Path(root)
    for folder in ("JPEGImages", "SegmentationClass", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rgb, mask = draw(image_id, classes, seed, size)
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "filename").text = f"{image_id}.jpg"
    for name in classes:
        ElementTree.SubElement(ElementTree.SubElement(tree, "object"), "name").text = name
    with atomic_write(root / "JPEGImages" / f"{image_id}.jpg") as path:
        Image.fromarray(rgb).save(path, format="JPEG", quality=95)
    write_label(root / "SegmentationClass" / f"{image_id}.png", mask)
    with atomic_write(root / "Annotations" / f"{image_id}.xml") as path:
        ElementTree.ElementTree(tree).write(path)
