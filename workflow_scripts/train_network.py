"""Train a network by the function that the rule names."""

from wsgcn.workflow.rows import load
from wsgcn.workflow.train_job import train_job

train_job(snakemake, load(snakemake.resources.method))
