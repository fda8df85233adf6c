"""Pairs within a radius, the lines between them, and maxima along these lines, against walks point by point."""

import numpy as np
import pytest
import torch

from wsgcn.graph.grid import line_points, neighbour_offsets, origin_slices, path_maximum

STEPS = [(0, 1), (1, 0), (1, 1), (1, -1), (2, -3), (3, 1), (0, 4), (3, -4)]


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 10])
def test_displacements_are_one_half_of_the_open_disc(radius):
    square = range(-radius - 1, radius + 2)
    disc = {(dy, dx) for dy in square for dx in square if 0 < dy**2 + dx**2 < radius**2}
    half = neighbour_offsets(radius)
    mirrored = {(-dy, -dx) for dy, dx in half}
    assert len(set(half)) == len(half)
    assert set(half) | mirrored == disc
    assert not set(half) & mirrored


def test_displacements_of_radius_five_are_irnets_34():
    assert len(neighbour_offsets(5)) == 34
    assert (3, 4) not in neighbour_offsets(5)  # at a distance of exactly 5


@pytest.mark.parametrize("step", neighbour_offsets(7))
def test_path_is_the_line_s_neighbourhood(step, points_between):
    points = line_points(*step)
    assert sorted(points) == sorted(points_between((0, 0), step))
    assert {(0, 0), step} <= set(points)
    assert {(step[0] - y, step[1] - x) for y, x in points} == set(points)  # the same from the other end


@pytest.mark.parametrize("step", STEPS)
def test_pair_slices_hold_the_points_with_a_partner(step):
    h, w = 5, 6
    rows, columns = origin_slices(h, w, *step)
    inside = np.zeros((h, w), bool)
    inside[rows, columns] = True
    for y in range(h):
        for x in range(w):
            assert inside[y, x] == (0 <= y + step[0] < h and 0 <= x + step[1] < w)


def walked_maxima(boundary, step, points_between):
    """{(y, x): (maximum, its place)} over the line from (y, x) to (y, x) + step, for pairs inside the grid."""
    h, w = boundary.shape
    maxima = {}
    for y in range(h):
        for x in range(w):
            if 0 <= y + step[0] < h and 0 <= x + step[1] < w:
                maxima[y, x] = max((boundary[p], p) for p in points_between((y, x), (y + step[0], x + step[1])))
    return maxima


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_path_maximum_is_the_walk_s(step, requires_grad, rng, points_between):
    boundary = rng.random((2, 3, 5, 6))
    found = path_maximum(torch.tensor(boundary, requires_grad=requires_grad), *step).detach().numpy()
    for index in np.ndindex(2, 3):
        walked = [value for value, _ in walked_maxima(boundary[index], step, points_between).values()]
        np.testing.assert_array_equal(found[index].ravel(), walked)


@pytest.mark.parametrize("step", STEPS)
def test_gradient_goes_to_the_maximal_points(step, rng, points_between):
    boundary = rng.random((5, 6))
    weights = rng.random((5 - abs(step[0]), 6 - abs(step[1])))
    expected = np.zeros((5, 6))
    walked = walked_maxima(boundary, step, points_between).values()
    for (_, place), weight in zip(walked, weights.ravel(), strict=True):
        expected[place] += weight
    tensor = torch.tensor(boundary, requires_grad=True)
    (path_maximum(tensor, *step) * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(tensor.grad.numpy(), expected)


def test_ties_give_their_gradient_to_one_point():
    flat = torch.full((1, 4), 0.5, requires_grad=True)
    path_maximum(flat, 0, 3).sum().backward()
    assert sorted(flat.grad.ravel().tolist()) == [0, 0, 0, 1]


@pytest.mark.parametrize("step", [(3, 0), (0, 4), (1, -4), (5, 5)])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_no_pair_fits(step, requires_grad):
    assert path_maximum(torch.zeros(2, 3, 4, requires_grad=requires_grad), *step).numel() == 0
