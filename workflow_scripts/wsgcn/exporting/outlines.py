"""Masks as polygons, and polygons as masks.

A pixel (x, y) is the square from (x, y) to (x + 1, y + 1), so that an outline runs along the edges of pixels and
encloses exactly their area. A polygon of the formats is one ring and has no holes: a hole is cut open by a bridge of no
width, to the outline and back, which adds no area under either rule of filling.
"""

import numpy as np
import shapely

Ring = list[tuple[float, float]]
"""The corners of a polygon, (x, y) in pixels; the last is joined to the first."""


def outlines(mask: np.ndarray, tolerance: float = 0, box: tuple[slice, slice] | None = None) -> list[Ring]:
    """The rings that enclose a mask, bool [H, W], one per 4-connected part, with bridges to its holes.

    tolerance: corners that the outline misses by no more than this [pixels] are left out; 0 leaves out only those on a
    straight line, and the rings give exactly the mask again. box: the rows and columns of the image that the mask
    covers, since corners are those in the image; None where it covers all.
    """
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    top, left = (box[0].start, box[1].start) if box else (0, 0)
    area = shapely.union_all(shapely.box(left + starts, top + rows, left + ends, top + rows + 1))
    parts = shapely.get_parts(shapely.simplify(area, tolerance))
    return [_open_holes(part) for part in parts if not part.is_empty]


def flatten_ring(ring: Ring) -> list[float]:
    """A ring as x, y, x, y, …"""
    return [coordinate for corner in ring for coordinate in corner]


def _open_holes(polygon: shapely.Polygon) -> Ring:
    """The ring of a polygon with a bridge to each of its holes."""
    ring = [tuple(corner) for corner in polygon.exterior.coords[:-1]]
    holes = [[tuple(corner) for corner in hole.coords[:-1]] for hole in polygon.interiors]
    for hole in sorted(
        holes, key=min
    ):  # from the left, so that nothing but the ring lies left of a hole's first corner
        ring = _bridge(ring, hole)
    return ring


def _bridge(ring: Ring, hole: Ring) -> Ring:
    """The ring with a hole that a horizontal bridge joins to it, from the hole's leftmost corner to its left."""
    start = hole.index(min(hole))
    x, y = hole[start]
    corners = np.array(ring)
    following = np.roll(corners, -1, axis=0)
    low, high = np.minimum(corners[:, 1], following[:, 1]), np.maximum(corners[:, 1], following[:, 1])
    slope = np.divide(
        following[:, 0] - corners[:, 0],
        following[:, 1] - corners[:, 1],
        out=np.zeros(len(corners)),
        where=high > low,
    )
    crossing = corners[:, 0] + slope * (y - corners[:, 1])
    crossing = np.where(high > low, crossing, np.maximum(corners[:, 0], following[:, 0]))
    crossing[(low > y) | (high < y) | (crossing > x)] = -np.inf
    edge = int(crossing.argmax())
    foot = (float(crossing[edge]), y)
    return [*ring[: edge + 1], foot, *hole[start:], *hole[: start + 1], foot, *ring[edge + 1 :]]
