"""The drawn demo: small scenes in PASCAL VOC layout with exact masks.

Each object is a list of polygons in different paints. A scene is one map of part numbers at three times the resolution.
Picture and mask are both look-ups in this map, so they agree by construction. Objects, clutter and backdrops share the
paints, so that colour alone does not separate the classes.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wsgcn.data.demo_shapes import (
    CLASSES,
    SHAPES,
    SUPERSAMPLING,
    TEXTURES,
    Names,
    Part,
    backdrop,
    clutter,
    patterns,
)
from wsgcn.files import atomic_write, write_label

PIXEL_CENTRES = (slice(SUPERSAMPLING // 2, None, SUPERSAMPLING),) * 2  # the central sample of every pixel
MIN_SHARE = 0.02  # of the image's pixels, for each planned class
MIN_VISIBLE = 0.55  # of each object's own area
MAX_ARRANGEMENTS = 200  # that are tried per image
ASPECTS = ((1, 1), (1, 1), (0.8, 1), (1, 0.8), (0.75, 1), (1, 0.75))
SIDES = {1: (0.55, 0.78), 2: (0.42, 0.7), 3: (0.27, 0.56)}  # range of an object's side by the number of objects


class Layer(NamedTuple):
    """An object in its final position: its class number (0 is clutter), its parts, its bounding box in samples."""

    label: int
    parts: list[Part]
    low: np.ndarray  # [2], the least x and y
    high: np.ndarray  # [2], the greatest


def plan(split: str, count: int, seed: int) -> dict[str, Names]:
    """The class names of each image by its id; those of image k depend on (seed, split, k) only."""
    images = {}
    for k in range(count):
        block, index = divmod(k, len(CLASSES))  # in each block of images, every class is first once
        r = Random(f"plan/{seed}/{split}/{block}")
        order, shift = r.sample(CLASSES, len(CLASSES)), r.randrange(1, len(CLASSES))
        alone = [r.random() < 0.5 for _ in CLASSES][index]
        chosen = {order[index], order[index if alone else (index + shift) % len(CLASSES)]}
        images[f"{split}_{k:04d}"] = tuple(name for name in CLASSES if name in chosen)
    return images


def place_parts(r: Random, label: int, parts: list[Part], centre: Sequence[float], side: float) -> Layer:
    """Scale the longer side to `side` samples, stretch, flip and rotate a little at random, and move to `centre`."""
    points = np.concatenate([p.points for p in parts])
    scale = side / np.ptp(points, axis=0).max()
    angle = math.radians(r.gauss(0, 6))
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    stretch = np.array([[r.choice((-1, 1)) * r.uniform(0.9, 1.1)], [1]])
    matrix, middle = stretch * [[c, s], [-s, c]], (points.max(0) + points.min(0)) / 2
    moved = [p._replace(points=(p.points - middle) @ matrix + centre) for p in parts]
    points = np.concatenate([p.points for p in moved])
    return Layer(label, moved, points.min(0), points.max(0))


def arrange(r: Random, classes: Names, h: int, w: int) -> list[Layer]:
    """The layers of a scene on h x w samples, back to front: far clutter, objects, clutter that occludes them."""
    names = [*classes, *r.choices(classes, k=r.choice((0, 0, 0, 1, 2)))][:3]
    objects: list[Layer] = []
    centres: list[list[float]] = []
    short_side = min(h, w)
    for name in names:
        side = r.uniform(*SIDES[len(names)]) * short_side
        candidates = [[r.uniform(0.45 * side, n - 0.45 * side) for n in (w, h)] for _ in range(5)]
        centres.append(max(candidates, key=lambda c: min((math.dist(c, other) for other in centres), default=0)))
        objects.append(place_parts(r, CLASSES.index(name) + 1, SHAPES[name](r), centres[-1], side))
    objects.sort(key=lambda layer: layer.high[1])  # the lower on the ground, the nearer
    far, near = [], []
    for _ in range(r.randint(1, 4)):
        centre = r.uniform(0, w), r.uniform(0.3 * h, h)
        far.append(place_parts(r, 0, clutter(r), centre, r.uniform(0.12, 0.36) * short_side))
    for layer in objects:
        if r.random() < 0.55:  # on the object's rim
            angle, reach = r.uniform(0, 2 * math.pi), (layer.high - layer.low) / 2
            centre = layer.low + reach * (1 + 0.85 * np.array([math.cos(angle), math.sin(angle)]))
            near.append(place_parts(r, 0, clutter(r), centre, reach.max() * r.uniform(0.4, 0.9)))
    return far + objects + near


def draw_part_map(layers: list[Layer], h: int, w: int) -> np.ndarray:
    """The number of the part visible at each sample, int32 [h, w], from 1 over all layers; 0 is the backdrop."""
    canvas = Image.new("I", (w, h), 0)
    for k, part in enumerate((p for layer in layers for p in layer.parts), 1):
        ImageDraw.Draw(canvas).polygon(part.points.ravel().tolist(), fill=k)
    return np.asarray(canvas)


def shows_enough(layers: list[Layer], part_map: np.ndarray, classes: Names) -> bool:
    """Whether MIN_VISIBLE of every object is visible and every class covers MIN_SHARE of the pixels."""
    pixels, start, visible_by_class = part_map[PIXEL_CENTRES], 1, dict.fromkeys(classes, 0)
    for layer in layers:
        stop = start + len(layer.parts)
        if layer.label:
            visible = int(np.count_nonzero((pixels >= start) & (pixels < stop)))
            if visible < MIN_VISIBLE * np.count_nonzero(draw_part_map([layer], *part_map.shape)[PIXEL_CENTRES]):
                return False
            visible_by_class[CLASSES[layer.label - 1]] += visible
        start = stop
    return min(visible_by_class.values()) >= MIN_SHARE * pixels.size


def render(r: Random, layers: list[Layer], part_map: np.ndarray, classes: Names) -> np.ndarray:
    """The picture, uint8 [h / SUPERSAMPLING, w / SUPERSAMPLING, 3], of a map of part numbers [h, w]."""
    h, w = part_map.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    rng = np.random.default_rng(r.getrandbits(64))
    textures, shadow_image = patterns(rng, h, w), Image.new("L", (w, h), 255)
    styles = [(0, 0, 0, 0, 0, 0, 1)]  # per part: colour, texture, its strength, top and bottom of the object
    for layer in layers:
        (x0, y0), (x1, y1) = layer.low, layer.high
        ImageDraw.Draw(shadow_image).ellipse((x0, y1 - 0.12 * (y1 - y0), x1, y1 + 5 * SUPERSAMPLING), fill=130)
        styles += [(*p.colour, TEXTURES.index(p.texture), p.strength, y0, y1) for p in layer.parts]
    shadow = np.asarray(shadow_image.filter(ImageFilter.GaussianBlur(2 * SUPERSAMPLING)), np.float32) / 255
    style = np.array(styles, np.float32)[part_map]
    texture = np.take_along_axis(textures, style[None, ..., 3].astype(int), 0)[0]
    shading = 1.12 - 0.26 * (y - style[..., 5]) / (style[..., 6] - style[..., 5])  # lit from above
    objects = (style[..., :3] + (texture * style[..., 4])[..., None]) * shading[..., None]
    scene = np.where(part_map[..., None], objects, backdrop(r, classes, textures) * shadow[..., None])
    angle = r.uniform(0, 2 * math.pi)
    slope = (x / w - 0.5) * math.cos(angle) + (y / h - 0.5) * math.sin(angle)
    colour_cast = r.uniform(0.72, 1.15) * np.array([r.uniform(0.9, 1.1) for _ in "rgb"], np.float32)
    scene *= (1 + r.uniform(0, 0.5) * slope)[..., None] * colour_cast
    picture = scene.reshape(h // SUPERSAMPLING, SUPERSAMPLING, w // SUPERSAMPLING, SUPERSAMPLING, 3).mean((1, 3))
    return np.clip(picture + rng.normal(0, r.uniform(2, 7), picture.shape), 0, 255).astype(np.uint8)


def draw(image_id: str, classes: Names, seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture, uint8 [H, W, 3], and its mask of class numbers, uint8 [H, W]; the longer side is about `size`.

    Raises RuntimeError where no arrangement shows enough of all classes.
    """
    r, classes = Random(f"draw/{seed}/{image_id}"), tuple(classes)
    h, w = (SUPERSAMPLING * round(share * size) for share in r.choice(ASPECTS))
    for _ in range(MAX_ARRANGEMENTS):
        layers = arrange(r, classes, h, w)
        part_map = draw_part_map(layers, h, w)
        if shows_enough(layers, part_map, classes):
            labels = np.array([0, *(layer.label for layer in layers for _ in layer.parts)], np.uint8)
            return render(r, layers, part_map, classes), labels[part_map[PIXEL_CENTRES]]
    raise RuntimeError(f"{image_id}: no arrangement at {size} px shows enough of {classes}")


def write(root: Path, image_id: str, classes: Names, seed: int, size: int) -> None:
    """Draw an image and write its picture, mask and annotation in PASCAL VOC layout under `root`."""
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
