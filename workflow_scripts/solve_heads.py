"""Solve the classifiers of pooled features that judge labels, each without a fold of the images."""

from wsgcn.cam.head import HeadSettings
from wsgcn.evaluation.consistency import held_out_heads, open_pool, pool_images
from wsgcn.files import write_arrays
from wsgcn.networks.backbone import BackboneSettings
from wsgcn.networks.device import pick_device
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p, device = snakemake.params, pick_device(snakemake.resources.device)
    pool, _ = open_pool(from_section(BackboneSettings, p.backbone), device)
    indices, pooled = pool_images(snakemake.input.images, pool, snakemake.config["on_error"] == "skip")
    tags, ids, groups = ([listed[k] for k in indices] for listed in (p.tags, p.ids, p.groups))
    heads = held_out_heads(pooled, tags, p.classes, ids, groups, from_section(HeadSettings, p.settings))
    write_arrays(snakemake.output.heads, **heads)
