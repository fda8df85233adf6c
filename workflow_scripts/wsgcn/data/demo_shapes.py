"""The parts of the drawn demo: paints, the classes' shapes, clutter, textures and backdrops."""

import math
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image

Names = tuple[str, ...]
Colour = tuple[int, ...]
SUPERSAMPLING = 3  # samples per pixel and axis; odd, so that each pixel has a central sample
# fmt: off
PAINT = {
    "red": (192, 52, 46), "orange": (226, 130, 52), "yellow": (230, 202, 76),
    "green": (84, 142, 70), "teal": (62, 142, 146), "blue": (62, 92, 172),
    "purple": (122, 76, 146), "brown": (122, 82, 54), "white": (230, 228, 220),
    "grey": (142, 142, 142), "tan": (206, 170, 128), "dark": (46, 46, 52), "glass": (166, 200, 216),
}
BODY_PAINTS = tuple(PAINT)[:-2]
TEXTURES = ("grain", "speckle", "rows", "brick", "scales")
# Backdrops: colour at the image's top, colour at its bottom, texture, strength.
UPPER_BACKDROPS = {
    "sky": ((110, 160, 215), (205, 222, 235), "grain", 12),
    "dusk": ((92, 82, 140), (238, 168, 118), "grain", 12),
    "brick": ((160, 84, 66), (140, 76, 62), "brick", 22),
    "wall": ((214, 190, 152), (190, 166, 130), "grain", 14),
    "leaves": ((56, 96, 52), (92, 142, 74), "speckle", 30),
}
LOWER_BACKDROPS = {
    "grass": ((104, 152, 76), (70, 120, 54), "speckle", 20),
    "sand": ((214, 186, 138), (200, 164, 116), "grain", 18),
    "road": ((136, 136, 138), (96, 96, 102), "speckle", 13),
    "water": ((92, 150, 176), (44, 96, 140), "rows", 16),
    "planks": ((150, 104, 68), (116, 78, 50), "rows", 18),
}
# fmt: on
# Each class's backdrop in some of its images: context is a cue, but a weak one.
USUAL_BACKDROPS = {"boat": "water", "car": "road", "fish": "water", "house": "grass", "person": "sand"}


class Part(NamedTuple):
    """One filled polygon: points float [N, 2], x right, y down."""

    points: np.ndarray
    colour: Colour
    texture: str = "grain"
    strength: float = 9


def poly(*xy: float) -> np.ndarray:
    """Corners x0, y0, x1, y1, … as points [n, 2]."""
    return np.array(xy, dtype=float).reshape(-1, 2)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """A rectangle's corners."""
    return poly(x0, y0, x1, y0, x1, y1, x0, y1)


def oval(cx: float, cy: float, rx: float, ry: float, start=0.0, stop=360.0) -> np.ndarray:
    """An ellipse, or its segment between two angles (degrees, clockwise from the right)."""
    t = np.radians(np.linspace(start, stop, 40))
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)


def ellipse_slice(cx: float, rx: float, ry: float, x0: float, x1: float) -> np.ndarray:
    """The slice from x0 to x1 of an ellipse around (cx, 0)."""
    x = np.linspace(x0, x1, 12)
    y = ry * np.sqrt(np.clip(1 - ((x - cx) / rx) ** 2, 0, 1))
    return np.concatenate([np.stack([x, -y], 1), np.stack([x, y], 1)[::-1]])


def thick_line(x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """A line of some width, as a rectangle."""
    across = np.array([y0 - y1, x1 - x0]) * width / 2 / math.hypot(x1 - x0, y1 - y0)
    a, b = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([a + across, b + across, b - across, a - across])


def jitter(r: Random, rgb: Colour) -> Colour:
    """A colour with noise of at most 16 grey levels per channel."""
    return tuple(min(255, max(0, v + r.randint(-16, 16))) for v in rgb)


def tint(r: Random, *names: str) -> Colour:
    """One of the named paints, jittered."""
    return jitter(r, PAINT[r.choice(names)])


def body_colours(r: Random, count: int) -> list[Colour]:
    """`count` different paints of BODY_PAINTS, jittered."""
    return [tint(r, name) for name in r.sample(BODY_PAINTS, count)]


# Shapes span about -1..1. Their parts overlap: parts that only touch would show gaps after rotation.
def boat(r: Random) -> list[Part]:
    """Hull, stripe, mast and two sails."""
    hull, stripe, first, second = body_colours(r, 4)
    x = r.uniform(-0.2, 0.1)
    sail = [
        Part(box(x - 0.05, -1, x + 0.05, 0.5), tint(r, "brown")),
        Part(poly(x + 0.04, -0.95, x + 0.04, 0.46, 0.85, 0.46), first),
        Part(poly(x + 0.04, -0.2, x + 0.04, 0.1, 0.66, 0.1, 0.46, -0.2), second),
        Part(poly(x - 0.04, -0.85, x - 0.04, 0.46, -0.8, 0.46), second),
    ]
    steam = [
        Part(box(x, -0.62, x + 0.3, 0), second),
        Part(box(x, -0.62, x + 0.3, -0.46), tint(r, "dark")),
        Part(box(-0.6, -0.12, 0.5, 0.5), first, "rows"),
        *(Part(oval(c, 0.14, 0.11, 0.11), tint(r, "glass")) for c in (-0.38, -0.05, 0.28)),
    ]
    return r.choice((sail, sail, steam)) + [
        Part(poly(-1, 0.42, 1, 0.42, 0.68, 0.95, -0.72, 0.95), hull, "rows", 12),
        Part(poly(-1, 0.42, 1, 0.42, 0.9, 0.58, -0.91, 0.58), stripe),
    ]


def car(r: Random) -> list[Part]:
    """Body, roof, windows and wheels."""
    (body, roof, trim), glass = body_colours(r, 3), tint(r, "glass")
    back, front, top = r.uniform(-0.85, -0.5), r.uniform(0.2, 0.4), r.uniform(-0.66, -0.52)
    mid, sill = (back + front) / 2, top + 0.1
    parts = [
        Part(poly(-0.95, 0, back, top, front, top, front + 0.36, 0), roof),
        Part(poly(back - 0.06, -0.08, back + 0.08, sill, mid - 0.04, sill, mid, -0.08), glass),
        Part(poly(mid + 0.07, -0.08, mid + 0.05, sill, front, sill, front + 0.2, -0.08), glass),
        Part(poly(-0.96, -0.1, 0.55, -0.1, 0.95, 0.04, 1, 0.38, -1, 0.38), body),
        Part(poly(-1, 0.26, 0.99, 0.26, 1, 0.42, -1, 0.42), trim),
        Part(poly(0.84, 0.02, 0.94, 0.05, 0.96, 0.2, 0.84, 0.18), tint(r, "yellow")),
        Part(box(-0.97, 0, -0.86, 0.18), tint(r, "red")),
    ]
    for x in (-0.56, 0.56):
        parts.append(Part(oval(x, 0.4, 0.25, 0.25), tint(r, "dark")))
        parts.append(Part(oval(x, 0.4, 0.12, 0.12), tint(r, "grey")))
    return parts


def fish(r: Random) -> list[Part]:
    """Body, fins, bars and a head."""
    (body, fin, stripe, head), high = body_colours(r, 4), r.uniform(0.42, 0.6)
    bars = r.choice(((-0.15,), (-0.35, 0.12), (-0.4, -0.02)))
    return [
        Part(poly(-0.4, 0, -1, -0.5, -0.85, 0, -1, 0.5), fin, "rows"),
        Part(poly(-0.4, -0.2, -0.1, -high - 0.3, 0.4, -high - 0.1, 0.45, -0.2), fin, "rows"),
        Part(poly(-0.2, 0.2, -0.25, high + 0.25, 0.3, 0.25), fin, "rows"),
        Part(oval(0.2, 0, 0.8, high), body, "scales", 18),
        Part(ellipse_slice(0.2, 0.8, high, 0.52, 1), head),
        *(Part(ellipse_slice(0.2, 0.8, high, x, x + 0.2), stripe, "scales", 12) for x in bars),
        Part(poly(0.4, 0.05, 0.05, 0.0, 0.12, 0.3), fin),
        Part(oval(0.72, -0.1, 0.11, 0.11), tint(r, "white")),
        Part(oval(0.74, -0.1, 0.06, 0.06), tint(r, "dark")),
    ]


def house(r: Random) -> list[Part]:
    """Walls, roof, door and window."""
    wall, roof, door, frame = body_colours(r, 4)
    half, eaves, ridge = r.uniform(0.62, 0.85), r.uniform(-0.3, -0.1), r.choice((0.0, 0.0, 0.45))
    x, over = r.choice((-0.55, 0.55)) * half, half + 0.15
    parts = [
        Part(box(x - 0.12, -0.92, x + 0.12, eaves), tint(r, "brown"), "brick", 16),
        Part(box(-half, eaves - 0.1, half, 1), wall, r.choice(("brick", "grain", "rows")), 12),
        Part(poly(-over, eaves, -ridge, -1, ridge, -1, over, eaves), roof, "rows", 20),
        Part(box(-x - 0.17, 0.3, -x + 0.17, 1), door),
    ]
    for cx, cy in ((x, 0.3), (-x, 0.02) if ridge else (0.0, -0.42)):
        parts.append(Part(box(cx - 0.2, cy - 0.18, cx + 0.2, cy + 0.18), frame))
        for pane in (box(-0.15, -0.12, -0.02, 0.12), box(0.02, -0.12, 0.15, 0.12)):
            parts.append(Part(pane + (cx, cy), tint(r, "glass")))
    return parts


def person(r: Random) -> list[Part]:
    """Head, trunk, arms and legs."""
    shirt, legs, shoes = body_colours(r, 3)
    skin, hair = tint(r, "tan", "tan", "brown"), tint(r, "dark", "dark", "yellow")
    parts = [Part(oval(0, -0.7, 0.27, r.choice((0.27, 0.41))), hair, "speckle")]
    for s in (-1, 1):
        foot, turn = s * r.uniform(0.16, 0.34), math.radians(r.choice((25, 40, 60, 130)))
        x, y = s * (0.27 + 0.58 * math.sin(turn)), -0.28 + 0.58 * math.cos(turn)
        parts.append(Part(oval(x, y, 0.12, 0.12), skin))
        parts.append(Part(thick_line(s * 0.2, -0.28, x, y, 0.22), shirt))
        parts.append(Part(thick_line(s * 0.15, 0.22, foot, 0.92, 0.27), legs))
        parts.append(Part(oval(foot + s * 0.05, 0.93, 0.2, 0.1), shoes))
    skirt = [Part(poly(-0.3, 0.1, 0.3, 0.1, 0.48, 0.62, -0.48, 0.62), legs)]
    return parts + [
        Part(box(-0.09, -0.55, 0.09, -0.35), skin),
        Part(poly(-0.36, -0.4, 0.36, -0.4, 0.3, 0.3, -0.3, 0.3), shirt, "rows", r.choice((4, 22))),
        *r.choice(([], [], skirt)),
        Part(oval(0, -0.68, 0.23, 0.27), skin),
        Part(oval(0, -0.74, 0.26, 0.26, 190, 350), hair, "speckle"),
        *(Part(oval(x, -0.66, 0.035, 0.04), tint(r, "dark")) for x in (-0.09, 0.09)),
    ]


def clutter(r: Random) -> list[Part]:
    """An object of no class: a ball, a tyre, a crate, a cone, a rock, a bush or a sign."""
    (a, b), turns = body_colours(r, 2), np.radians(np.arange(0, 360, 45))
    rim = np.stack([np.cos(turns), 0.75 * np.sin(turns)], 1)
    board = r.choice((box(-0.7, -1, 0.7, -0.1), oval(0, -0.5, 0.6, 0.5)))
    leaf = tint(r, "green", "green", "orange", "teal")
    return r.choice((
        [Part(oval(0, 0, 1, 1), a), Part(ellipse_slice(0, 1, 1, -0.3, 0.3), b)],
        [Part(oval(0, 0, 1, 1), tint(r, "dark")), Part(oval(0, 0, 0.45, 0.45), a, "speckle")],
        [Part(box(-1, -0.8, 1, 0.8), a, "rows", 14), Part(thick_line(-0.9, -0.7, 0.9, 0.7, 0.3), b)],
        [Part(poly(-0.15, -1, 0.15, -1, 0.7, 1, -0.7, 1), a),
         Part(poly(-0.29, -0.5, 0.29, -0.5, 0.47, 0.15, -0.47, 0.15), b)],
        [Part(rim * [[r.uniform(0.7, 1.1)] for _ in turns], tint(r, "grey", "brown", "tan"),
              "speckle", 20)],
        [Part(oval(x, r.uniform(-0.2, 0.3), 0.6, 0.6), jitter(r, leaf), "speckle", 26)
         for x in (-0.5, 0.5, 0)],
        [Part(box(-0.12, -0.5, 0.12, 1), a), Part(board, b),
         Part(board * 0.6 - (0, 0.2), tint(r, "white", "glass", "dark"))],
    ))  # fmt: skip


SHAPES = {"boat": boat, "car": car, "fish": fish, "house": house, "person": person}
CLASSES: Names = tuple(SHAPES)


def patterns(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """The TEXTURES, values in about -1..1, float32 [len(TEXTURES), h, w]."""

    def noise(cell: float) -> np.ndarray:
        grid = rng.uniform(-1, 1, [int(n / cell / SUPERSAMPLING) + 2 for n in (h, w)]).astype(np.float32)
        return np.asarray(Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC))

    fine, medium, coarse = noise(1.2), noise(4), noise(16)
    y, x = np.mgrid[:h, :w].astype(np.float32) + SUPERSAMPLING * coarse  # bends straight lines
    period = SUPERSAMPLING * rng.uniform(5, 8)
    wave = np.sin(2 * np.pi / period * np.stack([x, y]))
    mortar = (y % period < 0.2 * period) | ((x + y // period % 2 * period) % (2 * period) < 0.2 * period)
    textures = {
        "grain": 0.4 * fine + 0.6 * coarse,
        "speckle": 0.6 * fine + 0.7 * medium,
        "rows": 0.7 * wave[1] + 0.4 * medium,
        "brick": mortar - 0.3 + 0.4 * medium,
        "scales": wave[0] * wave[1] + 0.3 * medium,
    }
    return np.stack([textures[name] for name in TEXTURES]).astype(np.float32)


def backdrop(r: Random, classes: Names, textures: np.ndarray) -> np.ndarray:
    """An upper and a lower backdrop divided by a tilted horizon, sometimes the lower alone: float32 [h, w, 3]."""
    h, w = textures.shape[1:]
    y, x = np.mgrid[:h, :w, :1].astype(np.float32)[:2]
    lower = USUAL_BACKDROPS[r.choice(classes)] if r.random() < 0.33 else r.choice(tuple(LOWER_BACKDROPS))
    halves = []
    for top, bottom, texture, strength in (UPPER_BACKDROPS[r.choice(tuple(UPPER_BACKDROPS))], LOWER_BACKDROPS[lower]):
        first, last = (np.array(jitter(r, rgb), np.float32) for rgb in (top, bottom))
        pattern = textures[TEXTURES.index(texture)][..., None]
        halves.append(first + (last - first) * y / h + strength * pattern)
    horizon = r.choice((0, *[r.uniform(0.3, 0.65) * h] * 4)) + r.uniform(-0.1, 0.1) * (x - w / 2)
    return np.where(y > horizon, halves[1], halves[0])
