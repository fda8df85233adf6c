"""Carry the CAMs of a batch of images along their affinities: the baseline that the GCN replaces."""

import numpy as np

from wsgcn.affinity.matrices import affinity_matrix_from
from wsgcn.files import read_arrays, write_arrays
from wsgcn.refinement.random_walk import walk_against_constant, walk_with_background
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        cam = read_arrays(snakemake.input.cams[k])
        cams = cam["cam"].astype(np.float32)
        learnt = read_arrays(snakemake.input.affinities[k])
        affinity = affinity_matrix_from(learnt, cams.shape[1:], p.radius, p.beta)
        if p.settings["background"] == "constant":
            boundary, background = learnt.get("boundary"), p.settings["background_score"]
            scores = walk_against_constant(affinity, cams, boundary, p.settings["steps"], background)
        else:
            scores = walk_with_background(affinity, cams, p.settings["steps"], p.settings["alpha"])
        write_arrays(snakemake.output.refined[k], keys=cam["keys"], scores=scores.astype(np.float16))

    each_image(snakemake, work)
