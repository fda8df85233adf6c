"""Train a graph convolutional network on each image of a batch and write its scores and losses."""

import numpy as np

from wsgcn.augment import resize
from wsgcn.backbone import pick_device
from wsgcn.files import read_arrays, read_image, read_label, write_arrays
from wsgcn.gcn import image_seed, refine
from wsgcn.graph import affinity_matrix, propagation_graph
from wsgcn.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)

    def work(k: int) -> None:
        learnt = read_arrays(snakemake.input.affinities[k])
        partial = read_label(snakemake.input.labels[k])
        features = learnt["features"].astype(np.float32)
        if p.graph["features"] == "weighted":
            features *= learnt["weight"][:, None, None]
        affinity = affinity_matrix(learnt["boundary"], p.graph["radius"], p.graph["beta"])
        scores, losses = refine(
            propagation_graph(affinity, p.graph, device),
            features.reshape(len(features), -1).T,
            partial,
            resize(read_image(snakemake.input.images[k]), *partial.shape),
            p.classes[k],
            p.settings,
            image_seed(p.seed, p.ids[k]),
            device,
        )
        keys = np.array(p.classes[k], np.uint8)
        write_arrays(snakemake.output.refined[k], keys=keys, scores=scores.astype(np.float16), losses=losses)

    each_image(p.ids, work, snakemake.output.seconds)
