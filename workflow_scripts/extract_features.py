"""Features of a batch of images that a classifier is trained on, by the function that the rule names."""

from wsgcn.workflow.method_jobs import extract_features

extract_features(snakemake, snakemake.resources.method)
