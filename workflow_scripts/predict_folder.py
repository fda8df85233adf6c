"""Segment a batch of images of any folder with the network that the rule names."""

from wsgcn.workflow.method_jobs import predict_folder

predict_folder(snakemake, snakemake.resources.method)
