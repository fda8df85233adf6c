"""AffinityNet's features of a batch of images: their affinities and their node features."""

import numpy as np
import torch

from wsgcn.affinity.affinitynet import affinity_features, build_affinitynet
from wsgcn.files import read_image, write_arrays
from wsgcn.networks.device import pick_device
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)
    model = build_affinitynet(p.backbone | {"weights": "random"}, device)
    model.load_state_dict(torch.load(snakemake.input.model, map_location=device, weights_only=True))
    model.eval()

    def work(k: int) -> None:
        features = affinity_features(model, read_image(snakemake.input.images[k]), device)
        write_arrays(snakemake.output.affinities[k], features=features.astype(np.float16))

    each_image(snakemake, work)
