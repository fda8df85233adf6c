"""Compare an experiment's labels with another's: the difference of their mIoU, and where they disagree most."""

import numpy as np

from wsgcn.data.augment import resize
from wsgcn.data.dataset import read_truth
from wsgcn.evaluation.comparison import compare
from wsgcn.files import atomic_write, read_arrays, read_image, read_label, voc_palette, why_skipped, write_json
from wsgcn.reporting.comparison_figures import disagreement_picture
from wsgcn.workflow.jobs import logged

SHOWN = 6

with logged(snakemake.log[0]):
    p, inputs = snakemake.params, snakemake.input
    pairs = enumerate(zip(inputs.own, inputs.reference, strict=True))
    shares = {
        k: float((read_label(own) != read_label(reference)).mean())
        for k, (own, reference) in pairs
        if not (why_skipped(own) or why_skipped(reference))
    }
    counts = [[read_arrays(path)["counts"] for path in paths] for paths in (inputs.own_counts, inputs.reference_counts)]
    write_json(
        snakemake.output.result, {"disagreement": float(np.mean(list(shares.values() or [0])))} | compare(*counts)
    )

    rows = [
        {
            "image": resize(read_image(inputs.images[k]), *read_label(inputs.own[k]).shape),
            "base": read_label(inputs.reference[k]),
            "other": read_label(inputs.own[k]),
            "truth": read_truth(p.masks[k], p.mask_values) if p.masks[k] else None,
            "caption": f"{p.ids[k]}: {shares[k]:.0%} of the pixels differ",
        }
        for k in sorted(shares, key=lambda k: -shares[k])[:SHOWN]
    ]
    with atomic_write(snakemake.output.picture) as path:
        disagreement_picture(rows, p.reference, p.experiment, voc_palette()).save(path, format="PNG")
