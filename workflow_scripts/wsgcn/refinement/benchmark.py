"""Seconds, memory, files and labels of the GCN core beside those of the plain dense algorithm (`dense.py`)."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.data.augment import resize, resize_label
from wsgcn.files import write_arrays, write_label
from wsgcn.graph.operator import propagation_graph
from wsgcn.refinement.gcn import ImageInput, train
from wsgcn.refinement.reference import dense_laplacian, dense_operator, train_dense

METHODS = {1: "one step", 256: "256 steps"}
"""Graphs that are timed, by their steps."""

NUM_MEASURED_EPOCHS = 10
"""Of a dense training that is extrapolated."""

MAX_NODES_DENSE_TRAINING = 3000
"""Nodes up to which the dense algorithm is run whole."""

MAX_NODES_DENSE = 12500
"""Nodes up to which it is run at all: its matrices grow with their square."""


@dataclass(frozen=True)
class Sample:
    """An image's input to the refinement: boundary [h, w], features [D, h, w], partial uint8 [h, w], image RGB."""

    name: str
    boundary: np.ndarray
    features: np.ndarray
    partial: np.ndarray
    image: np.ndarray
    classes: tuple[int, ...]


def resample(sample: Sample, h: int, w: int) -> Sample:
    """The same on another grid: maps bilinearly, the label to the nearest, the image with antialiasing."""

    def maps(values: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(values.astype(np.float32))[None]
        return F.interpolate(tensor, (h, w), mode="bilinear", antialias=True)[0].numpy()

    boundary, features = maps(sample.boundary[None])[0].clip(0, 1), maps(sample.features)
    label, image = resize_label(sample.partial, h, w), resize(sample.image, h, w)
    return Sample(sample.name, boundary, features, label, image, sample.classes)


def grid_with_nodes(sample: Sample, nodes: int) -> tuple[int, int]:
    """A grid of about so many nodes in the proportions of the sample's."""
    h, w = sample.partial.shape
    scale = (nodes / (h * w)) ** 0.5
    return max(2, round(h * scale)), max(2, round(w * scale))


def sparse(sample: Sample, graph: Mapping, settings: Mapping, exact: bool = False) -> dict:
    """The GCN core on one image: seconds of its parts, its scores and losses; `exact` is in float64, by products."""
    started = time.perf_counter()
    affinity = affinity_matrix(sample.boundary, graph["radius"], graph["beta"])
    features = sample.features.reshape(len(sample.features), -1)
    operator, propagated = propagation_graph(
        affinity.astype(np.float64 if exact else np.float32), features, graph, exact
    )
    built = time.perf_counter()
    scores, losses = train([_input(sample, operator, propagated)], settings, torch.device("cpu"))[0]
    seconds = {"operator": built - started, "training": time.perf_counter() - built}
    return {"seconds": seconds, "scores": scores, "losses": losses, "graph": str(operator)}


def dense(sample: Sample, graph: Mapping, settings: Mapping, dtype: torch.dtype, whole: bool) -> dict:
    """The dense algorithm on one image; unless `whole`, one of its squarings and some epochs, times their number.

    Squarings: log2 of the steps, as the released code raises its matrix to the power 256 by eight of them.
    """
    if not whole:
        return _dense_in_part(sample, graph, settings, dtype)
    started = time.perf_counter()
    affinity = affinity_matrix(sample.boundary, graph["radius"], graph["beta"])
    operator = dense_operator(torch.from_numpy(affinity.toarray()).to(dtype), graph["steps"], graph["normalisation"])
    built = time.perf_counter()
    laplacian = _dense_laplacian(sample, settings, dtype)
    scores, losses = train_dense(operator, sample.features, laplacian, _input(sample), settings)
    seconds = {"operator": built - started, "training": time.perf_counter() - built}
    return {"seconds": seconds, "scores": scores, "losses": losses}


def _dense_in_part(sample: Sample, graph: Mapping, settings: Mapping, dtype: torch.dtype) -> dict:
    clock = [time.perf_counter()]
    affinity = torch.from_numpy(affinity_matrix(sample.boundary, graph["radius"], graph["beta"]).toarray()).to(dtype)
    operator = dense_operator(affinity, min(graph["steps"], 1), graph["normalisation"])
    del affinity
    clock.append(time.perf_counter())
    squarings = max(0, int(np.log2(max(1, graph["steps"]))))
    if squarings:
        operator = operator @ operator
    clock.append(time.perf_counter())
    laplacian = _dense_laplacian(sample, settings, dtype)
    clock.append(time.perf_counter())
    for epochs in (0, NUM_MEASURED_EPOCHS):
        train_dense(operator, sample.features, laplacian, _input(sample), {**settings, "epochs": epochs})
        clock.append(time.perf_counter())
    one_step, squaring, loops, around, with_epochs = np.diff(clock)
    training = loops + around + (with_epochs - around) * settings["epochs"] / NUM_MEASURED_EPOCHS
    return {"seconds": {"operator": one_step + squarings * squaring, "training": training}}


def _input(sample: Sample, graph=None, propagated=None) -> ImageInput:
    return ImageInput(graph, propagated, sample.partial, sample.image, sample.classes, seed=0)


def _dense_laplacian(sample: Sample, settings: Mapping, dtype: torch.dtype) -> torch.Tensor:
    smoothness = (settings["sigma1"], settings["sigma2"], settings["window"])
    return torch.from_numpy(dense_laplacian(sample.image, *smoothness)).to(dtype)


def in_own_processes(function, arguments: Sequence[tuple], cores: int, at_once: int) -> list[dict]:
    """What `function` returns for each of its arguments, each in a process of its own, `at_once` of them on all cores.

    Adds the peak memory [MB] of all of the process, and divides its seconds by how many ran side by side: what an image
    of many takes.
    """
    fork, results = multiprocessing.get_context("fork"), []
    for start in range(0, len(arguments), at_once):
        some = arguments[start : start + at_once]
        with ProcessPoolExecutor(len(some), fork) as pool:
            running = [pool.submit(_measured, function, each, cores // at_once) for each in some]
            results += [future.result() for future in running]
        for result in results[start:]:
            result["seconds"] = {part: seconds / len(some) for part, seconds in result["seconds"].items()}
    return results


def _warm_up(sample: Sample, graph: Mapping, settings: Mapping) -> None:
    """Import, compile and load, here and so in the forked processes, what only the first image of a job waits for."""
    # No epoch: a backward pass here would forbid any in the forked processes on a machine with a GPU.
    reading, short = {**graph, "steps": 256}, {**settings, "epochs": 0}
    sparse(resample(sample, 8, 8), reading, short)
    dense(resample(sample, 8, 8), reading, short, torch.float32, True)


def _measured(function, arguments: tuple, threads: int) -> dict:
    torch.set_num_threads(max(1, threads))
    result = function(*arguments)
    return result | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def bytes_on_disk(sample: Sample, result: Mapping) -> int:
    """What an image's files take from the boundary map to the refined scores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_arrays(path / "affinity.npz", boundary=sample.boundary, features=sample.features.astype(np.float16))
        write_label(path / "partial.png", sample.partial)
        write_arrays(path / "refined.npz", scores=result["scores"].astype(np.float16), losses=result["losses"])
        return sum(file.stat().st_size for file in path.iterdir())


def _row(sample: Sample, method: str, result: Mapping, extrapolated: bool = False, **further) -> dict:
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


def compare(
    samples: Sequence[Sample], graph: Mapping, settings: Mapping, cores: int, report: Callable[[str], None]
) -> list[dict]:
    """A row for each method and image: our core beside float64 references, and the dense algorithm on the first image.

    Labels and losses are compared on a grid of `MAX_NODES_DENSE_TRAINING` nodes with the dense algorithm in float64,
    and at full size with the same graph in float64 with exact products (not the maximum of a walk of many steps, which
    would be a dense matrix), with the same initial weights and dropout masks. Ours has an image per core, the dense
    algorithm all cores for one.
    """
    _warm_up(samples[0], graph, settings)
    rows, small = [], [resample(sample, *grid_with_nodes(sample, MAX_NODES_DENSE_TRAINING)) for sample in samples]
    for steps, method in METHODS.items():
        reading = {**graph, "steps": steps}
        report(f"{method}: {', '.join(sample.name for sample in samples)}")
        results, on_small = (
            in_own_processes(sparse, [(sample, reading, settings) for sample in some], cores, cores)
            for some in (samples, small)
        )
        report("and in float64")
        references = samples if graph["normalisation"] == "symmetric" or steps <= 1 else []
        exact = in_own_processes(sparse, [(s, reading, settings, True) for s in references], cores, cores)
        truth = in_own_processes(dense, [(s, reading, settings, torch.float64, True) for s in small], cores, 1)
        for sample, found, *compared in zip(samples, results, on_small, truth, strict=True):
            row = _row(sample, method, found, mb_on_disk=bytes_on_disk(sample, found) / 1e6)
            rows.append(row | _agreement(*compared, "_small"))
        if references:
            for row, *compared in zip(rows[-len(samples) :], results, exact, strict=True):
                row.update(_agreement(*compared))
        sample = samples[0]
        report(f"dense {method}: {sample.name}")
        result = in_own_processes(dense, [(sample, reading, settings, torch.float32, False)], cores, 1)[0]
        rows.append(_row(sample, f"dense, {method}", result, True, mb_on_disk=4e-6 * sample.partial.size**2))
    return rows


def scaling(
    sample: Sample,
    graph: Mapping,
    settings: Mapping,
    sizes: Sequence[int],
    cores: int,
    report: Callable[[str], None],
) -> list[dict]:
    """A row for each method and number of nodes, of one image on grids of these sizes, named `scaling`.

    A graph that is refused because it is too large is left out.
    """
    rows = []
    for nodes in sizes:
        scaled = replace(resample(sample, *grid_with_nodes(sample, nodes)), name="growth")
        for steps, method in METHODS.items():
            reading = {**graph, "steps": steps}
            report(f"{method}: {nodes} nodes")
            try:
                result = in_own_processes(sparse, cores * [(scaled, reading, settings)], cores, cores)[0]
            except ValueError as error:
                report(f"left out: {error}")
                continue
            rows.append(_row(scaled, method, result))
            if nodes <= MAX_NODES_DENSE:
                whole = nodes <= MAX_NODES_DENSE_TRAINING
                result = in_own_processes(dense, [(scaled, reading, settings, torch.float32, whole)], cores, 1)[0]
                rows.append(_row(scaled, f"dense, {method}", result, not whole))
    return rows


def _agreement(result: Mapping, reference: Mapping, ending: str = "") -> dict[str, float]:
    equal, deviation = equal_labels(result, reference), loss_deviation(result, reference)
    return {f"equal_percent{ending}": equal, f"loss_deviation{ending}": deviation}


def equal_labels(result: Mapping, reference: Mapping) -> float:
    """Share of nodes with the same label [%]."""
    return 100 * float((result["scores"].argmax(0) == reference["scores"].argmax(0)).mean())


def loss_deviation(result: Mapping, reference: Mapping) -> float:
    """Median over the epochs of the loss's relative difference."""
    losses, expected = result["losses"][:, 0], reference["losses"][:, 0]
    return float(np.median(np.abs(losses / expected - 1)))


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each method, means over the images; `ratio`: seconds of the dense algorithm on its graph over its."""
    whole = table[table.image != "growth"]
    means = whole.groupby("method", sort=False).mean(numeric_only=True).reset_index()
    least = whole.groupby("method")["equal_percent"].min()
    plain = means.set_index("method").seconds.reindex("dense, " + means.method).to_numpy()
    return means.assign(ratio=plain / means.seconds, least_equal_percent=means.method.map(least))


def exponent(table: pd.DataFrame, method: str) -> float:
    """Slope of log seconds over log nodes, from 3,000 nodes on."""
    rows = table[(table.image == "growth") & (table.method == method) & (table.nodes > 2500)]
    return float(np.polyfit(np.log(rows.nodes), np.log(rows.seconds), 1)[0])


def summary(table: pd.DataFrame, cores: int) -> str:
    """The comparison as text."""
    means = averages(table)
    nodes = int(table[table.image != "growth"].nodes.mean())
    lines = [
        f"GCN core, {nodes} nodes an image, {cores} cores, seconds an image (operator + training)",
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
    lines += ["", "dense: extrapolated from one squaring and ten epochs; faster: than the dense one"]
    lines += ["ours: an image a core, its seconds divided by the cores; dense: all cores for one image"]
    lines += [
        f"equal labels: at full size where the graph has exact products, else at {MAX_NODES_DENSE_TRAINING} nodes"
    ]
    for method in METHODS.values():
        mine = means[means.method == method].iloc[0]
        lines.append(
            f"{method}: seconds grow with nodes^{exponent(table, method):.2f}; labels equal those of the dense "
            f"algorithm in float64 at {MAX_NODES_DENSE_TRAINING} nodes on {mine.equal_percent_small:.2f} %, losses of "
            f"the median epoch differ by {mine.loss_deviation_small:.0e}"
        )
        if pd.notna(mine.equal_percent):
            lines[-1] += (
                f"; labels equal those of an exact float64 graph on at least {mine.least_equal_percent:.2f} % of an "
                f"image, losses differ by {mine.loss_deviation:.0e}"
            )
    return "\n".join(lines) + "\n"
