"""The GCN as a refiner: from an image's files to its graph, its node features and the scores of its network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.data.augment import grid_image
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement.contract import Refined, RefinerInput
from wsgcn.refinement.gcn import GcnSettings, ImageInput, image_seed, refine
from wsgcn.sections import from_section


def refine_with_gcn(images: Sequence[RefinerInput], params: Mapping, device: torch.device | None) -> list[Refined]:
    """Z of each image's own network as scores float32 [K + 1, h, w], and its losses.

    images: their `image`, `network_output` and `partial` are used; params: the sections `graph` (`GraphSettings`) and
    `settings` (`GcnSettings`), `seed`, from which each image derives its own, `grid_image` unless it is `bicubic`, and,
    where the network has outputs of all classes, `num_classes`. Of these outputs the image's own and the background are
    returned, as in the released code; the others are not, so that the scores may sum to less than one. Prints per image
    what its graph consists of. Raises ValueError as `propagation_graph` does and FloatingPointError as `gcn.train`
    does.
    """
    graph = from_section(GraphSettings, params["graph"])
    settings = from_section(GcnSettings, params["settings"])
    inputs = [_network_input(image, graph, params) for image in images]
    if settings.outputs == "all":
        every_class = range(1, params["num_classes"] + 1)
        inputs = [replace(image, classes=every_class) for image in inputs]
    results = refine(inputs, settings, device or torch.device("cpu"))
    rows = [[0, *image.keys] if settings.outputs == "all" else slice(None) for image in images]
    return [
        Refined(image.keys, scores[own], losses)
        for image, own, (scores, losses) in zip(images, rows, results, strict=True)
    ]


def _network_input(image: RefinerInput, settings: GraphSettings, params: Mapping) -> ImageInput:
    height, width = size = image.partial.shape
    affinity = affinity_matrix_from(image.network_output, size, settings.radius, settings.beta)
    features = node_features(image.network_output, size, settings.features)
    graph, propagated = propagation_graph(affinity, features, settings)
    print(f"{image.id}: {graph}")
    pixels = grid_image(image.image, height, width, params.get("grid_image", "bicubic"))
    return ImageInput(graph, propagated, image.partial, pixels, image.keys, image_seed(params["seed"], image.id))
