"""The two methods of the benchmark, the GCN core (sparse) and the plain algorithm (dense), timed on one image."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.affinity.matrices import affinity_matrix, node_features
from wsgcn.data.augment import grid_image, resize, resize_label
from wsgcn.files import read_arrays, read_image, read_label, why_skipped
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement.gcn import GcnSettings, ImageInput, train
from wsgcn.refinement.reference import dense_laplacian, dense_operator, train_dense

NUM_MEASURED_EPOCHS = 10
"""Epochs of a dense training from which all are extrapolated."""


@dataclass(frozen=True)
class Sample:
    """An image's input to the refinement: boundary [h, w], features [D, h, w], partial uint8 [h, w], image RGB."""

    name: str
    boundary: np.ndarray
    features: np.ndarray
    partial: np.ndarray
    image: np.ndarray
    classes: tuple[int, ...]


def read_samples(
    ids: Sequence[str],
    classes: Sequence[Sequence[int]],
    images: Sequence[str],
    affinities: Sequence[str],
    labels: Sequence[str],
    features: str,
    nodes: int,
    reading: str = "bicubic",
) -> list[Sample]:
    """Read the images that no stage skipped, each on a grid of about `nodes` nodes.

    classes: those that each image's network has outputs of; images, affinities, labels: one path per image; features:
    `plain` or `weighted`; reading: as in `augment.grid_image`. Raises ValueError where all images were skipped.
    """
    samples = []
    for name, own_classes, image, affinity, label in zip(ids, classes, images, affinities, labels, strict=True):
        if not why_skipped(affinity) and not why_skipped(label):
            sample = _read_sample(name, tuple(own_classes), image, affinity, label, features, reading)
            samples.append(resample(sample, *grid_with_nodes(sample, nodes)))
    if not samples:
        raise ValueError(f"all images of the benchmark were skipped: {', '.join(ids)}")
    return samples


def _read_sample(
    name: str, classes: tuple[int, ...], image: str, affinity: str, label: str, features: str, reading: str
) -> Sample:
    network_output, partial = read_arrays(affinity), read_label(label)
    h, w = partial.shape
    pixels = grid_image(read_image(image), h, w, reading)
    maps = node_features(network_output, partial.shape, features).reshape(-1, *partial.shape)
    return Sample(name, network_output["boundary"], maps, partial, pixels, classes)


def resample(sample: Sample, h: int, w: int) -> Sample:
    """The same image on another grid: maps bilinearly, the label to the nearest, the image with antialiasing."""

    def interpolate(maps: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(maps.astype(np.float32))[None]
        return F.interpolate(tensor, (h, w), mode="bilinear", antialias=True)[0].numpy()

    boundary, features = interpolate(sample.boundary[None])[0].clip(0, 1), interpolate(sample.features)
    label, image = resize_label(sample.partial, h, w), resize(sample.image, h, w)
    return Sample(sample.name, boundary, features, label, image, sample.classes)


def grid_with_nodes(sample: Sample, nodes: int) -> tuple[int, int]:
    """A grid (h, w) of about `nodes` nodes in the sample's proportions."""
    h, w = sample.partial.shape
    scale = (nodes / (h * w)) ** 0.5
    return max(2, round(h * scale)), max(2, round(w * scale))


def sparse(sample: Sample, graph: GraphSettings, settings: GcnSettings, exact: bool = False) -> dict:
    """The GCN core on one image: the seconds of its parts, its scores and losses. `exact`: float64, no low rank."""
    started = time.perf_counter()
    affinity = affinity_matrix(sample.boundary, graph.radius, graph.beta)
    features = sample.features.reshape(len(sample.features), -1)
    operator, propagated = propagation_graph(
        affinity.astype(np.float64 if exact else np.float32), features, graph, exact
    )
    built = time.perf_counter()
    scores, losses = train([_network_input(sample, operator, propagated)], settings, torch.device("cpu"))[0]
    seconds = {"operator": built - started, "training": time.perf_counter() - built}
    return {"seconds": seconds, "scores": scores, "losses": losses, "graph": str(operator)}


def dense(sample: Sample, graph: GraphSettings, settings: GcnSettings, dtype: torch.dtype, whole: bool) -> dict:
    """The plain algorithm on one image: seconds, scores, losses. Unless `whole`, seconds alone, and extrapolated.

    Then one squaring of the matrix and a few epochs are run and multiplied by their number. Squarings: log2 of the
    steps, as the released code raises its matrix to the power 256 by eight of them.
    """
    if not whole:
        return _extrapolate_dense(sample, graph, settings, dtype)
    started = time.perf_counter()
    affinity = affinity_matrix(sample.boundary, graph.radius, graph.beta)
    operator = dense_operator(torch.from_numpy(affinity.toarray()).to(dtype), graph.steps, graph.normalisation)
    built = time.perf_counter()
    laplacian = _dense_laplacian(sample, settings, dtype)
    scores, losses = train_dense(operator, sample.features, laplacian, _network_input(sample), settings)
    seconds = {"operator": built - started, "training": time.perf_counter() - built}
    return {"seconds": seconds, "scores": scores, "losses": losses}


def _extrapolate_dense(sample: Sample, graph: GraphSettings, settings: GcnSettings, dtype: torch.dtype) -> dict:
    clock = [time.perf_counter()]
    affinity = torch.from_numpy(affinity_matrix(sample.boundary, graph.radius, graph.beta).toarray()).to(dtype)
    operator = dense_operator(affinity, min(graph.steps, 1), graph.normalisation)
    del affinity
    clock.append(time.perf_counter())
    num_squarings = max(0, int(np.log2(max(1, graph.steps))))
    if num_squarings:
        operator = operator @ operator
    clock.append(time.perf_counter())
    laplacian = _dense_laplacian(sample, settings, dtype)
    clock.append(time.perf_counter())
    for epochs in (0, NUM_MEASURED_EPOCHS):
        train_dense(operator, sample.features, laplacian, _network_input(sample), replace(settings, epochs=epochs))
        clock.append(time.perf_counter())
    one_step, squaring, laplacian_seconds, without_epochs, with_epochs = np.diff(clock)
    epochs_seconds = (with_epochs - without_epochs) * settings.epochs / NUM_MEASURED_EPOCHS
    training = laplacian_seconds + without_epochs + epochs_seconds
    return {"seconds": {"operator": one_step + num_squarings * squaring, "training": training}}


def _network_input(sample: Sample, graph=None, propagated=None) -> ImageInput:
    return ImageInput(graph, propagated, sample.partial, sample.image, sample.classes, seed=0)


def _dense_laplacian(sample: Sample, settings: GcnSettings, dtype: torch.dtype) -> torch.Tensor:
    laplacian = dense_laplacian(sample.image, settings.sigma1, settings.sigma2, settings.window)
    return torch.from_numpy(laplacian).to(dtype)
