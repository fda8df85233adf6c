"""Labels that IRNet's boundary branch is trained on, from CAMs."""

from wsgcn.workflow.method_jobs import label_images
from wsgcn.workflow.stages import AFFINITIES

label_images(snakemake, AFFINITIES["irnet"].label)
