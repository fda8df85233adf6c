"""Compare an experiment's labels with the base's: the difference of their mIoU, and where they disagree most."""

import numpy as np

from wsgcn import bootstrap
from wsgcn.comparison_figures import disagreement_picture
from wsgcn.dataset import read_truth
from wsgcn.files import read_arrays, read_image, read_label, voc_palette, whole_file, write_json
from wsgcn.jobs import logged

SHOWN = 6

with logged(snakemake.log[0]):
    p, inputs, name = snakemake.params, snakemake.input, snakemake.wildcards.experiment
    shares = [float((read_label(a) != read_label(b)).mean()) for a, b in zip(inputs.base, inputs.other, strict=True)]
    result = {"disagreement": float(np.mean(shares))}
    counts, base_counts = (read_arrays(f[0])["counts"] for f in (inputs.other_counts, inputs.base_counts))
    if len(counts):  # else there are no masks
        result |= bootstrap.difference(counts, base_counts)
    write_json(snakemake.output.result, result)

    rows = [
        {
            "image": read_image(inputs.images[k]),
            "base": read_label(inputs.base[k]),
            "other": read_label(inputs.other[k]),
            "truth": read_truth(p.masks[k], p.mask_values) if p.masks[k] else None,
            "caption": f"{p.ids[k]}: {shares[k]:.0%} of the pixels differ",
        }
        for k in sorted(range(len(shares)), key=lambda k: -shares[k])[:SHOWN]
    ]
    with whole_file(snakemake.output.picture) as path:
        disagreement_picture(rows, p.base, name, voc_palette()).save(path, format="PNG")
