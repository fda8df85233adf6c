"""Write copies of images that are too large to process or hold 16 bits."""

import shutil

from wsgcn.data.sizes import write_copy
from wsgcn.files import read_image
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    for source, target in zip(snakemake.input, snakemake.output, strict=True):
        try:
            image = read_image(source, snakemake.params.get("black_white"))
        except ValueError as error:
            if snakemake.config["on_error"] != "skip":
                raise
            print(f"{error}; copied unchanged, so that the next stage skips it")
            shutil.copyfile(source, target)
        else:
            write_copy(target, image, snakemake.params.longest)
