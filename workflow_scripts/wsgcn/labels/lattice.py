"""The permutohedral lattice, on which a dense CRF filters with Gaussian kernels [Adams, Baek & Davis 2010].

Points with d features are lifted to the hyperplane of R^(d+1) whose coordinates sum to zero. The lattice there has
vertices whose coordinates are all congruent modulo d + 1; each point lies in a simplex of d + 1 of them. Floating-point
operations and their order are pydensecrf's, so that results are equal to the last bit.
"""

from typing import NamedTuple

import numpy as np

from wsgcn.compiled import njit

MAX_FEATURES = 5
MAX_FEATURE = 1 << 20
"""Beyond it float32 cannot tell in which simplex a point lies."""
CHUNK_POINTS = 256
MIN_SLOTS = 1 << 14


class Lattice(NamedTuple):
    """What filtering needs to know of N points with d features among M vertices; vertex 0 stands for a missing one."""

    vertices: np.ndarray
    """uint32 [N, d + 1]: the vertices of each point's simplex, from 1 to M."""
    weights: np.ndarray
    """float32 [N, d + 1]: the point's barycentric coordinates."""
    neighbours: np.ndarray
    """uint32 [d + 1, M + 1, 2]: along each axis, the vertices before and after."""


def gaussian_features(height: int, width: int, sxy: float) -> np.ndarray:
    """float32 [2, H·W]: the pixels' x and y over a standard deviation [pixels]."""
    x, y = (np.arange(side, dtype=np.float32) / np.float32(sxy) for side in (width, height))
    return np.stack([np.tile(x, height), np.repeat(y, width)])


def bilateral_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """float32 [5, H·W]: x, y and the colours of `image`, uint8 RGB [H, W, 3], over standard deviations."""
    height, width = image.shape[:2]
    colours = image.reshape(-1, 3).T.astype(np.float32) / np.float32(srgb)
    return np.concatenate([gaussian_features(height, width, sxy), colours])


def build_lattice(features: np.ndarray) -> Lattice:
    """The lattice of points with features float32 [d, N], d at most 5.

    Raises ValueError where features are too large. A number of points that is no multiple of four is filled up with
    points whose features are zero, as in pydensecrf: they have no values, but their vertices take part in blurring.
    """
    dimensions, points = features.shape
    if not 0 < dimensions <= MAX_FEATURES:
        raise ValueError(f"a lattice's points have 1 to {MAX_FEATURES} features, not {dimensions}")
    if not np.abs(features).max(initial=0) < MAX_FEATURE:  # nor NaN
        raise ValueError(f"a lattice's features must be below {MAX_FEATURE}; a standard deviation is too small")
    if points % 4:
        features = np.pad(features, ((0, 0), (0, 1)))
    # The vertex before another along an axis has d more in that coordinate and 1 less in all others. From one vertex
    # of a simplex to the next it is the other way round.
    before = (dimensions + 1) * np.eye(dimensions + 1, dtype=np.int64) - 1
    vertices, weights, neighbours = _build(features, _words(before[:dimensions]), _words(-before[:dimensions]))
    return Lattice(vertices[:points], weights[:points], neighbours)


# A vertex has d coordinates of 16 bits; the last one follows from the others. Four are packed into one word, the fifth
# into another. An entry of the hash table is a vertex's number, and in the high half its hash.
_LOW = np.uint64(0x7FFF7FFF7FFF7FFF)
_HIGH = np.uint64(0x8000800080008000)
_SHORT = np.uint64(0xFFFF)
_HALF = np.uint64(32)
_NUMBER = np.uint64(0xFFFFFFFF)
_ZERO = np.uint64(0)


def _words(coordinates: np.ndarray) -> np.ndarray:
    """The two words of vertices with int64 coordinates [d, n]: uint64 [n, 2]."""
    shorts = np.zeros((MAX_FEATURES, coordinates.shape[1]), np.uint64)
    shorts[: len(coordinates)] = coordinates.astype(np.uint16)
    shifts = np.arange(0, 64, 16, dtype=np.uint64)[:, None]
    return np.stack([np.bitwise_or.reduce(shorts[:4] << shifts, axis=0), shorts[4]], 1)


@njit
def _add_shorts(a, b):
    """Add four 16-bit integers each, without carrying from one into the next."""
    return ((a & _LOW) + (b & _LOW)) ^ ((a ^ b) & _HIGH)


@njit
def _pack(coordinates, d, column):
    """The two words of a column's first d coordinates."""
    first, second = _ZERO, _ZERO
    for i in range(d):
        short = np.uint64(np.int64(coordinates[i, column]) & 0xFFFF)
        if i < 4:
            first |= short << np.uint64(16 * i)
        else:
            second |= short
    return first, second


@njit
def _hash(first, second):
    """The hash of two words in the high half of a word."""
    mixed = (first * np.uint64(0x9E3779B97F4A7C15)) ^ (second * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (mixed >> _HALF)) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed >> _HALF << _HALF


@njit
def _slot(table, keys, first, second):
    """The slot of the vertex with these words in the hash table, or the free one where it belongs, and its hash."""
    mixed, mask = _hash(first, second), np.uint64(len(table) - 1)
    slot = (mixed >> _HALF) & mask
    while True:
        entry = table[slot]
        number = entry & _NUMBER
        if entry == _ZERO or (entry - number == mixed and keys[number, 0] == first and keys[number, 1] == second):
            return slot, mixed
        slot = (slot + np.uint64(1)) & mask


@njit
def _grow(table):
    larger = np.zeros(2 * len(table), np.uint64)
    mask = np.uint64(len(larger) - 1)
    for entry in table:
        if entry != _ZERO:
            slot = (entry >> _HALF) & mask
            while larger[slot] != _ZERO:
                slot = (slot + np.uint64(1)) & mask
            larger[slot] = entry
    return larger


@njit
def _lift(features, start, count, nearest, rank, difference, lifted):
    """The simplices of `count` points from `start`, into arrays [d + 1 (or + 2), CHUNK_POINTS].

    nearest: the coordinates of the closest vertex whose coordinates are multiples of d + 1; rank: each coordinate's
    place in the order of the differences to it; difference: these over d + 1.
    """
    d = len(features)
    up, inverse = np.float32(d + 1), np.float32(1) / np.float32(d + 1)
    zero, one = np.float32(0), np.float32(1)
    deviation = np.float32(np.sqrt(2.0 / 3.0) * (d + 1))  # of the filter
    total = rounds = d + 1  # rows of their own
    for c in range(count):
        lifted[total, c], nearest[rounds, c] = zero, zero
    for j in range(d, 0, -1):
        scale, factor = np.float32(1.0 / np.sqrt(np.float64((j + 1) * j)) * np.float64(deviation)), np.float32(j)
        for c in range(count):
            scaled = features[j - 1, start + c] * scale
            lifted[j, c] = lifted[total, c] - factor * scaled
            lifted[total, c] += scaled
    for c in range(count):
        lifted[0, c] = lifted[total, c]
    for i in range(d + 1):
        for c in range(count):
            rounded = np.rint(inverse * lifted[i, c])
            nearest[i, c] = rounded * up
            nearest[rounds, c] += rounded
            difference[i, c] = lifted[i, c] - nearest[i, c]
            rank[i, c] = zero
    for i in range(d):
        for j in range(i + 1, d + 1):
            for c in range(count):
                before = one if difference[i, c] < difference[j, c] else zero
                rank[i, c] += before
                rank[j, c] += one - before
    for i in range(d + 1):  # back onto the hyperplane, where rounding has left it
        for c in range(count):
            moved = rank[i, c] + nearest[rounds, c]
            shift = up if moved < zero else (-up if moved >= up else zero)
            rank[i, c] = moved + shift
            nearest[i, c] += shift
            difference[i, c] = (lifted[i, c] - nearest[i, c]) * inverse


@njit
def _build(features, before, after):
    """`Lattice`'s arrays. before, after: words [d + 1, 2] to add to a vertex's for one that is a step away."""
    d, points = features.shape
    vertices, weights = np.empty((points, d + 1), np.uint32), np.empty((points, d + 1), np.float32)
    keys = np.empty((points * (d + 1) + 1, 2), np.uint64)
    table = np.zeros(MIN_SLOTS, np.uint64)
    filled = 0
    lifted, nearest = np.empty((d + 2, CHUNK_POINTS), np.float32), np.empty((d + 2, CHUNK_POINTS), np.float32)
    rank, difference = np.empty((d + 1, CHUNK_POINTS), np.float32), np.empty((d + 1, CHUNK_POINTS), np.float32)
    turn, ordered = np.zeros(d + 1, np.int64), np.zeros(d + 1, np.float32)
    last, numbers = np.zeros((d + 1, 2), np.uint64), np.zeros(d + 1, np.uint32)
    for start in range(0, points, CHUNK_POINTS):
        count = min(CHUNK_POINTS, points - start)
        _lift(features, start, count, nearest, rank, difference, lifted)
        for c in range(count):
            p = start + c
            for i in range(d + 1):
                position = np.uint64(rank[i, c])
                turn[position] = i
                ordered[position] = difference[i, c]
            first, second = _pack(nearest, d, c)
            for r in range(d + 1):
                if numbers[r] == 0 or last[r, 0] != first or last[r, 1] != second:  # else as for the last point
                    last[r, 0], last[r, 1] = first, second
                    slot, mixed = _slot(table, keys, first, second)
                    if table[slot] == _ZERO:
                        filled += 1
                        keys[filled, 0], keys[filled, 1] = first, second
                        table[slot] = mixed | np.uint64(filled)
                        numbers[r] = filled
                        if 2 * filled >= len(table):
                            table = _grow(table)
                    else:
                        numbers[r] = table[slot] & _NUMBER
                vertices[p, r] = numbers[r]
                first = _add_shorts(first, after[turn[d - r], 0])
                second = (second + after[turn[d - r], 1]) & _SHORT
            weights[p, 0] = ordered[d] + (np.float32(1) - ordered[0])
            for r in range(1, d + 1):
                weights[p, r] = ordered[d - r] - ordered[d - r + 1]
    neighbours = np.zeros((d + 1, filled + 1, 2), np.uint32)
    for axis in range(d + 1):
        first, second = before[axis, 0], before[axis, 1]
        for v in range(1, filled + 1):
            slot, _ = _slot(table, keys, _add_shorts(keys[v, 0], first), (keys[v, 1] + second) & _SHORT)
            number = table[slot] & _NUMBER
            if number != _ZERO:
                neighbours[axis, v, 0] = number
                neighbours[axis, number, 1] = v
    return vertices, weights, neighbours
