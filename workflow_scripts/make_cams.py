"""Class activation maps of a batch of images, on the graph's grid and at full size."""

import numpy as np
import torch

from wsgcn.cam.classifier import build_classifier, class_activation_maps
from wsgcn.files import read_image, write_arrays
from wsgcn.networks.device import pick_device
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)
    model = build_classifier(p.backbone | {"weights": "random"}, p.classes)
    model.load_state_dict(torch.load(snakemake.input.model, map_location="cpu", weights_only=True))
    model.to(device).eval()

    def work(k: int) -> None:
        image = read_image(snakemake.input.images[k])
        cam, high_res = class_activation_maps(model, image, p.labels[k], p.settings, device)
        keys = np.array(p.labels[k], np.uint8)
        arrays = {"keys": keys, "cam": cam.astype(np.float16), "high_res": high_res.astype(np.float16)}
        write_arrays(snakemake.output.cams[k], **arrays)

    each_image(snakemake, work)
