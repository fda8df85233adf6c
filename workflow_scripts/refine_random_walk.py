"""Carry the CAMs of a batch of images along their affinities: the baseline that the GCN replaces."""

from wsgcn.workflow.method_jobs import refine_images
from wsgcn.workflow.stages import REFINERS

refine_images(snakemake, REFINERS["random_walk"].refine)
