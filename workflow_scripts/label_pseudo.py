"""Complete pseudo labels of a batch of images: the refined scores through a dense CRF."""

from wsgcn.augment import at_full_size
from wsgcn.files import read_arrays, read_image, write_label
from wsgcn.jobs import each_image, logged
from wsgcn.pseudo import complete_label

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        refined = read_arrays(snakemake.input.refined[k])
        image = read_image(snakemake.input.images[k])
        label = complete_label(image, refined["scores"], refined["keys"], p.settings)
        write_label(snakemake.output.labels[k], at_full_size(label, p, k))

    each_image(snakemake, work)
