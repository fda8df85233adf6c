"""Seconds, memory, files and labels of the GCN core compared with those of the plain dense algorithm."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from wsgcn.files import atomic_write, write_arrays, write_label
from wsgcn.graph.operator import GraphSettings
from wsgcn.refinement.benchmark_methods import Sample, dense, grid_with_nodes, resample, sparse
from wsgcn.refinement.benchmark_processes import run_in_processes
from wsgcn.refinement.gcn import GcnSettings

METHODS = {1: "one step", 256: "256 steps"}
"""Names of the graphs that are timed, by their steps."""

SCALING_NAME = "growth"
"""The value of the table's column `image` in the rows of `scaling`."""

MAX_NODES_DENSE_TRAINING = 3000
"""Nodes up to which the dense algorithm is run whole."""

MAX_NODES_DENSE = 12500
"""Nodes up to which it is run at all: its matrices grow with their square."""

Report = Callable[[str], None]


def benchmark_table(
    samples: Sequence[Sample],
    graph: GraphSettings,
    settings: GcnSettings,
    sizes: Sequence[int],
    cores: int,
    report: Report,
) -> pd.DataFrame:
    """The rows of `compare` on all samples and of `scaling` on the first; report: called with a line of progress."""
    rows = compare(samples, graph, settings, cores, report)
    return pd.DataFrame(rows + scaling(samples[0], graph, settings, sizes, cores, report))


def compare(
    samples: Sequence[Sample], graph: GraphSettings, settings: GcnSettings, cores: int, report: Report
) -> list[dict]:
    """A row per method and image: the GCN core with float64 references, and the dense algorithm on the first image.

    Labels and losses are compared with those of the dense algorithm in float64 on a grid of `MAX_NODES_DENSE_TRAINING`
    nodes, and at full size with those of the same graph in float64 without low rank (not for the maximum of a walk of
    many steps, which has no exact form). Initial weights and dropout masks are the same. The core processes one
    image per core, the dense algorithm one image on all cores.
    """
    _warm_up(samples[0], graph, settings)
    rows, small = [], [resample(sample, *grid_with_nodes(sample, MAX_NODES_DENSE_TRAINING)) for sample in samples]
    for steps, method in METHODS.items():
        walk = replace(graph, steps=steps)
        report(f"{method}: {', '.join(sample.name for sample in samples)}")
        results, small_results = (
            run_in_processes(sparse, [(sample, walk, settings) for sample in batch], cores, cores)
            for batch in (samples, small)
        )
        report("and in float64")
        with_exact = samples if graph.normalisation == "symmetric" or steps <= 1 else []
        exact = run_in_processes(sparse, [(s, walk, settings, True) for s in with_exact], cores, cores)
        references = run_in_processes(dense, [(s, walk, settings, torch.float64, True) for s in small], cores, 1)
        for sample, result, small_result, reference in zip(samples, results, small_results, references, strict=True):
            row = _row(sample, method, result, mb_on_disk=bytes_on_disk(sample, result) / 1e6)
            rows.append(row | _agreement(small_result, reference, "_small"))
        if with_exact:
            for row, result, reference in zip(rows[-len(samples) :], results, exact, strict=True):
                row.update(_agreement(result, reference))
        sample = samples[0]
        report(f"dense {method}: {sample.name}")
        result = run_in_processes(dense, [(sample, walk, settings, torch.float32, False)], cores, 1)[0]
        rows.append(_row(sample, f"dense, {method}", result, True, mb_on_disk=4e-6 * sample.partial.size**2))
    return rows


def scaling(
    sample: Sample, graph: GraphSettings, settings: GcnSettings, sizes: Sequence[int], cores: int, report: Report
) -> list[dict]:
    """A row per method and number of nodes, of one image on grids of these sizes; their image is `SCALING_NAME`."""
    rows = []
    for nodes in sizes:
        scaled = replace(resample(sample, *grid_with_nodes(sample, nodes)), name=SCALING_NAME)
        for steps, method in METHODS.items():
            walk = replace(graph, steps=steps)
            report(f"{method}: {nodes} nodes")
            result = run_in_processes(sparse, cores * [(scaled, walk, settings)], cores, cores)[0]
            rows.append(_row(scaled, method, result))
            if nodes <= MAX_NODES_DENSE:
                whole = nodes <= MAX_NODES_DENSE_TRAINING
                result = run_in_processes(dense, [(scaled, walk, settings, torch.float32, whole)], cores, 1)[0]
                rows.append(_row(scaled, f"dense, {method}", result, not whole))
    return rows


def _warm_up(sample: Sample, graph: GraphSettings, settings: GcnSettings) -> None:
    """Import, compile and load, for the forked processes too, what only the first image of a job waits for."""
    # No epoch: a backward pass here would forbid any in the forked processes on a machine with a GPU.
    graph, settings = replace(graph, steps=256), replace(settings, epochs=0)
    sparse(resample(sample, 8, 8), graph, settings)
    dense(resample(sample, 8, 8), graph, settings, torch.float32, True)


def bytes_on_disk(sample: Sample, result: Mapping) -> int:
    """Bytes of an image's files from the boundary map to the refined scores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_arrays(path / "affinity.npz", boundary=sample.boundary, features=sample.features.astype(np.float16))
        write_label(path / "partial.png", sample.partial)
        write_arrays(path / "refined.npz", scores=result["scores"].astype(np.float16), losses=result["losses"])
        return sum(file.stat().st_size for file in path.iterdir())


def _row(sample: Sample, method: str, result: Mapping, extrapolated: bool = False, **further: float) -> dict:
    seconds = result["seconds"]
    return {
        "image": sample.name,
        "nodes": sample.partial.size,
        "method": method,
        "seconds_operator": seconds["operator"],
        "seconds_training": seconds["training"],
        "seconds": seconds["operator"] + seconds["training"],
        "extrapolated": extrapolated,
        "peak_mb": result["peak_mb"],
        **further,
    }


def _agreement(result: Mapping, reference: Mapping, suffix: str = "") -> dict[str, float]:
    equal, deviation = equal_labels(result, reference), loss_deviation(result, reference)
    return {f"equal_percent{suffix}": equal, f"loss_deviation{suffix}": deviation}


def equal_labels(result: Mapping, reference: Mapping) -> float:
    """Share of nodes with the same label [%]."""
    return 100 * float((result["scores"].argmax(0) == reference["scores"].argmax(0)).mean())


def loss_deviation(result: Mapping, reference: Mapping) -> float:
    """Median over the epochs of the loss's relative difference."""
    losses, expected = result["losses"][:, 0], reference["losses"][:, 0]
    return float(np.median(np.abs(losses / expected - 1)))


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """A row per method with the means over the images.

    ratio: seconds of the dense algorithm on the method's graph divided by the method's seconds.
    """
    whole = table[table.image != SCALING_NAME]
    means = whole.groupby("method", sort=False).mean(numeric_only=True).reset_index()
    least = whole.groupby("method")["equal_percent"].min()
    dense_seconds = means.set_index("method").seconds.reindex("dense, " + means.method).to_numpy()
    return means.assign(ratio=dense_seconds / means.seconds, least_equal_percent=means.method.map(least))


def exponent(table: pd.DataFrame, method: str) -> float:
    """Slope of log seconds over log nodes, from 3,000 nodes on."""
    rows = table[(table.image == SCALING_NAME) & (table.method == method) & (table.nodes > 2500)]
    return float(np.polyfit(np.log(rows.nodes), np.log(rows.seconds), 1)[0])


def write_benchmark(table: pd.DataFrame, cores: int, table_path: str | Path, summary_path: str | Path) -> None:
    """Write the rows as CSV and their summary as text."""
    with atomic_write(table_path) as temporary:
        table.to_csv(temporary, index=False)
    with atomic_write(summary_path) as temporary:
        temporary.write_text(summary(table, cores))


def summary(table: pd.DataFrame, cores: int) -> str:
    """The comparison as text."""
    means = averages(table)
    nodes = int(table[table.image != SCALING_NAME].nodes.mean())
    lines = [
        f"GCN core, {nodes} nodes per image, {cores} cores, seconds per image (operator + training)",
        "",
        f"{'':20}{'seconds':>9}{'operator':>10}{'training':>10}{'faster':>8}{'peak MB':>9}{'MB kept':>9}"
        f"{'equal labels':>14}",
    ]
    for row in means.itertuples():
        equal = row.equal_percent if pd.notna(row.equal_percent) else row.equal_percent_small
        equal = f"{equal:.2f} %" if pd.notna(equal) else ""
        faster = f"{row.ratio:.0f}×" if pd.notna(row.ratio) else ""
        lines.append(
            f"{row.method:20}{row.seconds:9.2f}{row.seconds_operator:10.2f}{row.seconds_training:10.2f}{faster:>8}"
            f"{row.peak_mb:9.0f}{row.mb_on_disk:9.1f}{equal:>14}"
        )
    lines += [
        "",
        "dense: extrapolated from one squaring and ten epochs, all cores for one image",
        "the others: one image per core, its seconds divided by the number of cores",
        "faster: than the dense algorithm on the same graph",
        f"equal labels: at full size where the graph has exact products, else at {MAX_NODES_DENSE_TRAINING} nodes",
    ]
    for method in METHODS.values():
        row = means[means.method == method].iloc[0]
        lines.append(
            f"{method}: seconds grow with nodes^{exponent(table, method):.2f}; labels equal those of the dense "
            f"algorithm in float64 at {MAX_NODES_DENSE_TRAINING} nodes on {row.equal_percent_small:.2f} %, losses of "
            f"the median epoch differ by {row.loss_deviation_small:.0e}"
        )
        if pd.notna(row.equal_percent):
            lines[-1] += (
                f"; labels equal those of an exact float64 graph on at least {row.least_equal_percent:.2f} % of an "
                f"image, losses differ by {row.loss_deviation:.0e}"
            )
    return "\n".join(lines) + "\n"
