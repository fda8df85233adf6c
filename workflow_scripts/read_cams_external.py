"""CAMs that another method wrote, checked and in the form of our own."""

from wsgcn.workflow.method_jobs import make_cams
from wsgcn.workflow.stages import CAM_SOURCES

make_cams(snakemake, CAM_SOURCES["external"].open)
