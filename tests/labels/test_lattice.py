"""The permutohedral lattice against its slow version, and what holds of every lattice.

Run alone: `.venv/bin/python -m pytest tests/labels/test_lattice.py`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_crf import SlowLattice

from wsgcn.labels.lattice import bilateral_features, build_lattice, gaussian_features


@pytest.fixture(params=[(2, 40), (5, 41), (5, 1), (3, 43)], ids=lambda size: f"{size[0]} features of {size[1]} points")
def features(request, rng):
    d, points = request.param
    return (rng.normal(size=(d, points)) * 3).astype(np.float32)


def test_vertices_and_weights_match_the_slow_version(features):
    """The vertices have other names there, so each must stand for one of ours."""
    lattice, slow = build_lattice(features), SlowLattice(features.T)
    names = {}
    for ours, weights, (vertices, expected) in zip(lattice.vertices, lattice.weights, slow.simplices, strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-5)
        for number, vertex in zip(ours, vertices, strict=True):
            assert names.setdefault(vertex, number) == number
    assert len(set(names.values())) == len(names)
    assert lattice.neighbours.shape == (len(features) + 1, len(slow.known) + 1, 2)


def test_neighbours_match_the_slow_version(features):
    lattice, slow = build_lattice(features), SlowLattice(features.T)
    d = len(features)
    pairs = zip(lattice.vertices, slow.simplices, strict=True)
    names = {v: n for ours, (vertices, _) in pairs for n, v in zip(ours, vertices, strict=True)}
    for axis in range(d + 1):
        step = np.array([d if i == axis else -1 for i in range(d + 1)])
        for vertex, number in names.items():
            for side, sign in ((0, 1), (1, -1)):
                other = tuple(int(k) for k in np.array(vertex) + sign * step)
                found = lattice.neighbours[axis, number, side]
                if other in names:
                    assert found == names[other]
                else:
                    assert (found != 0) == (other in slow.known)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 90), st.floats(0.01, 300), st.integers(0, 2**32 - 1))
def test_what_holds_of_every_lattice(d, points, spread, seed):
    features = (np.random.default_rng(seed).normal(size=(d, points)) * spread).astype(np.float32)
    vertices, weights, neighbours = build_lattice(features)
    count = neighbours.shape[1] - 1
    assert vertices.shape == weights.shape == (points, d + 1)
    assert vertices.min() >= 1 and vertices.max() <= count
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-3)
    assert weights.min() > -1e-3 * max(1, spread / 30)
    for axis in range(d + 1):
        for a, b in ((0, 1), (1, 0)):
            known = np.flatnonzero(neighbours[axis, :, a])
            np.testing.assert_array_equal(neighbours[axis, neighbours[axis, known, a], b], known)
    assert not neighbours[:, 0].any()


@pytest.mark.parametrize("d", [0, 6])
def test_other_numbers_of_features_are_refused(d):
    with pytest.raises(ValueError, match=f"1 to 5 features, not {d}"):
        build_lattice(np.zeros((d, 4), np.float32))


@pytest.mark.parametrize("wrong", [2**20, -(2**20), np.inf, np.nan])
def test_features_that_are_too_large_are_refused(wrong):
    features = np.zeros((2, 4), np.float32)
    features[1, 2] = wrong
    with pytest.raises(ValueError, match="a standard deviation is too small"):
        build_lattice(features)


def test_the_largest_features_lie_in_simplices_of_theirs(rng):
    features = rng.uniform(-(2**20) + 1, 2**20 - 1, (5, 4000)).astype(np.float32)
    vertices, _, neighbours = build_lattice(features)
    assert vertices.min() >= 1 and vertices.max() < neighbours.shape[1]


def test_features_are_places_and_colours_over_their_deviations(picture):
    features = bilateral_features(picture, 4, 8)
    assert features.dtype == np.float32 and features.shape == (5, 24 * 30)
    for y, x in ((0, 0), (7, 12), (23, 29)):
        np.testing.assert_allclose(features[:, y * 30 + x], [x / 4, y / 4, *(picture[y, x] / 8)], rtol=1e-6)
    np.testing.assert_array_equal(gaussian_features(24, 30, 4), features[:2])
