"""Create the MLflow store and the data set's experiment before several jobs would do so at once."""

from wsgcn.files import write_json
from wsgcn.tracking.runs import open_store
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params = snakemake.params
    write_json(snakemake.output[0], open_store(params.uri, params.name, params.artifacts))
