"""Write the labels of corrected images, refined again by the function that the rule names."""

from wsgcn.workflow.correction_job import correct_labels

correct_labels(snakemake, snakemake.resources.method)
