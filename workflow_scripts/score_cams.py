"""The CAMs of a batch of images as refined scores, against a constant background: what refinement starts from."""

import numpy as np

from wsgcn.files import read_arrays, write_arrays
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        cam = read_arrays(snakemake.input.cams[k])
        background = np.full_like(cam["cam"][:1], p.background_score)
        scores = np.concatenate([background, cam["cam"]])
        write_arrays(snakemake.output.refined[k], keys=cam["keys"], scores=scores)

    each_image(snakemake, work)
