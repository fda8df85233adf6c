"""Write the labels in a format of other tools, and what each is like if it comes back unchanged."""

from wsgcn.exporting.corrections import record_exported
from wsgcn.workflow.exchange import labelled_images
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.rows import load

with logged(snakemake.log[0]):
    p, outputs, resources = snakemake.params, snakemake.output, snakemake.resources
    images = labelled_images(p.ids, p.files, snakemake.input.labels, snakemake.input.confidences)
    load(resources.method)(list(outputs.files), images, p.classes, p.params)
    record_exported(outputs.unchanged, outputs.files[0], images, p.classes, load(resources.reader))
