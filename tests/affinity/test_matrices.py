"""Affinity matrices and node features from either network's file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wsgcn.affinity.matrices import (
    affinity_matrix,
    affinity_matrix_from,
    feature_affinity_matrix,
    node_features,
    resample_to_grid,
)
from wsgcn.files import read_arrays, write_arrays

H, W = 6, 8


@pytest.fixture
def irnet_output(rng):
    """As `open_boundary_net` gives it, with fewer channels."""
    return {
        "boundary": rng.random((H, W), np.float32),
        "features": rng.standard_normal((5, H, W)).astype(np.float16),
        "weight": rng.standard_normal(5).astype(np.float32),
    }


@pytest.fixture
def affinitynet_output(rng):
    """As `open_affinitynet` gives it, with fewer channels."""
    return {"features": rng.standard_normal((5, H // 2, W // 2)).astype(np.float16)}


@pytest.mark.parametrize("radius, beta", [(3, 2), (5, 10)])
def test_irnet_affinities_come_from_its_boundary(radius, beta, irnet_output, pairs, points_between):
    expected, boundary = np.eye(H * W), irnet_output["boundary"].astype(float)
    for a, b in pairs(H, W, radius):
        i, j = a[0] * W + a[1], b[0] * W + b[1]
        expected[i, j] = expected[j, i] = (1 - max(boundary[p] for p in points_between(a, b))) ** beta
    found = affinity_matrix_from(irnet_output, (H, W), radius, beta)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_array_equal(found.toarray(), affinity_matrix(irnet_output["boundary"], radius, beta).toarray())


@pytest.mark.parametrize("radius, beta", [(3, 2), (5, 8)])
@pytest.mark.parametrize("size", [(H, W), (H - 1, W - 1), (H // 2, W // 2)])
def test_affinitynet_affinities_come_from_its_features_on_the_grid(size, radius, beta, affinitynet_output, pairs):
    h, w = size
    features, expected = resample_to_grid(affinitynet_output["features"], size).astype(float), np.eye(h * w)
    for a, b in pairs(h, w, radius):
        i, j = a[0] * w + a[1], b[0] * w + b[1]
        difference = np.mean([abs(channel[a] - channel[b]) for channel in features])
        expected[i, j] = expected[j, i] = np.exp(-difference) ** beta
    found = affinity_matrix_from(affinitynet_output, size, radius, beta)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4)
    matrix = feature_affinity_matrix(resample_to_grid(affinitynet_output["features"], size), radius, beta)
    np.testing.assert_array_equal(found.toarray(), matrix.toarray())


def test_plain_irnet_features_are_rows_over_the_nodes(irnet_output):
    found = node_features(irnet_output, (H, W), "plain")
    assert found.shape == (5, H * W) and found.dtype == np.float32
    for d, y, x in np.ndindex(5, H, W):
        assert found[d, y * W + x] == irnet_output["features"][d, y, x]


def test_weighted_features_are_each_channel_times_its_weight(irnet_output):
    found = node_features(irnet_output, (H, W), "weighted")
    assert found.shape == (5, H * W) and found.dtype == np.float32
    for d, y, x in np.ndindex(5, H, W):
        assert found[d, y * W + x] == pytest.approx(
            float(irnet_output["features"][d, y, x] * irnet_output["weight"][d])
        )


@pytest.mark.parametrize("which", ["plain", "weighted"])
@pytest.mark.parametrize("size", [(H, W), (H - 1, W - 1), (H // 2, W // 2)])
def test_affinitynet_features_are_resampled_to_the_grid(size, which, affinitynet_output):
    found = node_features(affinitynet_output, size, which)
    assert found.shape == (5, size[0] * size[1]) and found.dtype == np.float32
    values = [float(value) for value in affinitynet_output["features"].ravel()]
    root_mean_square = (sum(value**2 for value in values) / len(values)) ** 0.5
    on_nodes = resample_to_grid(affinitynet_output["features"].astype(np.float32), size)
    for d, y, x in np.ndindex(5, *size):
        assert found[d, y * size[1] + x] == pytest.approx(on_nodes[d, y, x] / root_mean_square, rel=1e-4, abs=1e-6)


def test_zero_features_stay_zero(affinitynet_output):
    zeros = {"features": np.zeros_like(affinitynet_output["features"])}
    assert not node_features(zeros, (H, W), "plain").any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_network_output_is_not_modified(dtype, irnet_output, affinitynet_output):
    """Even where no conversion copies it."""
    for network_output, size in ((irnet_output, (H, W)), (affinitynet_output, (H, W))):
        network_output = {name: values.astype(dtype) for name, values in network_output.items()}
        before = {name: values.copy() for name, values in network_output.items()}
        affinity_matrix_from(network_output, size, 3, 2)
        node_features(network_output, size, "weighted")[:] = 7
        for name, values in network_output.items():
            np.testing.assert_array_equal(values, before[name])


def test_written_and_read_output_is_equivalent(tmp_path, irnet_output, affinitynet_output):
    for network_output in (irnet_output, affinitynet_output):
        write_arrays(tmp_path / "x.npz", **network_output)
        read = read_arrays(tmp_path / "x.npz")
        for found, expected in (
            (
                affinity_matrix_from(read, (H, W), 3, 2).toarray(),
                affinity_matrix_from(network_output, (H, W), 3, 2).toarray(),
            ),
            (node_features(read, (H, W), "weighted"), node_features(network_output, (H, W), "weighted")),
        ):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["boundary", "features"])
def test_output_that_is_not_finite_is_an_error_in_words(what, bad, rng):
    output = {what: rng.random((6, 7) if what == "boundary" else (4, 6, 7)).astype(np.float32)}
    output[what][..., 2, 3] = bad
    with pytest.raises(ValueError, match="of the affinity network are not finite"):
        affinity_matrix_from(output, (6, 7), 3, 10)


def test_walks_import_neither_timm_nor_pandas():
    """A batch job that needs no network starts without them."""
    modules = "sys, wsgcn.affinity.matrices, wsgcn.refinement.random_walk"
    code = f"import {modules}; print(*sorted({{'numpy', 'timm', 'pandas'}} & set(sys.modules)))"
    source = Path(__file__).parents[2] / "workflow_scripts"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["numpy"]
