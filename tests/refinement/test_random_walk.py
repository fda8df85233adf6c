"""The random walk, against powers of the dense row-normalised matrix and loops over the nodes."""

import numpy as np
import pytest

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.refinement.random_walk import random_walk, walk_against_constant, walk_with_background

H, W = 7, 9
STEPS = [0, 1, 2, 7, 256]


@pytest.fixture
def boundary(rng):
    """float32 [7, 9]: two rooms behind a wall with a gap, in noise."""
    boundary = 0.1 * rng.random((H, W), np.float32)
    boundary[:5, 4] = 0.8
    return boundary


@pytest.fixture
def affinity(boundary):
    return affinity_matrix(boundary, 3, 4)


@pytest.fixture
def cams(rng):
    """float32 [2, 7, 9] in 0..1, many of them zero."""
    return (rng.random((2, H, W)) * (rng.random((2, H, W)) < 0.5)).astype(np.float32)


def walk_matrix(affinity, steps):
    """Tᵗ dense, float64, each row of T divided by its sum."""
    dense = affinity.toarray().astype(np.float64)
    return np.linalg.matrix_power(dense / dense.sum(1, keepdims=True), steps)


def naive_walk(affinity, maps, steps):
    """Each map [h, w] of [K, h, w] as a vector times Tᵗ."""
    matrix = walk_matrix(affinity, steps)
    return np.stack([(matrix @ m.ravel().astype(np.float64)).reshape(m.shape) for m in maps])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("radius, beta", [(2, 1), (3, 4), (5, 10)])
def test_random_walk_matches_matrix_power(radius, beta, steps, boundary, rng):
    affinity = affinity_matrix(boundary, radius, beta)
    rows = rng.standard_normal((3, H * W)).astype(np.float32)
    found = random_walk(affinity, rows, steps)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows @ walk_matrix(affinity, steps).T, atol=5e-4)  # rows reach beyond ±2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, 7, 256])
def test_random_walk_on_noise_matches_matrix_power(steps, seed):
    """Nodes with many neighbours or none."""
    rng = np.random.default_rng(seed)
    affinity = affinity_matrix(rng.choice([0, 0.05, 0.5, 1], (6, 8)).astype(np.float32), 4, 5)
    rows = rng.random((2, 48)).astype(np.float32)
    found = random_walk(affinity, rows, steps)
    np.testing.assert_allclose(found, rows @ walk_matrix(affinity, steps).T, atol=1e-4)


def test_one_step_matches_naive_weighted_mean(affinity, rng):
    row, dense = rng.random(H * W).astype(np.float32), affinity.toarray()
    found = random_walk(affinity, row[None], 1)[0]
    for i in range(H * W):
        neighbours = [j for j in range(H * W) if dense[i, j] > 0]
        mean = sum(dense[i, j] * row[j] for j in neighbours) / sum(dense[i, j] for j in neighbours)
        assert found[i] == pytest.approx(mean, abs=1e-5)


def test_no_step_returns_the_rows(affinity, rng):
    rows = rng.random((2, H * W))
    np.testing.assert_array_equal(random_walk(affinity, rows, 0), rows.astype(np.float32))


@pytest.mark.parametrize("steps", STEPS)
def test_constant_rows_stay_constant(steps, affinity):
    """At the border too, where nodes have few neighbours."""
    rows = np.repeat(np.array([[1], [0.25], [0]], np.float32), H * W, axis=1)
    np.testing.assert_allclose(random_walk(affinity, rows, steps), rows, atol=2e-4)


@pytest.mark.parametrize("steps", [7, 256])
def test_steps_add_up(steps, affinity, rng):
    rows = rng.random((2, H * W)).astype(np.float32)
    once = random_walk(affinity, random_walk(affinity, rows, steps), 3)
    np.testing.assert_allclose(once, random_walk(affinity, rows, steps + 3), atol=3e-4)


def test_closed_boundary_stops_the_walk():
    boundary = np.zeros((5, 7), np.float32)
    boundary[:, 3] = 1
    row = np.zeros((5, 7), np.float32)
    row[2, 1] = 1
    walked = random_walk(affinity_matrix(boundary, 3, 10), row.reshape(1, -1), 256).reshape(5, 7)
    assert walked[:, :3].min() > 0.01
    np.testing.assert_allclose(walked[:, 3:], 0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3)])
def test_grid_smaller_than_the_radius(size, rng):
    affinity = affinity_matrix(np.full(size, 0.25, np.float32), 10, 2)
    rows = rng.random((2, size[0] * size[1])).astype(np.float32)
    np.testing.assert_allclose(random_walk(affinity, rows, 7), rows @ walk_matrix(affinity, 7).T, atol=1e-4)


def test_many_rows_match_single_rows(affinity, rng):
    rows = rng.random((40, H * W)).astype(np.float32)
    alone = np.concatenate([random_walk(affinity, row[None], 256) for row in rows])
    np.testing.assert_array_equal(random_walk(affinity, rows, 256), alone)


# Against a constant background, as in IRNet


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("with_boundary", [True, False])
def test_walk_against_constant_matches_naive_loop(with_boundary, steps, affinity, boundary, cams):
    """It starts outside the boundaries; each class is divided by its maximum; the background is the constant."""
    boundary_or_none = boundary if with_boundary else None
    found = walk_against_constant(affinity, cams, boundary_or_none, steps, 0.3)
    start = np.zeros(cams.shape)
    for k, y, x in np.ndindex(cams.shape):
        start[k, y, x] = cams[k, y, x] * (1 - boundary[y, x] if with_boundary else 1)
    walked = naive_walk(affinity, start, steps)
    assert found.shape == (3, H, W) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], np.float32(0.3))
    for k in range(2):
        np.testing.assert_allclose(found[k + 1], walked[k] / walked[k].max(), atol=1e-3)


def test_boundary_changes_the_start_of_the_walk(affinity, boundary, cams):
    found = [walk_against_constant(affinity, cams, boundary_or_none, 7, 0.3) for boundary_or_none in (boundary, None)]
    assert np.abs(found[0] - found[1]).max() > 0.01


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("strength", [1, 0.05])
def test_each_class_has_maximum_one(strength, steps, affinity, boundary, cams):
    found = walk_against_constant(affinity, cams * np.array([1, strength])[:, None, None], boundary, steps, 0.3)
    np.testing.assert_allclose(found[1:].max((1, 2)), 1, atol=1e-5)
    assert found.dtype == np.float32


def test_inputs_are_not_modified(affinity, boundary, cams):
    before = cams.copy(), boundary.copy(), affinity.toarray()
    walk_against_constant(affinity, cams, boundary, 0, 0.3)
    walk_against_constant(affinity, cams, None, 0, 0.3)
    walk_against_constant(affinity, cams, boundary, 7, 0.3)
    walk_with_background(affinity, cams, 7, 4)
    for old, new in zip(before, (cams, boundary, affinity.toarray()), strict=True):
        np.testing.assert_array_equal(old, new)


# With a background channel in the walk, as in AffinityNet


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("alpha", [1, 4, 16])
def test_walk_with_background_matches_naive_loop(alpha, steps, affinity, cams):
    start = np.zeros((3, H, W))
    for y, x in np.ndindex(H, W):
        start[0, y, x] = (1 - max(float(cams[0, y, x]), float(cams[1, y, x]))) ** alpha
        start[1:, y, x] = cams[:, y, x]
    found = walk_with_background(affinity, cams, steps, alpha)
    assert found.shape == (3, H, W) and found.dtype == np.float32
    np.testing.assert_allclose(found, naive_walk(affinity, start, steps), atol=2e-4)


# Both


@pytest.mark.parametrize("steps", STEPS)
def test_cams_of_zeros_give_scores_of_zero(steps, affinity, boundary, cams):
    """For one class of two, or for both."""
    for zero in ([1], [0, 1]):
        maps = cams.copy()
        maps[zero] = 0
        for boundary_or_none in (boundary, None):
            found = walk_against_constant(affinity, maps, boundary_or_none, steps, 0.3)
            assert np.isfinite(found).all() and (found[0] == np.float32(0.3)).all()
            assert not found[1:][zero].any()
    found = walk_with_background(affinity, np.zeros_like(cams), steps, 4)
    np.testing.assert_allclose(found[0], 1, atol=2e-4)
    assert not found[1:].any()


@pytest.mark.parametrize("steps", [*STEPS, 2000])
def test_no_score_is_negative(steps, affinity, boundary, cams):
    """Not even at the far end of a line, which the walk hardly reaches."""
    line, end = affinity_matrix(np.zeros((1, 60), np.float32), 2, 1), np.eye(1, 60, dtype=np.float32)[None]
    for matrix, maps, boundary_or_none in ((affinity, cams, boundary), (line, end, None)):
        assert walk_against_constant(matrix, maps, boundary_or_none, steps, 0.3).min() >= 0
        assert walk_with_background(matrix, maps, steps, 4).min() >= 0


def test_half_precision_cams_match_single_precision(affinity, boundary, cams):
    """Files store CAMs as float16."""
    half = cams.astype(np.float16)
    exact = half.astype(np.float32)
    found = walk_against_constant(affinity, half, boundary, 7, 0.3)
    np.testing.assert_allclose(found, walk_against_constant(affinity, exact, boundary, 7, 0.3), atol=2e-3)
    found = walk_with_background(affinity, half, 7, 4)
    np.testing.assert_array_equal(found, walk_with_background(affinity, exact, 7, 4))
