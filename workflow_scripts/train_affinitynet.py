"""Train AffinityNet."""

import torch

from wsgcn.affinitynet import train_affinitynet
from wsgcn.device import pick_device
from wsgcn.files import whole_file
from wsgcn.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    model, history = train_affinitynet(
        snakemake.input.images,
        snakemake.input.labels,
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
