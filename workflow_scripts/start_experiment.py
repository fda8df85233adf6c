"""Start the parent run of an experiment, with all its settings."""

from wsgcn.files import read_json, write_json
from wsgcn.jobs import logged
from wsgcn.tracking import start_run

with logged(snakemake.log[0]):
    p = snakemake.params
    tags = {"experiment": p.experiment, "stage": "experiment"}
    run = start_run(read_json(snakemake.input.store), p.experiment, tags, p.settings, p.description)
    write_json(snakemake.output[0], {"run_id": run})
