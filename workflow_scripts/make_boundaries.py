"""Boundary maps and node features of a batch of images: what the affinity matrix is made from, never itself."""

import numpy as np
import torch

from wsgcn.affinity.irnet import boundary_and_features, build_boundary_net
from wsgcn.files import read_image, write_arrays
from wsgcn.networks.device import pick_device
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)
    model = build_boundary_net(p.backbone | {"weights": "random"}, device)
    model.load_state_dict(torch.load(snakemake.input.model, map_location=device, weights_only=True))

    def work(k: int) -> None:
        boundary, features = boundary_and_features(model, read_image(snakemake.input.images[k]), device)
        write_arrays(
            snakemake.output.affinities[k],
            boundary=boundary,
            features=features.astype(np.float16),
            weight=model.last.weight.detach().cpu().numpy().ravel(),
        )

    each_image(snakemake, work)
