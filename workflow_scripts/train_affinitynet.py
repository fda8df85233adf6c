"""Train AffinityNet."""

from wsgcn.affinity.affinitynet import train_affinitynet
from wsgcn.workflow.train_job import train_job

p, images, labels = snakemake.params, snakemake.input.images, snakemake.input.labels

train_job(
    snakemake,
    lambda places, run: train_affinitynet(
        [images[k] for k in places], [labels[k] for k in places], p.backbone, p.settings, run
    ),
)
