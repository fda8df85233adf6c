"""Smaller copies of images that are too large to work on."""

import shutil

from PIL import Image

from wsgcn.data.augment import resize
from wsgcn.files import atomic_write, read_image
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    for source, target in zip(snakemake.input, snakemake.output, strict=True):
        try:
            image = read_image(source)
        except ValueError as error:
            if snakemake.config["on_error"] != "skip":
                raise
            print(f"{error}; copied, so that the next stage skips it")
            shutil.copyfile(source, target)
            continue
        scale = snakemake.params.longest / max(image.shape[:2])
        small = resize(image, *(max(1, round(side * scale)) for side in image.shape[:2]))
        with atomic_write(target) as path:
            Image.fromarray(small).save(path, format="JPEG", quality=95, subsampling=0)
