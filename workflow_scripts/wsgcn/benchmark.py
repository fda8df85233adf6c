"""Seconds, memory, files and labels of the GCN core beside those of the plain dense algorithm (`dense.py`)."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.augment import resize, resize_label
from wsgcn.dense import dense_laplacian, dense_operator, train_dense
from wsgcn.files import write_arrays, write_label
from wsgcn.gcn import ImageInput, train
from wsgcn.graph import affinity_matrix, propagation_graph

MEASURED_EPOCHS = 3
"""Of a dense training that is extrapolated."""


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
    train_dense(operator, laplacian, _input(sample), {**settings, "epochs": MEASURED_EPOCHS})
    clock.append(time.perf_counter())
    one_step, squaring, loops, epochs = np.diff(clock)
    training = loops + epochs * settings["epochs"] / MEASURED_EPOCHS
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
        features = sample.features.astype(np.float16)
        write_arrays(path / "affinity.npz", boundary=sample.boundary, features=features)
        write_label(path / "partial.png", sample.partial)
        write_arrays(path / "refined.npz", scores=result["scores"].astype(np.float16), losses=result["losses"])
        return sum(file.stat().st_size for file in path.iterdir())


def equal_labels(result: Mapping, reference: Mapping) -> float:
    """Share of nodes with the same label [%]."""
    return 100 * float((result["scores"].argmax(0) == reference["scores"].argmax(0)).mean())


def loss_deviation(result: Mapping, reference: Mapping) -> float:
    """Largest relative difference of the loss over the epochs."""
    losses, expected = result["losses"][:, 0], reference["losses"][:, 0]
    return float(np.abs(losses / expected - 1).max())
