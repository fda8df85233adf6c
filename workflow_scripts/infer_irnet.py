"""What IRNet's boundary branch says of a batch of images: what an affinity matrix is made from."""

from wsgcn.workflow.method_jobs import infer_affinities
from wsgcn.workflow.stages import AFFINITIES

infer_affinities(snakemake, AFFINITIES["irnet"].open)
