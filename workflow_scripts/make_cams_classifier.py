"""The classifier's activation maps of a batch of images."""

from wsgcn.workflow.method_jobs import make_cams
from wsgcn.workflow.stages import CAM_SOURCES

make_cams(snakemake, CAM_SOURCES["classifier"].open)
