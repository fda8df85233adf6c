"""The benchmark of the GCN core: what it measures, extrapolates and tells."""

import numpy as np
import pandas as pd
import pytest
import torch

from wsgcn.refinement import benchmark
from wsgcn.refinement.benchmark import (
    Sample,
    averages,
    compare,
    dense,
    equal_labels,
    exponent,
    grid_with_nodes,
    resample,
    scaling,
    sparse,
)
from wsgcn.reporting.figures import scaling_curves

GRAPH = {"radius": 5, "beta": 10, "normalisation": "symmetric", "features": "plain"}
SETTINGS = {
    "epochs": 20,
    "lr": 0.01,
    "weight_decay": 0.0005,
    "dropout": 0.3,
    "hidden": 8,
    "sigma1": 1.7,
    "sigma2": 10,
    "window": 5,
    "lambda_ent": 0.5,
    "lambda_lap": 0.01,
    "laplacian": "paper",
    "cross_entropy": "separate",
}


@pytest.fixture
def sample(rng):
    """Of 10 × 12 nodes: a lighter square that the features see and half of which is labelled."""
    inside = np.zeros((10, 12))
    inside[3:8, 3:9] = 1
    boundary = 0.1 * rng.random((10, 12)) + 0.8 * (np.abs(np.gradient(inside)).max(0) > 0)
    features = np.stack([inside, 1 - inside, rng.random((10, 12))]).astype(np.float32)
    partial = np.where(inside > 0, 2, 0).astype(np.uint8)
    partial[5:] = 255
    image = np.repeat((60 + 120 * inside)[..., None], 3, 2).astype(np.uint8)
    return Sample("a", boundary.astype(np.float32), features, partial, image, (2,))


def test_a_sample_on_another_grid_keeps_its_picture(sample):
    h, w = grid_with_nodes(sample, 480)
    assert (h, w) == (20, 24)
    large = resample(sample, h, w)
    assert large.boundary.shape == large.partial.shape == (20, 24)
    assert large.features.shape == (3, 20, 24) and large.image.shape == (20, 24, 3)
    np.testing.assert_array_equal(large.partial[::2, ::2], sample.partial)
    assert abs(large.features[0] - (large.image[..., 0] > 120)).mean() < 0.1


@pytest.mark.parametrize("cross_entropy", ["separate", "joint"])
@pytest.mark.parametrize("steps", [1, 256])
def test_whole_runs_agree(steps, cross_entropy, sample):
    graph, settings = GRAPH | {"steps": steps}, SETTINGS | {"cross_entropy": cross_entropy}
    found, expected = sparse(sample, graph, settings), dense(sample, graph, settings, torch.float64, True)
    assert equal_labels(found, expected) > 99
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=2e-2)
    assert found["seconds"].keys() == expected["seconds"].keys() == {"operator", "training"}


def test_a_part_stands_for_the_whole(sample, monkeypatch):
    """Eight squarings and all epochs are charged for one and for ten."""
    clock = iter([0, 1, 11, 16, 17, 38])  # one step 1 s, a squaring 10, the Laplacian 5, no epoch 1, ten of them 21
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    found = dense(sample, GRAPH | {"steps": 256}, SETTINGS, torch.float32, False)
    assert found == {"seconds": {"operator": 1 + 8 * 10, "training": 5 + 1 + 20 * 2}}


@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
def test_tables_and_figure(normalisation, sample, monkeypatch):
    graph = GRAPH | {"normalisation": normalisation}
    monkeypatch.setattr(benchmark, "MAX_NODES_DENSE_TRAINING", 60)
    monkeypatch.setattr(benchmark, "MAX_NODES_DENSE", 200)
    said = []
    rows = compare([sample], graph, SETTINGS, 1, said.append)
    rows += scaling(sample, graph, SETTINGS, [50, 100, 300], 1, said.append)
    table = pd.DataFrame(rows)
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
    text = benchmark.summary(table.assign(nodes=table.nodes * 100), 1)
    assert "256 steps" in text and "MB kept" in text and "nodes^" in text and "nan" not in text
    axes = scaling_curves(table).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert {t.get_text() for t in axes.texts} == set(table.method)


def test_growth_leaves_out_what_is_too_large(sample, monkeypatch):
    monkeypatch.setattr("wsgcn.graph.operator.low_rank_walk", lambda *_: None)
    monkeypatch.setattr("wsgcn.graph.operator.MAX_DENSE_NODES", 60)
    said = []
    rows = scaling(sample, GRAPH | {"normalisation": "row"}, SETTINGS, [50, 100], 1, said.append)
    own = [(row["nodes"], row["method"]) for row in rows if "dense" not in row["method"]]
    assert own == [(48, "one step"), (48, "256 steps"), (99, "one step")]
    assert said[-1].startswith("left out: graph.normalisation: row with 256 steps")


def test_exponent_is_the_slope_of_the_larger_sizes():
    nodes = np.array([1000, 4000, 16000, 64000])
    rows = {"image": "growth", "method": "m", "nodes": nodes, "seconds": np.where(nodes < 2000, 9, nodes**1.5)}
    assert exponent(pd.DataFrame(rows), "m") == pytest.approx(1.5)


def test_seconds_are_shared_by_as_many_as_ran():
    results = benchmark.in_own_processes(_wait, [(0.2,)] * 3, cores=2, at_once=2)
    assert [round(result["seconds"]["training"], 1) for result in results] == [0.1, 0.1, 0.2]
    assert all(result["peak_mb"] > 50 for result in results)


def _wait(seconds):
    return {"seconds": {"training": seconds}}
