"""Train a graph convolutional network per image of a batch; write its scores and losses."""

from wsgcn.workflow.method_jobs import refine_images
from wsgcn.workflow.stages import REFINERS

refine_images(snakemake, REFINERS["gcn"].refine)
