"""Train IRNet's boundary branch."""

from wsgcn.affinity.irnet import train_boundary
from wsgcn.workflow.train_job import train_job

p, images, labels = snakemake.params, snakemake.input.images, snakemake.input.labels

train_job(
    snakemake,
    lambda places, run: train_boundary(
        [images[k] for k in places], [labels[k] for k in places], p.backbone, p.settings, run
    ),
)
