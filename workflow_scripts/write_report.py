"""The static report: the table of stages and a gallery of what each stage made of some images."""

from pathlib import Path

import numpy as np

from wsgcn.data.augment import resize
from wsgcn.data.dataset import read_truth
from wsgcn.evaluation.stages import all_skipped, grid_label, pixel_label, refined_label
from wsgcn.files import read_arrays, read_image, read_json, voc_palette, why_skipped
from wsgcn.reporting.figures import grey, heat, overlay, strip
from wsgcn.reporting.report import write_report
from wsgcn.text import flatten
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, inputs, palette = snakemake.params, snakemake.input, voc_palette()
    evaluations = [read_json(path) for path in inputs.evaluations]
    miou = {row["image"]: row["miou"] for e in evaluations if e["stage"] == "refined_crf" for row in e["by_image"]}
    method = {"gcn": "GCN", "random_walk": "walk", "none": "CAM"}[p.refinement]
    gallery = []
    for k, image in enumerate(p.ids):
        if why_skipped(inputs.pseudo[k]):
            continue
        pixels = read_image(inputs.images[k])
        size = pixels.shape[:2]
        cam = read_arrays(inputs.cams[k])
        panels = [("image", pixels), ("CAM", heat(pixels, cam["high_res"].max(0).astype(np.float32)))]
        if inputs.boundaries:
            panels.append(("boundary", resize(grey(read_arrays(inputs.boundaries[k])["boundary"]), *size)))
        if inputs.partials:
            panels.append(("partial", overlay(pixels, grid_label(inputs.partials[k], size), palette)))
        panels += [
            (method, overlay(pixels, refined_label(inputs.refined[k], size), palette)),
            (f"{method} + CRF", overlay(pixels, pixel_label(inputs.pseudo[k], size), palette)),
        ]
        if p.masks[k]:
            panels.append(("truth", overlay(pixels, read_truth(p.masks[k], p.mask_values), palette)))
        names = [p.classes[c - 1] for c in p.labels[k]]
        gallery.append({"image": image, "classes": names, "miou": miou.get(image), "strip": strip(panels)})
    write_report(
        snakemake.output[0],
        title=f"{p.experiment} on {p.dataset}",
        table=evaluations,
        gallery=gallery,
        classes=p.classes,
        palette=palette,
        ui_command=p.ui_command,
        labels_folder=str(Path(inputs.pseudo[0]).parent),
        settings=flatten(p.settings),
        skipped=all_skipped(evaluations),
    )
