"""A dense CRF on the permutohedral lattice as one would first write it: dictionaries and double precision.

After Adams, Baek & Davis 2010 (the lattice) and Krähenbühl & Koltun 2011 (the CRF); a second, independent version.
"""

from collections import defaultdict

import numpy as np


def simplex(point):
    """The vertices around a point with d features, tuples of d + 1 whole numbers, and their barycentric coordinates."""
    d = len(point)
    lift = np.zeros((d + 1, d))
    for i in range(d):  # orthogonal columns; a unit of a feature is as long as the filter's standard deviation
        lift[: i + 1, i], lift[i + 1, i] = 1, -(i + 1)
        lift[:, i] *= np.sqrt(2 / 3) * (d + 1) / np.sqrt((i + 1) * (i + 2))
    y = lift @ point
    nearest = np.rint(y / (d + 1)) * (d + 1)
    order = sorted(range(d + 1), key=lambda i: -(y - nearest)[i])
    excess = round(nearest.sum() / (d + 1))
    for i in order[len(order) - excess :] if excess > 0 else order[:-excess]:
        nearest[i] -= np.sign(excess) * (d + 1)
    away = y - nearest
    order = sorted(range(d + 1), key=lambda i: -away[i])
    away = away[order] / (d + 1)
    weights = [1 - away[0] + away[d]] + [away[d - r] - away[d - r + 1] for r in range(1, d + 1)]
    vertices = []
    for r in range(d + 1):
        vertex = nearest + r
        for i in order[d + 1 - r :]:
            vertex[i] -= d + 1
        vertices.append(tuple(int(k) for k in vertex))
    return vertices, weights


class SlowLattice:
    """Filters values [N, L] of points with features [N, d]."""

    def __init__(self, features):
        self.features = np.asarray(features, float)
        self.simplices = [simplex(point) for point in self.features]
        self.known = {vertex for vertices, _ in self.simplices for vertex in vertices}
        if len(self.features) % 4:  # the zeros that fill up a block of four
            self.known |= set(simplex(np.zeros(self.features.shape[1]))[0])
        root = np.sqrt(self.raw(np.ones((len(self.features), 1))))
        self.norm = 1 / root

    def raw(self, values):
        d = self.features.shape[1]
        at = defaultdict(lambda: np.zeros(values.shape[1]))
        for (vertices, weights), value in zip(self.simplices, values, strict=True):
            for vertex, weight in zip(vertices, weights, strict=True):
                at[vertex] = at[vertex] + weight * value
        for axis in range(d + 1):
            step = np.array([d if i == axis else -1 for i in range(d + 1)])
            around = {v: [tuple(int(k) for k in np.array(v) + s * step) for s in (1, -1)] for v in self.known}
            blurred = {v: at[v] + sum(at[n] for n in around[v] if n in self.known) / 2 for v in self.known}
            at = defaultdict(lambda: np.zeros(values.shape[1]), blurred)
        sliced = [sum(w * at[v] for v, w in zip(*pair, strict=True)) for pair in self.simplices]
        return np.array(sliced) / (1 + 2.0**-d)

    def filter(self, values):
        return self.norm * self.raw(self.norm * values)


def slow_crf(image, scores, settings):
    """As `wsgcn.labels.crf.dense_crf`, for scores that are probabilities above 1e-5."""
    h, w = image.shape[:2]
    places = np.array([(x, y) for y in range(h) for x in range(w)], float)
    colours = image.reshape(-1, 3).astype(float)
    kernels = [
        (SlowLattice(places / settings.gaussian_sxy), settings.gaussian_compat),
        (
            SlowLattice(np.hstack([places / settings.bilateral_sxy, colours / settings.bilateral_srgb])),
            settings.bilateral_compat,
        ),
    ]
    log_scores = np.log(scores.reshape(len(scores), -1).T)
    q = np.exp(log_scores) / np.exp(log_scores).sum(1, keepdims=True)
    for _ in range(settings.iterations):
        energy = log_scores + sum(weight * lattice.filter(q) for lattice, weight in kernels)
        q = np.exp(energy - energy.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
    return q.T.reshape(scores.shape)
