"""Corrections at other sizes, against loops over pixels.

Run alone: `.venv/bin/python -m pytest tests/data/test_fit_corrections.py`.
"""

from collections import Counter

import numpy as np
import pytest

from wsgcn.data.augment import resize_label
from wsgcn.data.corrections import added_classes, apply_correction, fit_correction
from wsgcn.files import IGNORE


def slow_fit(correction, height, width):
    """Every pixel votes, unless it says nothing, for the cell in which its middle lies."""
    votes = {}
    for y, x in np.ndindex(correction.shape):
        if correction[y, x] != IGNORE:
            cell = int((y + 0.5) * height / correction.shape[0]), int((x + 0.5) * width / correction.shape[1])
            votes.setdefault(cell, Counter())[int(correction[y, x])] += 1
    found = np.full((height, width), IGNORE)
    for cell, own in votes.items():
        found[cell] = min(own, key=lambda value: (-own[value], value))
    return found


@pytest.mark.parametrize("size", [(3, 4), (7, 9), (13, 17), (1, 1), (13, 5)])
@pytest.mark.parametrize("known", [0.05, 0.5, 1])
def test_a_smaller_correction_matches_slow_vote(size, known, rng):
    correction = rng.integers(0, 3, (13, 17)).astype(np.uint8)
    correction[rng.random(correction.shape) > known] = IGNORE
    found = fit_correction(correction, *size)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, slow_fit(correction, *size))


@pytest.mark.parametrize("size", [(26, 34), (13, 40), (19, 17)])
def test_a_larger_correction_is_enlarged_like_a_label(size, rng):
    correction = rng.choice([0, 2, IGNORE], (13, 17)).astype(np.uint8)
    np.testing.assert_array_equal(fit_correction(correction, *size), resize_label(correction, *size))


def test_a_side_may_grow_while_the_other_shrinks(rng):
    correction = rng.choice([0, 2, IGNORE], (13, 17)).astype(np.uint8)
    expected = slow_fit(resize_label(correction, 26, 17), 26, 5)
    np.testing.assert_array_equal(fit_correction(correction, 26, 5), expected)


def test_a_scribble_of_one_pixel_survives_where_nearest_neighbour_loses_it():
    correction = np.full((400, 600), IGNORE, np.uint8)
    np.fill_diagonal(correction, 7)
    correction[10, 20:500] = 0
    grid = fit_correction(correction, 25, 37)
    assert (grid == 7).sum() >= 25 and (grid[0, 2:31] == 0).all()
    assert (resize_label(correction, 25, 37) == 7).sum() < (grid == 7).sum()


def test_a_correction_overrides_where_it_says_something():
    label, correction = np.array([[1, 2, IGNORE]], np.uint8), np.array([[0, IGNORE, 3]], np.uint8)
    found = apply_correction(label, correction)
    assert found.tolist() == [[0, 2, 3]] and found.dtype == np.uint8


def test_classes_beside_the_tags():
    assert added_classes(np.array([0, 3, IGNORE, 5, 3, 2], np.uint8), (2,)) == (3, 5)
    assert added_classes(np.array([0, IGNORE], np.uint8), ()) == ()
