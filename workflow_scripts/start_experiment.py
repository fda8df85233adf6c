"""Start the parent run of an experiment, with all its settings."""

from wsgcn.files import read_json, write_json
from wsgcn.tracking.experiments import start_experiment
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, tracker = snakemake.params, Tracker(read_json(snakemake.input.store))
    run = start_experiment(tracker, params.experiment, params.settings, params.description)
    write_json(snakemake.output[0], {"run_id": run})
