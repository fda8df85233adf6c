"""Seconds, memory, files and labels of the GCN core beside those of the plain dense algorithm (`dense.py`)."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from wsgcn.augment import resize, resize_label
from wsgcn.dense import dense_laplacian, dense_operator, train_dense
from wsgcn.files import write_arrays, write_label
from wsgcn.gcn import ImageInput, train
from wsgcn.graph import affinity_matrix, propagation_graph

METHODS = {1: "one step", 256: "256 steps"}
"""Graphs that are timed, by their steps."""

MEASURED_EPOCHS = 3
"""Of a dense training that is extrapolated."""

WHOLE = 3000
"""Nodes up to which the dense algorithm is run whole."""

LARGEST_DENSE = 12500
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


def resized(sample: Sample, h: int, w: int) -> Sample:
    """The same on another grid: maps bilinearly, the label to the nearest, the image with antialiasing."""

    def maps(values: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(values.astype(np.float32))[None]
        return F.interpolate(tensor, (h, w), mode="bilinear", antialias=True)[0].numpy()

    boundary, features = maps(sample.boundary[None])[0].clip(0, 1), maps(sample.features)
    label, image = resize_label(sample.partial, h, w), resize(sample.image, h, w)
    return Sample(sample.name, boundary, features, label, image, sample.classes)


def grid_of(sample: Sample, nodes: int) -> tuple[int, int]:
    """A grid of about so many nodes in the proportions of the sample's."""
    h, w = sample.partial.shape
    scale = (nodes / (h * w)) ** 0.5
    return max(2, round(h * scale)), max(2, round(w * scale))


def ours(sample: Sample, graph: Mapping, settings: Mapping, dtype: type = np.float32) -> dict:
    """The GCN core on one image: seconds of its parts, its scores and losses."""
    started = time.perf_counter()
    operator = _graph(sample, graph, dtype)
    built = time.perf_counter()
    scores, losses = train([_input(sample, operator)], settings, torch.device("cpu"))[0]
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
    scores, losses = train_dense(operator, _dense_laplacian(sample, settings, dtype), _input(sample), settings)
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
    for epochs in (0, MEASURED_EPOCHS):
        train_dense(operator, laplacian, _input(sample), {**settings, "epochs": epochs})
        clock.append(time.perf_counter())
    one_step, squaring, loops, around, with_epochs = np.diff(clock)
    training = loops + around + (with_epochs - around) * settings["epochs"] / MEASURED_EPOCHS
    return {"seconds": {"operator": one_step + squarings * squaring, "training": training}}


def _graph(sample: Sample, graph: Mapping, dtype: type):
    affinity = affinity_matrix(sample.boundary, graph["radius"], graph["beta"])
    return propagation_graph(affinity.astype(dtype), graph)


def _input(sample: Sample, graph=None) -> ImageInput:
    return ImageInput(graph, sample.features, sample.partial, sample.image, sample.classes, seed=0)


def _dense_laplacian(sample: Sample, settings: Mapping, dtype: torch.dtype) -> torch.Tensor:
    smoothness = (settings["sigma1"], settings["sigma2"], settings["window"])
    return torch.from_numpy(dense_laplacian(sample.image, *smoothness)).to(dtype)


def in_own_process(function, *arguments, threads: int) -> dict:
    """What `function` returns, and the peak memory [MB] of the process of its own that it ran in, all of it."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_measured, (function, arguments, threads))


def _measured(function, arguments: Sequence, threads: int) -> dict:
    torch.set_num_threads(threads)
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
    samples: Sequence[Sample], graph: Mapping, settings: Mapping, threads: int, report: Callable[[str], None]
) -> list[dict]:
    """A row for each method and image: our cores beside float64 references, and the dense algorithm on the first image.

    Labels and losses are compared at full size with the same graph in float64 with exact products, and on a grid of
    `WHOLE` nodes with the dense algorithm in float64, with the same initial weights and dropout masks.
    """
    rows = []
    for steps, method in METHODS.items():
        reading = {**graph, "steps": steps, "normalisation": "symmetric"}
        for sample in samples:
            report(f"{method}: {sample.name}")
            small = resized(sample, *grid_of(sample, WHOLE))
            result = in_own_process(ours, sample, reading, settings, threads=threads)
            exact = in_own_process(ours, sample, {**reading, "rank": 0}, settings, np.float64, threads=threads)
            on_small = in_own_process(ours, small, reading, settings, threads=threads)
            truth = in_own_process(dense, small, reading, settings, torch.float64, True, threads=threads)
            rows.append(
                _row(sample, method, result)
                | {
                    "mb_on_disk": bytes_on_disk(sample, result) / 1e6,
                    "equal_percent": equal_labels(result, exact),
                    "loss_deviation": loss_deviation(result, exact),
                    "equal_percent_small": equal_labels(on_small, truth),
                    "loss_deviation_small": loss_deviation(on_small, truth),
                }
            )
        sample = samples[0]
        report(f"dense {method}: {sample.name}")
        result = in_own_process(dense, sample, reading, settings, torch.float32, False, threads=threads)
        rows.append(_row(sample, f"dense, {method}", result, True, mb_on_disk=4e-6 * sample.partial.size**2))
    return rows


def growth(
    sample: Sample,
    graph: Mapping,
    settings: Mapping,
    sizes: Sequence[int],
    threads: int,
    report: Callable[[str], None],
) -> list[dict]:
    """A row for each method and number of nodes, of one image on grids of these sizes; image is `growth`."""
    rows = []
    for nodes in sizes:
        scaled = replace(resized(sample, *grid_of(sample, nodes)), name="growth")
        for steps, method in METHODS.items():
            reading = {**graph, "steps": steps, "normalisation": "symmetric"}
            report(f"{method}: {nodes} nodes")
            rows.append(_row(scaled, method, in_own_process(ours, scaled, reading, settings, threads=threads)))
            if nodes <= LARGEST_DENSE:
                whole = nodes <= WHOLE
                result = in_own_process(dense, scaled, reading, settings, torch.float32, whole, threads=threads)
                rows.append(_row(scaled, f"dense, {method}", result, not whole))
    return rows


def equal_labels(result: Mapping, reference: Mapping) -> float:
    """Share of nodes with the same label [%]."""
    return 100 * float((result["scores"].argmax(0) == reference["scores"].argmax(0)).mean())


def loss_deviation(result: Mapping, reference: Mapping) -> float:
    """Median over the epochs of the loss's relative difference."""
    losses, expected = result["losses"][:, 0], reference["losses"][:, 0]
    return float(np.median(np.abs(losses / expected - 1)))


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each method, means over the images, with `ratio`: seconds of the dense 256 steps over the method's."""
    whole = table[table.image != "growth"]
    means = whole.groupby("method", sort=False).mean(numeric_only=True).reset_index()
    least = whole.groupby("method")["equal_percent"].min()
    released = means.loc[means.method == f"dense, {METHODS[256]}", "seconds"].item()
    return means.assign(ratio=released / means.seconds, least_equal_percent=means.method.map(least))


def exponent(table: pd.DataFrame, method: str) -> float:
    """Slope of log seconds over log nodes, from 3,000 nodes on."""
    rows = table[(table.image == "growth") & (table.method == method) & (table.nodes > 2500)]
    return float(np.polyfit(np.log(rows.nodes), np.log(rows.seconds), 1)[0])


def summary(table: pd.DataFrame, threads: int) -> str:
    """The comparison as text."""
    means = averages(table)
    nodes = int(table[table.image != "growth"].nodes.mean())
    lines = [
        f"GCN core, {nodes} nodes an image, {threads} threads, seconds an image (operator + training)",
        "",
        f"{'':20}{'seconds':>9}{'operator':>10}{'training':>10}{'faster':>8}{'peak MB':>9}{'MB kept':>9}"
        f"{'equal labels':>14}",
    ]
    for row in means.itertuples():
        equal = f"{row.equal_percent:.2f} %" if pd.notna(row.equal_percent) else ""
        lines.append(
            f"{row.method:20}{row.seconds:9.2f}{row.seconds_operator:10.2f}{row.seconds_training:10.2f}{row.ratio:7.0f}×"
            f"{row.peak_mb:9.0f}{row.mb_on_disk:9.1f}{equal:>14}"
        )
    lines += ["", "dense: extrapolated from one squaring and three epochs; faster: than the dense 256 steps"]
    for method in METHODS.values():
        mine = means[means.method == method].iloc[0]
        lines.append(
            f"{method}: cost grows with nodes^{exponent(table, method):.2f}; labels equal those of exact float64 graphs "
            f"on at least {mine.least_equal_percent:.2f} % of an image, those of the dense float64 algorithm on {WHOLE} "
            f"nodes on {mine.equal_percent_small:.2f} %; losses differ by {mine.loss_deviation:.0e} and "
            f"{mine.loss_deviation_small:.0e} in the median epoch"
        )
    return "\n".join(lines) + "\n"
