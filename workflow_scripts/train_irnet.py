"""Train IRNet's boundary branch."""

from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import AFFINITIES
from wsgcn.workflow.train_job import train_job

train_job(snakemake, load(AFFINITIES["irnet"].train))
