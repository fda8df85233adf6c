"""Open every image and mask once, before hours are spent on them; all problems in one list."""

from pathlib import Path

from wsgcn.dataset import check
from wsgcn.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    problems = check(p.images, p.mask_values)
    if problems:
        raise ValueError("\n".join([f"{len(problems)} problem(s) in the data:", *problems]))
    Path(snakemake.output[0]).write_text(f"{len(p.images)} images and {len(snakemake.input.masks)} masks are sound\n")
