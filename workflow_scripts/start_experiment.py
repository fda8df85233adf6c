"""Start the parent run of an experiment, with all its settings."""

from wsgcn.files import read_json, write_json
from wsgcn.tracking.runs import mark_current, start_run
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    tags = {"experiment": p.experiment, "stage": "experiment"}
    store = read_json(snakemake.input.store)
    run = start_run(store, p.experiment, tags, p.settings, p.description)
    mark_current(store, run, tags)
    write_json(snakemake.output[0], {"run_id": run})
