"""Compare one stage's labels with the truth, and draw a few of them over their images."""

from functools import partial

from PIL import Image

from wsgcn.data.dataset import read_truth
from wsgcn.evaluation import stages as evaluation
from wsgcn.files import IGNORE, atomic_write, read_image, voc_palette, write_arrays, write_json
from wsgcn.reporting.figures import overlay, strip
from wsgcn.workflow.jobs import logged

READERS = {
    "cam": evaluation.cam_label,
    "partial": evaluation.grid_label,
    "refined": evaluation.refined_label,
}

with logged(snakemake.log[0]):
    p = snakemake.params
    read = READERS.get(p.stage, evaluation.pixel_label)
    compare = partial(evaluation.evaluate, p.ids, snakemake.input.labels, p.masks, p.mask_values, p.classes)
    result = {"stage": p.stage, "split": p.split, "protocol": p.protocol}
    if p.stage == "cam":
        read = partial(read, background=p.background_score)
    if p.background_score is not None:
        labels = evaluation.cam_labels if p.stage == "cam" else evaluation.walk_labels
        result["sweep"] = evaluation.sweep(snakemake.input.labels, p.masks, p.mask_values, len(p.classes), labels)
    scores, counts = compare(read, IGNORE if p.stage == "partial" else 0)
    result |= scores
    if p.stage == "partial":
        result["without_background"] = evaluation.without_background(snakemake.input.labels)
    if 0 < result["images"] < len(p.ids):
        result["protocol"] += f", {result['images']} of {len(p.ids)} images have masks"
    result["seconds_per_image"] = evaluation.mean_seconds(snakemake.input.seconds)
    write_json(snakemake.output.result, result)
    write_arrays(snakemake.output.counts, counts=counts)

    panels = []
    for image in p.pictures:
        k = p.ids.index(image)
        if image in result["skipped"]:
            continue
        pixels = read_image(snakemake.input.images[k])
        label = read(snakemake.input.labels[k], pixels.shape[:2])
        panels.append((image, overlay(pixels, label, voc_palette())))
        if p.masks[k]:
            panels.append(("truth", overlay(pixels, read_truth(p.masks[k], p.mask_values), voc_palette())))
    rows = [strip(panels[k : k + 6]) for k in range(0, len(panels), 6)] or [Image.new("RGB", (1, 1), "white")]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    for k, row in enumerate(rows):
        sheet.paste(row, (0, sum(r.height for r in rows[:k])))
    with atomic_write(snakemake.output.picture) as path:
        sheet.save(path, format="PNG")
