"""CAMs of a batch of images, from the source that the rule names."""

from wsgcn.workflow.method_jobs import make_cams

make_cams(snakemake, snakemake.resources.method)
