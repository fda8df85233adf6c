"""CAMs that another method wrote, checked and in the form of our own."""

import numpy as np

from wsgcn.cam.external import read_external_cams
from wsgcn.files import read_image, write_arrays
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        size = read_image(snakemake.input.images[k]).shape[:2]
        numbers = [p.numbering.index(p.names[c - 1]) for c in p.labels[k]]
        full = full_sizes[k] if (full_sizes := p.get("full_sizes")) else None  # else the size it is worked on
        cam, high_res = read_external_cams(snakemake.input.cams[k], size, numbers, len(p.numbering), full)
        keys = np.array(p.labels[k], np.uint8)
        arrays = {"keys": keys, "cam": cam.astype(np.float16), "high_res": high_res.astype(np.float16)}
        write_arrays(snakemake.output.cams[k], **arrays)

    each_image(snakemake, work)
