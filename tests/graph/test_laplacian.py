"""The Laplacian of pixel similarities, against loops over the pairs."""

import numpy as np
import pytest

from wsgcn.graph.laplacian import window_laplacian
from wsgcn.refinement.reference import dense_laplacian


@pytest.fixture
def image(rng):
    return rng.integers(100, 200, (5, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("sigma1, sigma2", [(3**0.5, 10), (1, 80)])
def test_window_laplacian_matches_naive_loop(window, sigma1, sigma2, image):
    found = window_laplacian(image, sigma1, sigma2, window)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), dense_laplacian(image, sigma1, sigma2, window), rtol=1e-5, atol=1e-7)


def test_similarity_of_one_pair_by_hand():
    image = np.array([[[0, 0, 0], [3, 0, 4], [90, 90, 90]]], np.uint8)
    phi = -window_laplacian(image, 2, 5, 3).toarray()
    assert phi[0, 1] == pytest.approx(np.exp(-1 / 8 - 25 / 50))
    assert phi[0, 2] == 0  # two apart, in a window of three


def test_image_smaller_than_the_window():
    assert window_laplacian(np.zeros((1, 1, 3), np.uint8), 1, 1, 5).toarray().tolist() == [[0]]
    found = window_laplacian(np.zeros((1, 2, 3), np.uint8), 1, 1, 5).toarray()
    np.testing.assert_allclose(found, np.exp(-0.5) * np.array([[1, -1], [-1, 1]]), rtol=1e-6)
