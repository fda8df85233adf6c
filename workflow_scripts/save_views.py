"""Save views of the MLflow runs, the table of experiments and their losses, and link them on the data set's page."""

from mlflow import MlflowClient

from wsgcn.evaluation.names import metric_name
from wsgcn.files import read_json, write_json
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.tracking.views import link_views, save_view
from wsgcn.workflow.jobs import logged

PARAMETERS = ("sigma1", "sigma2", "lambda_ent", "lambda_lap")

with logged(snakemake.log[0]):
    p, store = snakemake.params, read_json(snakemake.input.store)
    client, experiment = MlflowClient(store["uri"]), store["experiment_id"]
    columns = [metric_name({"split": p.split, "stage": s}) for s in ("cam", "partial", "refined", "refined_crf")]
    columns.append(metric_name({"split": p.split, "stage": "refined_crf"}, "difference_to_base"))
    columns.append(metric_name({"split": p.val, "stage": "segmentation_multi_crf"}))
    rows, networks = (f"tags.stage = '{stage}' and tags.current = 'yes'" for stage in ("experiment", "refine"))
    table = save_view(client, experiment, columns, PARAMETERS, columns[3], rows)
    curves = save_view(client, experiment, LOSSES, PARAMETERS, "loss", networks, name="Losses", charts=LOSSES)
    link_views(client, experiment, f"Experiments on {p.name}, one row each:", {"table": table, "loss curves": curves})
    write_json(snakemake.output[0], {"table": table, "curves": curves})
