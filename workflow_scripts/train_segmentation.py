"""Train DeepLabV2 on the pseudo labels."""

from wsgcn.segmentation.deeplab import train_deeplab
from wsgcn.workflow.train_job import train_job

p, images, labels = snakemake.params, snakemake.input.images, snakemake.input.labels

train_job(
    snakemake,
    lambda places, run: train_deeplab(
        [images[k] for k in places], [labels[k] for k in places], p.classes, p.settings, run
    ),
)
