"""The five kinds of boundary: the bounds of the operator's error and of the labels, memory, and the table of these.

Run alone: `.venv/bin/python -m pytest tests/refinement/test_benchmark_kinds.py`.
"""

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement import benchmark_kinds
from wsgcn.refinement.benchmark_kinds import KINDS, errors, growth, kinds_table, with_boundary, write_kinds
from wsgcn.refinement.benchmark_methods import Sample
from wsgcn.refinement.gcn import GcnSettings

NORMALISATIONS = ("symmetric", "row")
GRAPH = GraphSettings(radius=5, beta=10, steps=256, normalisation="row", features="plain")
SETTINGS = GcnSettings(
    epochs=30,
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


def make_sample(h, w, rng, features=24):
    """Two discs, visible in the boundary, in the features and in the image, a third of their nodes labelled."""
    y, x = np.mgrid[:h, :w] / max(h, w)
    inside = np.hypot(y - 0.3, x - 0.3) < 0.2, np.hypot(y - 0.5, x - 0.75) < 0.15
    edge = np.maximum(*(np.abs(np.gradient(disc.astype(float))).max(0) for disc in inside))
    boundary = (1.8 * edge).clip(0, 0.95) + 0.05 * rng.random((h, w))
    truth = inside[0] + 2 * inside[1].astype(int)
    mixing = rng.standard_normal((features, 3))
    maps = np.tensordot(mixing, truth == np.arange(3)[:, None, None], 1) + rng.standard_normal((features, h, w))
    partial = np.where(rng.random((h, w)) < 0.3, truth, 255).astype(np.uint8)
    image = np.repeat((60 + 60 * truth)[..., None], 3, 2).astype(np.uint8)
    return Sample("a", boundary.astype(np.float32), maps.astype(np.float32), partial, image, (1, 2))


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_within_their_bounds(kind, normalisation, rng):
    sample = with_boundary(make_sample(30, 40, rng), kind)
    found = errors(sample, replace(GRAPH, normalisation=normalisation), SETTINGS)["errors"]
    assert found["operator_error"] < 4e-3
    assert found["feature_error"] < 4e-3
    assert found["equal_percent"] > 99.5


@pytest.mark.parametrize("level", [0, 0.05, 0.3, 0.5, 0.55, 0.6, 0.7, 0.99, 1])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_any_uniform_boundary_is_within_the_bounds(level, normalisation, rng, monkeypatch):
    monkeypatch.setitem(KINDS, "uniform", lambda boundary, rng: np.full_like(boundary, level))
    sample = with_boundary(make_sample(20, 24, rng), "uniform")
    found = errors(sample, replace(GRAPH, normalisation=normalisation), replace(SETTINGS, epochs=1))["errors"]
    assert found["operator_error"] < 4e-3 and found["feature_error"] < 4e-3


@pytest.mark.parametrize("kind", ["uniform", pytest.param("noisy", marks=pytest.mark.proof)])
def test_no_matrix_over_all_pairs_is_made(kind, rng):
    """At 40,000 nodes, where row normalisation was refused, and a dense matrix would have 6.4 GB."""
    sample = with_boundary(make_sample(200, 200, rng, features=4), kind)
    affinity = affinity_matrix(sample.boundary, 5, 10)
    tracemalloc.start()
    propagation_graph(affinity, sample.features.reshape(4, -1), GRAPH)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 600e6


def test_kinds_differ_and_are_in_range(rng):
    sample = make_sample(20, 24, rng)
    maps = [with_boundary(sample, kind).boundary for kind in KINDS]
    assert all(m.shape == (20, 24) and m.dtype == np.float32 and m.min() >= 0 and m.max() <= 1 for m in maps)
    assert len({m.tobytes() for m in maps}) == len(KINDS)
    np.testing.assert_array_equal(with_boundary(sample, "sharp").boundary, sample.boundary)


def test_table_and_summary(rng, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark_kinds, "MAX_NODES_REFERENCE", 200)
    lines = []
    settings = replace(SETTINGS, epochs=2)
    table = kinds_table(make_sample(12, 16, rng), GRAPH, settings, [190, 400], lines.append)
    assert len(table) == len(lines) == 2 * 2 * len(KINDS)
    assert table.operator_error.notna().tolist() == (table.nodes < 200).tolist()
    assert (table.seconds > 0).all() and (table.peak_mb > 50).all()
    write_kinds(table, tmp_path / "kinds.csv", tmp_path / "kinds.txt")
    assert pd.read_csv(tmp_path / "kinds.csv").columns.tolist() == table.columns.tolist()
    text = (tmp_path / "kinds.txt").read_text()
    assert all(f"{kind}, {normalisation}" in text for kind in KINDS for normalisation in NORMALISATIONS)
    assert "nan" not in text


def test_growth_is_the_exponent():
    nodes = np.array([1000, 4000, 16000])
    assert growth(pd.DataFrame({"nodes": nodes, "seconds": 2 * nodes**1.3})) == pytest.approx(1.3)
