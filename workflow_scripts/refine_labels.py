"""Train a graph convolutional network on each image of a batch and write its scores and losses."""

from collections.abc import Sequence

import numpy as np

from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.data.augment import resize
from wsgcn.files import read_arrays, read_image, read_label, write_arrays
from wsgcn.graph.operator import propagation_graph
from wsgcn.networks.device import pick_device
from wsgcn.refinement.gcn import ImageInput, image_seed, refine
from wsgcn.workflow.jobs import each_group, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)

    def gather(k: int) -> ImageInput:
        learnt = read_arrays(snakemake.input.affinities[k])
        partial = read_label(snakemake.input.labels[k])
        affinity = affinity_matrix_from(learnt, partial.shape, p.graph["radius"], p.graph["beta"])
        features = node_features(learnt, partial.shape, p.graph["features"])
        graph, propagated = propagation_graph(affinity, features, p.graph)
        print(f"{p.ids[k]}: {graph}")
        image = resize(read_image(snakemake.input.images[k]), *partial.shape)
        return ImageInput(graph, propagated, partial, image, p.classes[k], image_seed(p.seed, p.ids[k]))

    def work(places: Sequence[int]) -> None:
        refined = refine([gather(k) for k in places], p.settings, device)
        for k, (scores, losses) in zip(places, refined, strict=True):
            keys = np.array(p.classes[k], np.uint8)
            write_arrays(snakemake.output.refined[k], keys=keys, scores=scores.astype(np.float16), losses=losses)

    at_once = snakemake.resources.device_batch if device.type == "cuda" else 1
    each_group(snakemake, at_once, work)
