"""Train the classifier whose activation maps start everything."""

from wsgcn.cam.classifier import train_classifier
from wsgcn.workflow.train_job import train_job

p, images = snakemake.params, snakemake.input.images

train_job(
    snakemake,
    lambda places, run: train_classifier(
        [images[k] for k in places], [p.labels[k] for k in places], p.classes, p.backbone, p.settings, run
    ),
)
