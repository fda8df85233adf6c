"""Write the labels that a batch of images gets without any learning, to compare the stages with."""

from wsgcn.files import read_image, write_label
from wsgcn.labels.no_learning import no_learning_label
from wsgcn.workflow.jobs import at_full_size, each_image, logged

with logged(snakemake.log[0]):
    p = snakemake.params

    def work(k: int) -> None:
        label = no_learning_label(read_image(snakemake.input.images[k]), p.tags[k])
        write_label(snakemake.output.labels[k], at_full_size(label, p, k))

    each_image(snakemake, work)
