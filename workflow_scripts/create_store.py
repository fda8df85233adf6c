"""Create the MLflow store and the data set's experiment, before several jobs would at once."""

from wsgcn.files import write_json
from wsgcn.tracking.runs import end_runs, ensure_experiment, workflow_tags
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    p = snakemake.params
    store = {"uri": p.uri, "experiment_id": ensure_experiment(p.uri, p.name, p.artifacts)}
    end_runs(store, "KILLED", folder=workflow_tags()["folder"])  # of a workflow whose results were deleted since
    write_json(snakemake.output[0], store)
