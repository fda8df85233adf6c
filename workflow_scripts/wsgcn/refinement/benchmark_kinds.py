"""The GCN core on kinds of boundary, from uniform to sharp: seconds on one core, memory, growth, errors and labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.files import atomic_write
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.graph.propagation import Propagation
from wsgcn.refinement.benchmark_methods import Sample, dense, grid_with_nodes, resample, sparse
from wsgcn.refinement.benchmark_processes import run_in_processes
from wsgcn.refinement.gcn import GcnSettings
from wsgcn.refinement.reference import dense_operator

MAX_NODES_REFERENCE = 3000
"""Nodes up to which errors are measured, against the dense operator and the dense training."""

NUM_VECTORS = 50
"""Random vectors that measure the operator's error."""

Report = Callable[[str], None]


def _uniform(boundary: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.full_like(boundary, 0.4)


def _noisy(boundary: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = scipy.ndimage.gaussian_filter(rng.random(boundary.shape), 0.6)
    return 0.5 + 1.6 * (noise - 0.5)


def _half_trained(boundary: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 0.15 + 0.5 * scipy.ndimage.gaussian_filter(boundary, 1.5)


def _scaled_up(boundary: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    half = torch.from_numpy(boundary[None, None, ::2, ::2].copy())
    return torch.nn.functional.interpolate(half, boundary.shape, mode="bilinear")[0, 0].numpy()


def _sharp(boundary: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return boundary


KINDS = {
    "uniform": _uniform,
    "noisy": _noisy,
    "half-trained": _half_trained,
    "scaled-up": _scaled_up,
    "sharp": _sharp,
}
"""Boundary maps made of a real one [h, w]: 0.4 everywhere; blurred white noise; weak and blurred; half the resolution
brought back to the full one; itself."""


def with_boundary(sample: Sample, kind: str) -> Sample:
    """The sample with the boundary of a kind, float32 in 0..1."""
    boundary = KINDS[kind](sample.boundary, np.random.default_rng(0))
    return replace(sample, name=kind, boundary=boundary.clip(0, 1).astype(np.float32))


def kinds_table(
    sample: Sample, graph: GraphSettings, settings: GcnSettings, sizes: Sequence[int], report: Report
) -> pd.DataFrame:
    """A row per kind, normalisation and size [nodes]: the seconds of `sparse` on one core, its peak memory and graph.

    Up to `MAX_NODES_REFERENCE` nodes also `errors`. Every measurement has a process of its own.
    """
    small = resample(sample, 8, 8)
    sparse(with_boundary(small, "noisy"), graph, replace(settings, epochs=0))  # compiles, for the forked processes too
    rows = []
    for nodes in sizes:
        scaled = resample(sample, *grid_with_nodes(sample, nodes))
        for kind in KINDS:
            for normalisation in ("symmetric", "row"):
                arguments = (with_boundary(scaled, kind), replace(graph, normalisation=normalisation), settings)
                report(f"{kind}, {normalisation}: {nodes} nodes")
                result = run_in_processes(sparse, [arguments], 1, 1)[0]
                row = {"kind": kind, "normalisation": normalisation, "nodes": scaled.partial.size}
                row |= {f"seconds_{part}": seconds for part, seconds in result["seconds"].items()}
                row |= {"seconds": sum(result["seconds"].values())}
                row |= {"peak_mb": result["peak_mb"], "graph": result["graph"]}
                if scaled.partial.size <= MAX_NODES_REFERENCE:
                    row |= run_in_processes(errors, [arguments], 1, 1)[0]["errors"]
                rows.append(row)
    return pd.DataFrame(rows)


def errors(sample: Sample, graph: GraphSettings, settings: GcnSettings) -> dict:
    """Differences from the dense algorithm: of Â on random vectors, of ÂV, and of the labels.

    Both errors are Euclidean norms relative to those of the vectors and of ÂV. equal_percent: share of equal labels.
    """
    affinity = affinity_matrix(sample.boundary, graph.radius, graph.beta)
    features = sample.features.reshape(len(sample.features), -1)
    operator, propagated = propagation_graph(affinity, features, graph)
    exact = dense_operator(torch.from_numpy(affinity.toarray()), graph.steps, graph.normalisation)
    vectors = np.random.default_rng(0).standard_normal((NUM_VECTORS, sample.partial.size), np.float32)
    block = torch.from_numpy(vectors)
    found = Propagation([operator], torch.device("cpu")).apply(block[None])[0]
    expected = torch.from_numpy(features.astype(np.float32)) @ exact.T
    labels, reference = (
        result["scores"].argmax(0)
        for result in (sparse(sample, graph, settings), dense(sample, graph, settings, torch.float32, True))
    )
    measured = {
        "operator_error": float((found - block @ exact.T).norm() / block.norm()),
        "feature_error": float((torch.from_numpy(propagated) - expected).norm() / expected.norm()),
        "equal_percent": 100 * float((labels == reference).mean()),
    }
    return {"errors": measured, "seconds": {}}


def growth(rows: pd.DataFrame) -> float:
    """Slope of log seconds over log nodes."""
    return float(np.polyfit(np.log(rows.nodes), np.log(rows.seconds), 1)[0])


def kinds_summary(table: pd.DataFrame) -> str:
    """The table as text: seconds at each size, growth, memory at the largest, errors at the smallest."""
    sizes = sorted(table.nodes.unique())
    lines = [
        "GCN core on kinds of boundary: seconds an image on one core (operator + training) by number of nodes",
        "",
        f"{'':24}{''.join(f'{size:>9}' for size in sizes)}{'growth':>9}{'peak MB':>9}{'operator':>10}{'features':>10}"
        f"{'labels':>10}",
    ]
    for (kind, normalisation), rows in table.groupby(["kind", "normalisation"], sort=False):
        seconds = "".join(f"{value:9.2f}" for value in rows.sort_values("nodes").seconds)
        checked = rows.dropna(subset=["operator_error"])
        lines.append(
            f"{kind + ', ' + normalisation:24}{seconds}{growth(rows):9.2f}{rows.peak_mb.max():9.0f}"
            f"{checked.operator_error.max():10.1e}{checked.feature_error.max():10.1e}"
            f"{checked.equal_percent.min():8.2f} %"
        )
    lines += [
        "",
        "growth: seconds grow with nodes to this power; peak MB: of a process, at any size",
        "operator, features: error of Â on random vectors and of ÂV, relative, against the dense operator",
        f"labels: equal to those of the dense algorithm; the last three at up to {MAX_NODES_REFERENCE} nodes",
    ]
    return "\n".join(lines) + "\n"


def write_kinds(table: pd.DataFrame, table_path: str | Path, summary_path: str | Path) -> None:
    """Write the table as CSV and as text."""
    with atomic_write(table_path) as path:
        table.to_csv(path, index=False)
    with atomic_write(summary_path) as path:
        path.write_text(kinds_summary(table))
