"""Train IRNet's boundary branch."""

import torch

from wsgcn.device import pick_device
from wsgcn.files import whole_file
from wsgcn.irnet import train_boundary
from wsgcn.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    model, history = train_boundary(
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
