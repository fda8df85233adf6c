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


def walked_maps(affinity, maps, steps):
    """Each map [h, w] of [K, h, w] as a vector times Tᵗ."""
    matrix = walk_matrix(affinity, steps)
    return np.stack([(matrix @ m.ravel().astype(np.float64)).reshape(m.shape) for m in maps])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("radius, beta", [(2, 1), (3, 4), (5, 10)])
def test_walk_is_the_power_of_the_row_normalised_matrix(radius, beta, steps, boundary, rng):
    affinity = affinity_matrix(boundary, radius, beta)
    rows = rng.standard_normal((3, H * W)).astype(np.float32)
    found = random_walk(affinity, rows, steps)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows @ walk_matrix(affinity, steps).T, atol=5e-4)  # rows reach beyond ±2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, 7, 256])
def test_walk_of_any_affinities(steps, seed):
    """Of sheer noise, in which nodes have many neighbours or none."""
    rng = np.random.default_rng(seed)
    affinity = affinity_matrix(rng.choice([0, 0.05, 0.5, 1], (6, 8)).astype(np.float32), 4, 5)
    rows = rng.random((2, 48)).astype(np.float32)
    found = random_walk(affinity, rows, steps)
    np.testing.assert_allclose(found, rows @ walk_matrix(affinity, steps).T, atol=1e-4)


def test_one_step_gives_a_node_the_weighted_mean_of_its_neighbours(affinity, rng):
    row, dense = rng.random(H * W).astype(np.float32), affinity.toarray()
    found = random_walk(affinity, row[None], 1)[0]
    for i in range(H * W):
        neighbours = [j for j in range(H * W) if dense[i, j] > 0]
        mean = sum(dense[i, j] * row[j] for j in neighbours) / sum(dense[i, j] for j in neighbours)
        assert found[i] == pytest.approx(mean, abs=1e-5)


def test_no_step_is_the_rows_themselves(affinity, rng):
    rows = rng.random((2, H * W))
    np.testing.assert_array_equal(random_walk(affinity, rows, 0), rows.astype(np.float32))


@pytest.mark.parametrize("steps", STEPS)
def test_constant_rows_stay_constant(steps, affinity):
    """Nodes of few neighbours, at the border, are no drain."""
    rows = np.repeat(np.array([[1], [0.25], [0]], np.float32), H * W, axis=1)
    np.testing.assert_allclose(random_walk(affinity, rows, steps), rows, atol=2e-4)


@pytest.mark.parametrize("steps", [7, 256])
def test_steps_add_up(steps, affinity, rng):
    rows = rng.random((2, H * W)).astype(np.float32)
    once = random_walk(affinity, random_walk(affinity, rows, steps), 3)
    np.testing.assert_allclose(once, random_walk(affinity, rows, steps + 3), atol=3e-4)


def test_a_closed_boundary_holds_the_walk():
    boundary = np.zeros((5, 7), np.float32)
    boundary[:, 3] = 1
    row = np.zeros((5, 7), np.float32)
    row[2, 1] = 1
    walked = random_walk(affinity_matrix(boundary, 3, 10), row.reshape(1, -1), 256).reshape(5, 7)
    assert walked[:, :3].min() > 0.01
    np.testing.assert_allclose(walked[:, 3:], 0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3)])
def test_a_grid_smaller_than_the_radius(size, rng):
    affinity = affinity_matrix(np.full(size, 0.25, np.float32), 10, 2)
    rows = rng.random((2, size[0] * size[1])).astype(np.float32)
    np.testing.assert_allclose(random_walk(affinity, rows, 7), rows @ walk_matrix(affinity, 7).T, atol=1e-4)


def test_many_rows_walk_like_few(affinity, rng):
    rows = rng.random((40, H * W)).astype(np.float32)
    alone = np.concatenate([random_walk(affinity, row[None], 256) for row in rows])
    np.testing.assert_array_equal(random_walk(affinity, rows, 256), alone)


# Against a constant background, as in IRNet


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("with_boundary", [True, False])
def test_walk_against_constant_is_the_loop_s(with_boundary, steps, affinity, boundary, cams):
    """It starts outside the boundaries; each class is divided by its maximum; the background is the constant."""
    given = boundary if with_boundary else None
    found = walk_against_constant(affinity, cams, given, steps, 0.3)
    start = np.zeros(cams.shape)
    for k, y, x in np.ndindex(cams.shape):
        start[k, y, x] = cams[k, y, x] * (1 - boundary[y, x] if with_boundary else 1)
    walked = walked_maps(affinity, start, steps)
    assert found.shape == (3, H, W) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], np.float32(0.3))
    for k in range(2):
        np.testing.assert_allclose(found[k + 1], walked[k] / walked[k].max(), atol=1e-3)


def test_where_the_walk_starts_matters(affinity, boundary, cams):
    found = [walk_against_constant(affinity, cams, given, 7, 0.3) for given in (boundary, None)]
    assert np.abs(found[0] - found[1]).max() > 0.01


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("strength", [1, 0.05])
def test_each_class_has_maximum_one_however_weak_its_cam(strength, steps, affinity, boundary, cams):
    found = walk_against_constant(affinity, cams * np.array([1, strength])[:, None, None], boundary, steps, 0.3)
    np.testing.assert_allclose(found[1:].max((1, 2)), 1, atol=1e-5)
    assert found.dtype == np.float32


def test_what_is_given_stays_as_it_is(affinity, boundary, cams):
    before = cams.copy(), boundary.copy(), affinity.toarray()
    walk_against_constant(affinity, cams, boundary, 0, 0.3)
    walk_against_constant(affinity, cams, None, 0, 0.3)
    walk_against_constant(affinity, cams, boundary, 7, 0.3)
    walk_with_background(affinity, cams, 7, 4)
    for old, new in zip(before, (cams, boundary, affinity.toarray()), strict=True):
        np.testing.assert_array_equal(old, new)


# With a background that walks along, as in AffinityNet


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("alpha", [1, 4, 16])
def test_walk_with_background_is_the_loop_s(alpha, steps, affinity, cams):
    start = np.zeros((3, H, W))
    for y, x in np.ndindex(H, W):
        start[0, y, x] = (1 - max(float(cams[0, y, x]), float(cams[1, y, x]))) ** alpha
        start[1:, y, x] = cams[:, y, x]
    found = walk_with_background(affinity, cams, steps, alpha)
    assert found.shape == (3, H, W) and found.dtype == np.float32
    np.testing.assert_allclose(found, walked_maps(affinity, start, steps), atol=2e-4)


# Both


@pytest.mark.parametrize("steps", STEPS)
def test_cams_of_zeros_give_finite_zeros(steps, affinity, boundary, cams):
    """Of one class among two, or of all."""
    for zero in ([1], [0, 1]):
        maps = cams.copy()
        maps[zero] = 0
        for given in (boundary, None):
            found = walk_against_constant(affinity, maps, given, steps, 0.3)
            assert np.isfinite(found).all() and (found[0] == np.float32(0.3)).all()
            assert not found[1:][zero].any()
    found = walk_with_background(affinity, np.zeros_like(cams), steps, 4)
    np.testing.assert_allclose(found[0], 1, atol=2e-4)
    assert not found[1:].any()


@pytest.mark.parametrize("steps", [*STEPS, 2000])
def test_no_score_is_negative(steps, affinity, boundary, cams):
    """Nor where the walk hardly comes: far along a line."""
    line, end = affinity_matrix(np.zeros((1, 60), np.float32), 2, 1), np.eye(1, 60, dtype=np.float32)[None]
    for matrix, maps, given in ((affinity, cams, boundary), (line, end, None)):
        assert walk_against_constant(matrix, maps, given, steps, 0.3).min() >= 0
        assert walk_with_background(matrix, maps, steps, 4).min() >= 0


def test_half_precision_cams_of_a_file_will_do(affinity, boundary, cams):
    """The maps of a file are float16."""
    half = cams.astype(np.float16)
    exact = half.astype(np.float32)
    found = walk_against_constant(affinity, half, boundary, 7, 0.3)
    np.testing.assert_allclose(found, walk_against_constant(affinity, exact, boundary, 7, 0.3), atol=2e-3)
    found = walk_with_background(affinity, half, 7, 4)
    np.testing.assert_array_equal(found, walk_with_background(affinity, exact, 7, 4))
