"""Train the classifier whose activation maps start everything."""

from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import CAM_SOURCES
from wsgcn.workflow.train_job import train_job

train_job(snakemake, load(CAM_SOURCES["classifier"].training.train))
