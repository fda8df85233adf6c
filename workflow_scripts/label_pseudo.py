"""Write the complete pseudo labels of a batch of images, and their confidence: refined scores through a dense CRF."""

from wsgcn.files import read_arrays, read_image, write_grey, write_label
from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.pseudo import complete_label
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import at_full_size, each_image, labelled_indices, logged

with logged(snakemake.log[0]):
    p = snakemake.params
    settings, crf_input = from_section(CrfSettings, p.settings), p.get("crf_input", "probabilities")
    indices = labelled_indices(p.ids, snakemake.output.labels)

    def work(k: int) -> None:
        own = indices.index(k)
        refined = read_arrays(snakemake.input.refined[k])
        image = read_image(snakemake.input.images[k])
        label, confidence = complete_label(image, refined["scores"], refined["keys"], settings, crf_input=crf_input)
        write_label(snakemake.output.labels[own], at_full_size(label, p, k))
        write_grey(snakemake.output.confidences[own], at_full_size(confidence, p, k))

    each_image(snakemake, work, indices)
