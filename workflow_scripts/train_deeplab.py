"""Train DeepLabV2 on pseudo labels."""

from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import SEGMENTATION_NETWORKS
from wsgcn.workflow.train_job import train_job

train_job(snakemake, load(SEGMENTATION_NETWORKS["deeplabv2"].training.train))
