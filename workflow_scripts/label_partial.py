"""Write the partial pseudo labels of a batch of images, on the graph's grid."""

from wsgcn.data.augment import grid_image
from wsgcn.files import read_arrays, read_image, write_label
from wsgcn.labels.partial import PartialSettings, partial_label
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    settings = from_section(PartialSettings, snakemake.params.settings)
    reading = snakemake.params.get("grid_image", "bicubic")

    def work(k: int) -> None:
        cam = read_arrays(snakemake.input.cams[k])
        image = grid_image(read_image(snakemake.input.images[k]), *cam["cam"].shape[1:], reading)
        write_label(snakemake.output.labels[k], partial_label(image, cam["cam"], cam["keys"], settings))

    each_image(snakemake, work)
