"""The GCN as a refiner: from an image's files to its graph, its node features and the scores of its network."""

from collections.abc import Mapping, Sequence

import torch

from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.data.augment import resize
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement.contract import Refined, RefinerInput
from wsgcn.refinement.gcn import GcnSettings, ImageInput, image_seed, refine
from wsgcn.sections import from_section


def refine_with_gcn(images: Sequence[RefinerInput], params: Mapping, device: torch.device | None) -> list[Refined]:
    """Z of each image's own network as scores float32 [K + 1, h, w], and its losses.

    images: their `image`, `network_output` and `partial` are used; params: the sections `graph` (`GraphSettings`) and
    `settings` (`GcnSettings`), and `seed`, from which each image derives its own. Prints per image what its graph
    consists of. Raises ValueError as `propagation_graph` does and FloatingPointError as `gcn.train` does.
    """
    graph = from_section(GraphSettings, params["graph"])
    settings = from_section(GcnSettings, params["settings"])
    inputs = [_network_input(image, graph, params["seed"]) for image in images]
    results = refine(inputs, settings, device or torch.device("cpu"))
    return [Refined(image.keys, *result) for image, result in zip(images, results, strict=True)]


def _network_input(image: RefinerInput, settings: GraphSettings, seed: int) -> ImageInput:
    size = image.partial.shape
    affinity = affinity_matrix_from(image.network_output, size, settings.radius, settings.beta)
    features = node_features(image.network_output, size, settings.features)
    graph, propagated = propagation_graph(affinity, features, settings)
    print(f"{image.id}: {graph}")
    pixels = resize(image.image, *size)
    return ImageInput(graph, propagated, image.partial, pixels, image.keys, image_seed(seed, image.id))
