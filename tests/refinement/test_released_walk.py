"""The random walk to its label as in IRN's released code, against dense powers, loops and torch's interpolation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.labels.scores import upsample, upsample_and_cut
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.random_walk import refine_with_random_walk, walk_against_constant

SIZE = (26, 33)
GRID = (7, 9)


@pytest.mark.parametrize("size", [SIZE, (4, 4), (5, 1), (1, 16)])
def test_upsampled_scores_are_cut_from_whole_nodes(size, rng):
    grid = tuple(-(-side // 4) for side in size)
    scores = rng.random((3, *grid)).astype(np.float32)
    whole = F.interpolate(torch.from_numpy(scores)[None], scale_factor=4, mode="bilinear", align_corners=False)
    found = upsample_and_cut(scores, *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole[0, :, : size[0], : size[1]].numpy(), atol=1e-6)


@pytest.fixture
def walk(rng):
    """cams [2, 7, 9], boundary [7, 9], and a function to the CAMs after so many steps, by dense powers."""
    boundary = 0.5 * rng.random(GRID, np.float32)
    cams = (rng.random((2, *GRID)) * np.array([1, 0.4])[:, None, None]).astype(np.float32)
    dense = affinity_matrix(boundary, 3, 4).toarray().astype(float)
    matrix = np.linalg.matrix_power(dense / dense.sum(1, keepdims=True), 7)
    walked = np.stack([(matrix @ (cam * (1 - boundary)).ravel()).reshape(GRID) for cam in cams])
    return cams, boundary, walked


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("maximum", ["class", "image"])
def test_scores_are_divided_by_a_maximum_at_their_size(maximum, size, walk):
    cams, boundary, walked = walk
    if size:
        walked = upsample_and_cut(walked, *size)
    largest = max(float(values.max()) for values in walked)
    found = walk_against_constant(affinity_matrix(boundary, 3, 4), cams, boundary, 7, 0.3, maximum, size)
    assert found.dtype == np.float32 and (found[0] == np.float32(0.3)).all()
    for own, values in zip(found[1:], walked, strict=True):
        np.testing.assert_allclose(own, values / (largest if maximum == "image" else values.max()), atol=1e-4)


@pytest.mark.parametrize("maximum", ["class", "image"])
def test_cams_of_zeros_give_scores_of_zero(maximum, walk):
    cams, boundary, _ = walk
    found = walk_against_constant(affinity_matrix(boundary, 3, 4), 0 * cams, boundary, 7, 0.3, maximum, SIZE)
    assert not found[1:].any()


SETTINGS = {"steps": 7, "background": "constant", "background_score": 0.3, "alpha": 2}


def scores_of(walk, **changed):
    cams, boundary, _ = walk
    cam = {"keys": np.array([1, 3], np.uint8), "cam": cams, "high_res": np.zeros((2, *SIZE), np.float16)}
    image = RefinerInput("a", (1, 3), cam=cam, network_output={"boundary": boundary})
    params = {"radius": 3, "beta": 4, "settings": SETTINGS | changed}
    (refined,) = refine_with_random_walk([image], params, None)
    return refined.scores


def test_the_refiner_reads_both(walk):
    default = scores_of(walk)
    assert default.shape == (3, *GRID)
    np.testing.assert_array_equal(default, scores_of(walk, upsampling="aligned", maximum="class"))
    assert scores_of(walk, maximum="image").max((1, 2))[1:].min() < 0.9
    cut = scores_of(walk, upsampling="cut")
    assert cut.shape == (3, *SIZE)
    np.testing.assert_array_equal(upsample(cut, *SIZE), cut)  # what makes labels leaves it as it is
    assert np.abs(cut - upsample(default, *SIZE)).max() > 0.01


def test_a_background_that_is_propagated_is_cut_too(walk):
    default, cut = (scores_of(walk, background="channel", upsampling=own) for own in ("aligned", "cut"))
    np.testing.assert_array_equal(cut, upsample_and_cut(default, *SIZE))
