"""Train the classifier whose activation maps start everything."""

import torch

from wsgcn.cam import train_classifier
from wsgcn.device import pick_device
from wsgcn.files import whole_file
from wsgcn.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    model, history = train_classifier(
        snakemake.input.images,
        p.labels,
        p.classes,
        p.backbone,
        p.settings,
        p.seed,
        pick_device(snakemake.resources.device),
        workers=snakemake.threads - 1,
        report=print,
    )
    with whole_file(snakemake.output.model) as path:
        torch.save(model.cpu().state_dict(), path)
    with whole_file(snakemake.output.history) as path:
        history.to_csv(path)
