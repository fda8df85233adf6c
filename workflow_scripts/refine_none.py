"""The CAMs of a batch of images as refined scores, against a constant background: what refinement starts from."""

from wsgcn.workflow.method_jobs import refine_images
from wsgcn.workflow.stages import REFINERS

refine_images(snakemake, REFINERS["none"].refine)
