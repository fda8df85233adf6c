"""Labels without learning, against slow and obvious versions of themselves.

Run alone: `.venv/bin/python -m pytest tests/labels/test_no_learning.py`.
"""

import statistics

import numpy as np
import pytest

from wsgcn.labels import no_learning
from wsgcn.labels.no_learning import cielab, exceptional_colour, exceptional_grey, no_learning_label, otsu

# CIE's values under D65, two decimals: white, black, red, green, blue, a middle grey.
KNOWN = {
    (255, 255, 255): (100, 0, 0),
    (0, 0, 0): (0, 0, 0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (119, 119, 119): (50.03, 0, 0),
}


def test_cielab_of_known_colours():
    image = np.array([list(KNOWN)], np.uint8)
    np.testing.assert_allclose(cielab(image)[0], list(KNOWN.values()), atol=0.05)


def far(values: list[float], of: list[float]) -> list[bool]:
    median = statistics.median(of)
    deviation = max(1.4826 * statistics.median(abs(value - median) for value in of), 0.5)
    return [abs(value - median) > 5 * deviation for value in values]


def test_one_surface_in_colour_matches_naive_loop(rng):
    image = rng.normal((120, 90, 60), 9, (12, 14, 3)).clip(0, 255).astype(np.uint8)
    image[3:5, 6:8] = (60, 90, 200)
    channels = cielab(image).reshape(-1, 3).astype(float).T.tolist()
    expected = np.any([far(channel, channel) for channel in channels], axis=0).reshape(12, 14)
    np.testing.assert_array_equal(exceptional_colour(image), expected)
    assert expected[3:5, 6:8].all() and expected.mean() < 0.1


def test_grey_matches_naive_loop(rng):
    image = (rng.normal(0, 4, (10, 13)) + 8 * np.arange(10)[:, None] + 5 * np.arange(13) + 40).astype(np.uint8)
    image[4:6, 5:7] += 90
    rest = image.astype(float).tolist()
    for row in rest:
        median = statistics.median(row)
        row[:] = [value - median for value in row]
    columns = [statistics.median(column) for column in zip(*rest, strict=True)]
    flat = [value - columns[x] for row in rest for x, value in enumerate(row)]
    expected = np.reshape(far(flat, flat), image.shape)
    np.testing.assert_array_equal(exceptional_grey(image), expected)
    assert expected[4:6, 5:7].all() and expected.mean() < 0.1


def leaf(rng, ground=(230, 228, 225), surface=(60, 120, 40)) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a disc with a brown spot on bright paper; where the spot is."""
    y, x = np.mgrid[:100, :140]
    image = np.where(((y - 50) ** 2 + (x - 70) ** 2 < 40**2)[..., None], surface, ground)
    spot = (y - 60) ** 2 + (x - 80) ** 2 < 5**2
    image[spot] = (120, 80, 30)
    return (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8), spot


def test_the_ground_is_no_foreground(rng):
    image, spot = leaf(rng)
    np.testing.assert_array_equal(no_learning_label(image, (3, 4)), 3 * spot)


@pytest.mark.parametrize("name, value", [("DEVIATIONS", 1000), ("MIN_SEPARATION", 1.1), ("RIM", 0.3)])
def test_the_constants_are_used(name, value, rng, monkeypatch):
    image, spot = leaf(rng)
    monkeypatch.setattr(no_learning, name, value)
    assert (no_learning_label(image, (1,)) != spot).any()


def test_an_image_without_a_tag_is_background(rng):
    label = no_learning_label(leaf(rng)[0], ())
    assert label.dtype == np.uint8 and label.shape == (100, 140) and not label.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2)])
def test_small_and_flat_images(shape, rng):
    for image in (np.full((*shape, 3), 7), np.full((*shape, 3), (9, 80, 200))):
        label = no_learning_label(image.astype(np.uint8), (2,))
        assert label.shape == shape and not label.any()
    assert set(np.unique(no_learning_label(rng.integers(0, 256, (*shape, 3)).astype(np.uint8), (2,)))) <= {0, 2}


def test_otsu_finds_the_best_of_all_cuts(rng):
    values = np.concatenate([rng.normal(0, 1, 300), rng.normal(9, 2, 200)])
    edges = np.histogram(values, 256)[1][1:-1]

    def between(cut):
        low, high = values[values <= cut], values[values > cut]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 / len(values) ** 2 / values.var()

    threshold, share = otsu(values)
    assert share == pytest.approx(max(map(between, edges)), abs=0.01)
    assert between(threshold) == pytest.approx(max(map(between, edges)), abs=0.01)
    assert otsu(rng.normal(0, 1, 100_000))[1] == pytest.approx(2 / np.pi, abs=0.01)
    assert otsu(np.ones(9))[1] == 0
    assert 1 <= otsu(np.repeat([0.0, 1.0, 10.0], 5))[0] < 10  # the edge above the highest of the lower group
