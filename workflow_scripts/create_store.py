"""Create the MLflow store and the data set's experiment, before several jobs would at once."""

from wsgcn.files import write_json
from wsgcn.jobs import logged
from wsgcn.tracking import ensure_experiment

with logged(snakemake.log[0]):
    p = snakemake.params
    experiment = ensure_experiment(p.uri, p.name, p.artifacts)
    write_json(snakemake.output[0], {"uri": p.uri, "experiment_id": experiment})
