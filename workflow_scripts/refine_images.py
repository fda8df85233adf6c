"""Refined scores of a batch of images, by the function that the rule names."""

from wsgcn.workflow.method_jobs import refine_images

refine_images(snakemake, snakemake.resources.method)
