"""Segment a batch of images: at a single scale, at several, and those through a dense CRF."""

import numpy as np
import torch

from wsgcn.files import read_image, write_label
from wsgcn.labels.crf import dense_crf
from wsgcn.networks.device import pick_device
from wsgcn.segmentation.deeplab import build_deeplab, predict
from wsgcn.workflow.jobs import at_full_size, each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    device = pick_device(snakemake.resources.device)
    model = build_deeplab(p.backbone | {"weights": "random"}, p.classes + 1)
    model.load_state_dict(torch.load(snakemake.input.model, map_location="cpu", weights_only=True))
    model.to(device).eval()

    def work(k: int) -> None:
        image = read_image(snakemake.input.images[k])
        single = predict(model, image, [1], False, device)
        multi = predict(model, image, p.settings["scales"], p.settings["flip"], device)
        scores = {"single": single, "multi": multi, "crf": dense_crf(image, multi, p.settings["crf"])}
        for name, values in scores.items():
            label = values.argmax(0).astype(np.uint8)
            write_label(snakemake.output[name][k], at_full_size(label, p, k))

    each_image(snakemake, work)
