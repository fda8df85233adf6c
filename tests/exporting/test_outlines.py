"""Masks as polygons with holes cut open, and as polygons come back.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_outlines.py`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labels import hard_labels
from scipy import ndimage

from wsgcn.data.coco_masks import fill
from wsgcn.exporting.outlines import flatten_ring, outlines

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda mask: mask.any())


def crossings(ring, x, y):
    """How often, and how often net, the ring's edges cross the ray from (x, y) to the right."""
    odd = net = 0
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (ay > y) != (by > y) and ax + (y - ay) * (bx - ax) / (by - ay) > x:
            odd += 1
            net += 1 if by > ay else -1
    return odd, net


def fill_at_centres(rings, height, width, rule):
    """The pixels whose centre lies in a ring: by an odd number of crossings, or by one of winding that is not 0."""
    mask = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        for ring in rings:
            odd, net = crossings(ring, x + 0.5, y + 0.5)
            mask[y, x] |= odd % 2 == 1 if rule == "even-odd" else net != 0
    return mask


@pytest.mark.parametrize("rule", ["even-odd", "winding"])
@given(mask=MASKS)
@settings(deadline=None, max_examples=60)
def test_rings_enclose_exactly_the_pixels(rule, mask):
    np.testing.assert_array_equal(fill_at_centres(outlines(mask), *mask.shape, rule), mask)


@given(mask=MASKS)
@settings(deadline=None)
def test_pycocotools_fills_them_exactly(mask):
    rings = outlines(mask)
    np.testing.assert_array_equal(fill([flatten_ring(ring) for ring in rings], *mask.shape), mask)
    assert len(rings) == ndimage.label(mask)[1]


@pytest.mark.parametrize("tolerance", [0.5, 1, 2])
def test_left_out_corners_are_nearer_than_the_tolerance(tolerance):
    """A pixel that changes lies no farther than that from the edge of the mask."""
    for label in hard_labels().values():
        mask = label == 1
        if not mask.any():
            continue
        rings = outlines(mask, tolerance)
        changed = fill([flatten_ring(ring) for ring in rings], *mask.shape) != mask
        padded = np.pad(mask, 1)
        inner, outer = (ndimage.distance_transform_edt(own)[1:-1, 1:-1] for own in (padded, ~padded))
        assert (np.maximum(inner, outer)[changed] <= tolerance + 1).all()
        assert sum(map(len, rings)) <= sum(map(len, outlines(mask)))


def test_a_tolerance_leaves_out_corners():
    y, x = np.mgrid[:80, :80]
    disc = (y - 40) ** 2 + (x - 40) ** 2 < 900
    assert len(outlines(disc, 1)[0]) < len(outlines(disc)[0]) / 3


@pytest.mark.parametrize("ring", [[0, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, 1, 1, 2, float("nan")]])
def test_broken_rings_are_refused(ring):
    with pytest.raises(ValueError, match="a polygon has"):
        fill([ring], 5, 5)
