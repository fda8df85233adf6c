"""Paint the masks of a batch of images from the data set's annotations."""

from wsgcn.workflow.jobs import logged
from wsgcn.workflow.rows import load

with logged(snakemake.log[0]):
    load(snakemake.resources.method)(snakemake.output, snakemake.params)
