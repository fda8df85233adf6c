"""Save views of the MLflow runs, the table of experiments and their losses, and link them on the data set's page."""

from wsgcn.files import read_json, write_json
from wsgcn.tracking.views import save_views
from wsgcn.workflow.jobs import logged

with logged(snakemake.log[0]):
    params, store = snakemake.params, read_json(snakemake.input.store)
    write_json(snakemake.output[0], save_views(store, params.name, params.split, params.val))
