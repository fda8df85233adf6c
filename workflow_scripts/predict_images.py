"""Segment a batch of images with the network that the rule names."""

from wsgcn.workflow.method_jobs import predict_images

predict_images(snakemake, snakemake.resources.method)
