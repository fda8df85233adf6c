"""Log the choice of settings to MLflow."""

from wsgcn.files import read_json, write_json
from wsgcn.tracking.choice import track_choice
from wsgcn.tracking.tracker import Tracker
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, inputs = snakemake.params, snakemake.input
    files = [inputs.table, inputs.text, inputs.settings]
    run = track_choice(Tracker(read_json(inputs.store)), read_json(inputs.decisions), params.dataset, files)
    write_json(snakemake.output.run, {"run_id": run})
