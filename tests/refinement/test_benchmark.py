"""The benchmark of the GCN core: what it measures, extrapolates and reports."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from wsgcn.data.augment import grid_image
from wsgcn.files import write_arrays, write_label, write_skipped
from wsgcn.graph.operator import GraphSettings
from wsgcn.refinement import benchmark, benchmark_methods
from wsgcn.refinement.benchmark import (
    averages,
    benchmark_table,
    equal_labels,
    exponent,
    summary,
    write_benchmark,
)
from wsgcn.refinement.benchmark_methods import Sample, dense, grid_with_nodes, read_samples, resample, sparse
from wsgcn.refinement.benchmark_processes import run_in_processes
from wsgcn.refinement.gcn import GcnSettings
from wsgcn.reporting.figures import scaling_curves

GRAPH = GraphSettings(radius=5, beta=10, steps=1, normalisation="symmetric", features="plain")
SETTINGS = GcnSettings(
    epochs=20,
    lr=0.01,
    weight_decay=0.0005,
    dropout=0.3,
    hidden=8,
    sigma1=1.7,
    sigma2=10,
    window=5,
    lambda_ent=0.5,
    lambda_lap=0.01,
    laplacian="paper",
    cross_entropy="separate",
)
FILES = {"image": ".png", "affinity": ".npz", "label": ".png"}


@pytest.fixture
def sample(rng):
    """An image of 10 × 12 nodes: a lighter square, visible in the features, half of it labelled."""
    inside = np.zeros((10, 12))
    inside[3:8, 3:9] = 1
    boundary = 0.1 * rng.random((10, 12)) + 0.8 * (np.abs(np.gradient(inside)).max(0) > 0)
    features = np.stack([inside, 1 - inside, rng.random((10, 12))]).astype(np.float32)
    partial = np.where(inside > 0, 2, 0).astype(np.uint8)
    partial[5:] = 255
    image = np.repeat((60 + 120 * inside)[..., None], 3, 2).astype(np.uint8)
    return Sample("a", boundary.astype(np.float32), features, partial, image, (2,))


def test_resample_keeps_the_picture(sample):
    h, w = grid_with_nodes(sample, 480)
    assert (h, w) == (20, 24)
    large = resample(sample, h, w)
    assert large.boundary.shape == large.partial.shape == (20, 24)
    assert large.features.shape == (3, 20, 24) and large.image.shape == (20, 24, 3)
    np.testing.assert_array_equal(large.partial[::2, ::2], sample.partial)
    assert abs(large.features[0] - (large.image[..., 0] > 120)).mean() < 0.1


@pytest.mark.parametrize("cross_entropy", ["separate", "joint"])
@pytest.mark.parametrize("steps", [1, 256])
def test_sparse_matches_dense(steps, cross_entropy, sample):
    graph, settings = replace(GRAPH, steps=steps), replace(SETTINGS, cross_entropy=cross_entropy)
    found, expected = sparse(sample, graph, settings), dense(sample, graph, settings, torch.float64, True)
    assert equal_labels(found, expected) > 99
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=2e-2)
    assert found["seconds"].keys() == expected["seconds"].keys() == {"operator", "training"}


def test_partial_dense_run_is_extrapolated(sample, monkeypatch):
    """Eight squarings from one, and all epochs from ten."""
    clock = iter([0, 1, 11, 16, 17, 38])  # one step 1 s, a squaring 10, the Laplacian 5, no epoch 1, ten of them 21
    monkeypatch.setattr(benchmark_methods.time, "perf_counter", lambda: next(clock))
    found = dense(sample, replace(GRAPH, steps=256), SETTINGS, torch.float32, False)
    assert found == {"seconds": {"operator": 1 + 8 * 10, "training": 5 + 1 + 20 * 2}}


@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
def test_tables_and_figure(normalisation, sample, monkeypatch, tmp_path):
    graph = replace(GRAPH, normalisation=normalisation)
    monkeypatch.setattr(benchmark, "MAX_NODES_DENSE_TRAINING", 60)
    monkeypatch.setattr(benchmark, "MAX_NODES_DENSE", 200)
    table = benchmark_table([sample], graph, SETTINGS, [50, 100, 300], 1, lambda line: None)
    assert set(table.method) == {"one step", "256 steps", "dense, one step", "dense, 256 steps"}
    whole = table[table.image == "a"].set_index("method")
    assert whole.loc["dense, 256 steps", "mb_on_disk"] == pytest.approx(4 * 120**2 / 1e6)
    methods = ["one step", "256 steps"]
    assert (whole.loc[methods, "equal_percent_small"] > 99).all()
    exact = whole.loc[methods, "equal_percent"]
    assert (exact > 99).tolist() == exact.notna().tolist() == [True, normalisation == "symmetric"]
    assert (whole.peak_mb > 50).all() and (whole.seconds > 0).all()
    lines = table[table.image == "growth"].groupby("method", sort=False)
    assert {name: list(line.extrapolated) for name, line in lines} == {
        "one step": [False] * 3,
        "dense, one step": [False, True],
        "256 steps": [False] * 3,
        "dense, 256 steps": [False, True],
    }
    ratio = averages(table).set_index("method").ratio
    assert ratio["one step"] == pytest.approx(whole.seconds["dense, one step"] / whole.seconds["one step"])
    assert ratio.isna()["dense, 256 steps"]
    large = table.assign(nodes=table.nodes * 100)
    write_benchmark(large, 1, tmp_path / "core.csv", tmp_path / "core.txt")
    assert pd.read_csv(tmp_path / "core.csv").columns.tolist() == table.columns.tolist()
    text = (tmp_path / "core.txt").read_text()
    assert text == summary(large, 1)
    assert "256 steps" in text and "MB kept" in text and "nodes^" in text and "nan" not in text
    axes = scaling_curves(table).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert {t.get_text() for t in axes.texts} == set(table.method)


def test_exponent_is_fitted_to_the_larger_sizes():
    nodes = np.array([1000, 4000, 16000, 64000])
    rows = {"image": "growth", "method": "m", "nodes": nodes, "seconds": np.where(nodes < 2000, 9, nodes**1.5)}
    assert exponent(pd.DataFrame(rows), "m") == pytest.approx(1.5)


def test_seconds_are_divided_by_the_processes_that_ran_together():
    results = run_in_processes(_wait, [(0.2,)] * 3, cores=2, num_processes=2)
    assert [round(result["seconds"]["training"], 1) for result in results] == [0.1, 0.1, 0.2]
    assert all(result["peak_mb"] > 50 for result in results)


def _wait(seconds):
    return {"seconds": {"training": seconds}}


def test_read_samples_leaves_out_skipped_images(sample, tmp_path):
    image = np.kron(sample.image, np.ones((4, 4, 1)))
    paths = {kind: [str(tmp_path / f"{kind}{k}{suffix}") for k in range(2)] for kind, suffix in FILES.items()}
    for k in range(2):
        Image.fromarray(image.astype(np.uint8)).save(paths["image"][k])
        output = {"boundary": sample.boundary, "features": sample.features, "weight": np.arange(3, dtype=np.float32)}
        write_arrays(paths["affinity"][k], **output)
        write_label(paths["label"][k], sample.partial)
    write_skipped(paths["affinity"][0], "no reason")
    (found,) = read_samples(["a", "b"], [[1], [2]], *paths.values(), "weighted", 120)
    assert (found.name, found.classes) == ("b", (2,))
    assert found.image.shape == (10, 12, 3)
    np.testing.assert_array_equal(found.partial, sample.partial)
    np.testing.assert_allclose(found.features, sample.features * np.arange(3)[:, None, None], atol=1e-6)
    (other,) = read_samples(["a", "b"], [[1], [2]], *paths.values(), "weighted", 120, "lanczos_bgr")
    np.testing.assert_allclose(other.image, grid_image(image.astype(np.uint8), 10, 12, "lanczos_bgr"), atol=1)
    assert (other.image != found.image).any()
    write_skipped(paths["label"][1], "no reason")
    with pytest.raises(ValueError, match="all images of the benchmark were skipped: a, b"):
        read_samples(["a", "b"], [[1], [2]], *paths.values(), "weighted", 120)
