"""Labels that AffinityNet is trained on, from CAMs."""

import numpy as np

from wsgcn.affinity.affinitynet import label_for_affinitynet
from wsgcn.files import read_arrays, read_image, write_label
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        cam = read_arrays(snakemake.input.cams[k])
        image = read_image(snakemake.input.images[k])
        label = label_for_affinitynet(image, cam["high_res"].astype(np.float32), cam["keys"], p.settings)
        write_label(snakemake.output.labels[k], label)

    each_image(snakemake, work)
