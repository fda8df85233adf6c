"""What an affinity network says of a batch of images, by the function that the rule names."""

from wsgcn.workflow.method_jobs import infer_affinities

infer_affinities(snakemake, snakemake.resources.method)
