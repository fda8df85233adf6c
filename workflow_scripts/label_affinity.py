"""Labels that an affinity network is trained on, by the function that the rule names."""

from wsgcn.workflow.method_jobs import label_images

label_images(snakemake, snakemake.resources.method)
