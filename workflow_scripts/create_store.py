"""Create the MLflow store, the data set's experiment and the views of its runs, before several jobs would at once."""

from mlflow import MlflowClient

from wsgcn.evaluation import metric_name
from wsgcn.files import write_json
from wsgcn.jobs import logged
from wsgcn.losses import LOSSES
from wsgcn.tracking import ensure_experiment
from wsgcn.views import link_views, save_view

with logged(snakemake.log[0]):
    p = snakemake.params
    experiment = ensure_experiment(p.uri, p.name, p.artifacts)
    client = MlflowClient(p.uri)
    columns = [metric_name({"split": split, "stage": stage}, what) for split, stage, what in p.columns]
    shown = "tags.stage = 'experiment' and tags.current = 'yes'"
    order = metric_name({"split": p.columns[0][0], "stage": "refined_crf"})
    table = save_view(client, experiment, columns, p.parameters, order, shown)
    networks = "tags.stage = 'refine' and tags.current = 'yes'"
    curves = save_view(client, experiment, LOSSES, p.parameters, "loss", networks, name="Losses", charts=LOSSES)
    link_views(client, experiment, f"Experiments on {p.name}, one row each:", {"table": table, "loss curves": curves})
    write_json(snakemake.output[0], {"uri": p.uri, "experiment_id": experiment, "table": table})
