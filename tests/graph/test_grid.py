"""Pairs within a radius, the lines between them and maxima along these lines, against loops over the points."""

import numpy as np
import pytest
import torch

from wsgcn.graph.grid import line_points, neighbour_offsets, origin_slices, path_maximum

OFFSETS = [(0, 1), (1, 0), (1, 1), (1, -1), (2, -3), (3, 1), (0, 4), (3, -4)]


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 10])
def test_neighbour_offsets_are_one_half_of_the_open_disc(radius):
    square = range(-radius - 1, radius + 2)
    disc = {(dy, dx) for dy in square for dx in square if 0 < dy**2 + dx**2 < radius**2}
    half = neighbour_offsets(radius)
    mirrored = {(-dy, -dx) for dy, dx in half}
    assert len(set(half)) == len(half)
    assert set(half) | mirrored == disc
    assert not set(half) & mirrored


def test_neighbour_offsets_of_radius_five_match_irnet():
    assert len(neighbour_offsets(5)) == 34
    assert (3, 4) not in neighbour_offsets(5)  # at a distance of exactly 5


@pytest.mark.parametrize("offset", neighbour_offsets(7))
def test_line_points_match_exact_distances(offset, points_between):
    points = line_points(*offset)
    assert sorted(points) == sorted(points_between((0, 0), offset))
    assert {(0, 0), offset} <= set(points)
    assert {(offset[0] - y, offset[1] - x) for y, x in points} == set(points)  # the same from the other end


@pytest.mark.parametrize("offset", OFFSETS)
def test_origin_slices_match_naive_loop(offset):
    h, w = 5, 6
    rows, columns = origin_slices(h, w, *offset)
    inside = np.zeros((h, w), bool)
    inside[rows, columns] = True
    for y in range(h):
        for x in range(w):
            assert inside[y, x] == (0 <= y + offset[0] < h and 0 <= x + offset[1] < w)


def naive_maxima(boundary, offset, points_between):
    """{(y, x): (maximum, its point)} over the line from (y, x) to (y, x) + offset, for pairs inside the grid."""
    h, w = boundary.shape
    maxima = {}
    for y in range(h):
        for x in range(w):
            if 0 <= y + offset[0] < h and 0 <= x + offset[1] < w:
                maxima[y, x] = max((boundary[p], p) for p in points_between((y, x), (y + offset[0], x + offset[1])))
    return maxima


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("offset", OFFSETS)
def test_path_maximum_matches_naive_loop(offset, requires_grad, rng, points_between):
    boundary = rng.random((2, 3, 5, 6))
    found = path_maximum(torch.tensor(boundary, requires_grad=requires_grad), *offset).detach().numpy()
    for index in np.ndindex(2, 3):
        expected = [value for value, _ in naive_maxima(boundary[index], offset, points_between).values()]
        np.testing.assert_array_equal(found[index].ravel(), expected)


@pytest.mark.parametrize("offset", OFFSETS)
def test_gradient_of_path_maximum_goes_to_the_maximal_points(offset, rng, points_between):
    boundary = rng.random((5, 6))
    weights = rng.random((5 - abs(offset[0]), 6 - abs(offset[1])))
    expected = np.zeros((5, 6))
    maxima = naive_maxima(boundary, offset, points_between).values()
    for (_, point), weight in zip(maxima, weights.ravel(), strict=True):
        expected[point] += weight
    tensor = torch.tensor(boundary, requires_grad=True)
    (path_maximum(tensor, *offset) * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(tensor.grad.numpy(), expected)


def test_gradient_of_a_tie_goes_to_one_point():
    flat = torch.full((1, 4), 0.5, requires_grad=True)
    path_maximum(flat, 0, 3).sum().backward()
    assert sorted(flat.grad.ravel().tolist()) == [0, 0, 0, 1]


@pytest.mark.parametrize("offset", [(3, 0), (0, 4), (1, -4), (5, 5)])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_path_maximum_is_empty_where_no_pair_fits(offset, requires_grad):
    assert path_maximum(torch.zeros(2, 3, 4, requires_grad=requires_grad), *offset).numel() == 0
