"""Measure how doubtful the labels of a batch of images are, without the truth, and draw them for the review."""

from wsgcn.data.augment import resize_label
from wsgcn.evaluation.agreement import walk_label
from wsgcn.evaluation.label_files import refined_label
from wsgcn.evaluation.review import measure_label
from wsgcn.files import read_arrays, read_image, read_label, write_arrays
from wsgcn.reporting.review_page import review_picture, save_thumbnail
from wsgcn.workflow.jobs import each_image, logged

with logged(snakemake.log[0]):
    p, inputs, outputs = snakemake.params, snakemake.input, snakemake.output

    def work(k: int) -> None:
        image, walked = read_image(inputs.images[k]), None
        size = image.shape[:2]
        label, confidence = (resize_label(read_label(own[k]), *size) for own in (inputs.labels, inputs.confidences))
        if p.walk:
            walked = walk_label(read_arrays(inputs.cams[k]), read_arrays(inputs.affinities[k]), p.walk, size)
        measures = measure_label(label, confidence, refined_label(inputs.refined[k], size), walked, p.tags[k])
        write_arrays(outputs.measures[k], **measures)
        save_thumbnail(outputs.pictures[k], review_picture(image, label, confidence))

    each_image(snakemake, work)
