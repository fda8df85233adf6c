"""Mean-field inference of a dense CRF with two kernels [Krähenbühl & Koltun 2011], to pydensecrf's last bit.

Per iteration Q = softmax(log scores + the kernels' messages); a message is compatibility · n · K(n · Q), with the
symmetric normalisation n. K filters on a lattice: splat the points' values onto its vertices, blur along its axes,
slice.
"""

import math
from typing import NamedTuple

import numpy as np

from wsgcn.compiled import njit
from wsgcn.labels.lanes import NUM_LANES, add_half, broadcast, divide, exponential, load, pack, store, unpack
from wsgcn.labels.lattice import Lattice

CHUNK_POINTS = 128
"""Points that pass from slicing to splatting together: their values stay in a core's first cache."""
MIN_SINGLE_PRECISION_LABELS = 3
"""With fewer labels pydensecrf rounds elsewhere: it slices (w · v) · alpha and blurs in double precision."""


class Kernel(NamedTuple):
    """A lattice of N points, flat for the compiled functions, its normalisation, the weight of its messages."""

    vertices: np.ndarray
    """uint32 [N · (d + 1)]"""
    weights: np.ndarray
    """float32 [N · (d + 1)]"""
    neighbours: np.ndarray
    """uint32 [d + 1, M + 1, 2]"""
    norm: np.ndarray
    """float32 [N]"""
    alpha: np.float32
    """What slicing multiplies by."""
    compatibility: np.float32


def build_kernel(lattice: Lattice) -> Kernel:
    """The kernel of a lattice, of compatibility 1, normalised by 1 / sqrt of its row sums."""
    axes = len(lattice.neighbours)
    alpha = np.float32(1) / np.float32(1 + 2.0 ** (1 - axes))
    norm = _normalisation(lattice.vertices, lattice.weights, lattice.neighbours, alpha)
    return Kernel(lattice.vertices.ravel(), lattice.weights.ravel(), lattice.neighbours, norm, alpha, np.float32(1))


def mean_field(log_scores: np.ndarray, gaussian: Kernel, bilateral: Kernel, iterations: int) -> np.ndarray:
    """Probabilities float32 [L, N] of L labels at N points, from float32 [L, N], up to a constant per point."""
    labels, points = log_scores.shape
    width = -(-labels // NUM_LANES) * NUM_LANES
    padded = np.zeros((points, width), np.float32)
    padded[:, :labels] = log_scores.T
    return np.ascontiguousarray(_iterate(padded.ravel(), labels, gaussian, bilateral, iterations).T)


@njit
def _normalisation(vertices, weights, neighbours, alpha):
    points, corners = vertices.shape
    values = np.zeros(neighbours.shape[1], np.float32)
    blurred = np.zeros_like(values)
    for p in range(points):
        for j in range(corners):
            values[vertices[p, j]] += weights[p, j]
    for axis in range(corners):
        for v in range(1, len(values)):
            around = values[neighbours[axis, v, 0]] + values[neighbours[axis, v, 1]]
            blurred[v] = np.float32(np.float64(values[v]) + 0.5 * np.float64(around))
        values, blurred = blurred, values
    norm = np.empty(points, np.float32)
    for p in range(points):
        total = np.float32(0)
        for j in range(corners):
            total += (weights[p, j] * values[vertices[p, j]]) * alpha
        norm[p] = np.float32(1.0 / np.sqrt(np.float64(total) + 1e-20))
    return norm


@njit
def _iterate(log_scores, labels, gaussian, bilateral, iterations):
    """log_scores: [N · width], a point's labels one after the other, filled up to whole lanes. Returns [N, L]."""
    points = np.uint64(len(gaussian.norm))
    width = np.uint64(len(log_scores)) // points
    result = np.empty((points, labels), np.float32)
    chunk = np.empty(np.uint64(CHUNK_POINTS) * width, np.float32)
    gaussian_values = np.zeros(np.uint64(gaussian.neighbours.shape[1]) * width, np.float32)
    bilateral_values = np.zeros(np.uint64(bilateral.neighbours.shape[1]) * width, np.float32)
    next_gaussian, next_bilateral = np.zeros_like(gaussian_values), np.zeros_like(bilateral_values)
    for iteration in range(iterations + 1):
        if iteration > 0:
            gaussian_values, next_gaussian = _blur(gaussian_values, next_gaussian, gaussian.neighbours, width, labels)
            bilateral_values, next_bilateral = _blur(
                bilateral_values, next_bilateral, bilateral.neighbours, width, labels
            )
            next_gaussian[:], next_bilateral[:] = 0, 0
        for start in range(np.uint64(0), points, np.uint64(CHUNK_POINTS)):
            stop = min(start + np.uint64(CHUNK_POINTS), points)
            used = (stop - start) * width
            for i in range(used):
                chunk[i] = log_scores[start * width + i]
            if iteration > 0:
                _slice(gaussian_values, gaussian, start, stop, width, labels, chunk)
                _slice(bilateral_values, bilateral, start, stop, width, labels, chunk)
            for i in range(np.uint64(0), used, width):
                _softmax(chunk, i, labels)
            if iteration < iterations:
                _splat(chunk, gaussian, start, stop, width, next_gaussian)
                _splat(chunk, bilateral, start, stop, width, next_bilateral)
            else:
                for p in range(start, stop):
                    for k in range(labels):
                        result[p, k] = chunk[(p - start) * width + np.uint64(k)]
        gaussian_values, next_gaussian, bilateral_values, next_bilateral = (
            next_gaussian,
            gaussian_values,
            next_bilateral,
            bilateral_values,
        )
    return result


@njit
def _splat(chunk, kernel, start, stop, width, values):
    """Add the points' normalised values to their vertices."""
    corners = np.uint64(len(kernel.neighbours))
    for p in range(start, stop):
        norm, first = broadcast(kernel.norm[p]), (p - start) * width
        for k in range(np.uint64(0), width, np.uint64(NUM_LANES)):
            value = load(chunk, first + k) * norm
            for j in range(p * corners, p * corners + corners):
                i = np.uint64(kernel.vertices[j]) * width + k
                store(values, i, load(values, i) + broadcast(kernel.weights[j]) * value)


@njit
def _slice(values, kernel, start, stop, width, labels, chunk):
    """Add the kernel's messages to the chunk."""
    corners = np.uint64(len(kernel.neighbours))
    compatibility, alpha = broadcast(kernel.compatibility), broadcast(kernel.alpha)
    for p in range(start, stop):
        norm, first = broadcast(kernel.norm[p]), (p - start) * width
        for k in range(np.uint64(0), width, np.uint64(NUM_LANES)):
            total = broadcast(np.float32(0))
            for j in range(p * corners, p * corners + corners):
                value = load(values, np.uint64(kernel.vertices[j]) * width + k)
                if labels < MIN_SINGLE_PRECISION_LABELS:
                    total = total + broadcast(kernel.weights[j]) * value * alpha
                else:
                    total = total + broadcast(kernel.weights[j] * kernel.alpha) * value
            store(chunk, first + k, load(chunk, first + k) + compatibility * (total * norm))


@njit
def _blur(values, blurred, neighbours, width, labels):
    """Each vertex along each axis: its value plus half of both neighbours'. Returns the result and the other array."""
    lanes, half = np.uint64(NUM_LANES), broadcast(np.float32(0.5))
    for axis in range(len(neighbours)):
        around = neighbours[axis]
        for v in range(1, len(around)):
            a, b, i = np.uint64(around[v, 0]) * width, np.uint64(around[v, 1]) * width, np.uint64(v) * width
            if labels < MIN_SINGLE_PRECISION_LABELS:
                store(blurred, i, add_half(load(values, i), load(values, a) + load(values, b)))
            elif width == lanes:
                store(blurred, i, load(values, i) + half * (load(values, a) + load(values, b)))
            else:
                for k in range(np.uint64(0), width, lanes):
                    store(blurred, i + k, load(values, i + k) + half * (load(values, a + k) + load(values, b + k)))
        values, blurred = blurred, values
    return values, blurred


@njit
def _softmax(values, first, labels):
    """In place, of the labels from `first`; what fills up the lanes becomes zero.

    As Eigen does it: whole lanes by the polynomial, the others by the C library. Pairs of lanes add to two sums, which
    are then added to each other, an unpaired one follows; then the first with the third and the second with the fourth;
    then the others.
    """
    whole = np.uint64(labels // NUM_LANES * NUM_LANES)
    top = values[first]
    for i in range(first, first + np.uint64(labels)):
        top = max(top, values[i])
    zero, tops, total = np.float32(0), broadcast(top), np.float32(0)
    if whole > 0:
        sums, unpaired, step = (broadcast(zero), broadcast(zero)), broadcast(zero), np.uint64(NUM_LANES)
        for k in range(np.uint64(0), whole, step):
            found = exponential(load(values, first + k) - tops)
            store(values, first + k, found)
            if k % (step + step) == 0 and k + step == whole:
                unpaired = found
            else:
                sums = (sums[1], sums[0] + found)
        a, b, c, d = unpack(sums[0] + sums[1] + unpaired)
        total = (a + c) + (b + d)
    rest = np.uint64(labels) - whole
    if rest > 0:
        a, b, c, d = unpack(load(values, first + whole) - tops)
        a = np.float32(math.exp(a))
        b = np.float32(math.exp(b)) if rest > 1 else zero
        c = np.float32(math.exp(c)) if rest > 2 else zero
        total = total + a + b + c
        store(values, first + whole, pack(a, b, c, zero))
    totals = broadcast(total)
    for i in range(first, first + np.uint64(labels), np.uint64(NUM_LANES)):
        store(values, i, divide(load(values, i), totals))
