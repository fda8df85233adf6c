"""Runs and experiments that were deleted in MLflow's interface, while results/ still names them."""

from collections.abc import Iterable, Mapping

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from wsgcn.tracking.location import LostRuns, classify
from wsgcn.tracking.tracker import MAX_RUNS_FOUND


def find_lost_on_server(store: Mapping[str, str], runs: Iterable[str]) -> LostRuns:
    """As `location.find_lost`, of a store on a server. store: `uri` and `experiment_id`, as in store.json.

    Raises MlflowException where the server cannot say.
    """
    client, experiment = MlflowClient(store["uri"]), store["experiment_id"]
    try:
        stage = client.get_experiment(experiment).lifecycle_stage
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # a server in trouble has lost nothing
            raise
        return classify(None, dict.fromkeys(runs))
    found = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=MAX_RUNS_FOUND)
    stages = {run.info.run_id: run.info.lifecycle_stage for run in found}
    return classify(stage, {run: stages.get(run) for run in runs})


def restore(store: Mapping[str, str], lost: LostRuns) -> None:
    """Restore what is deleted; what is gone stays so. store: as in store.json."""
    client = MlflowClient(store["uri"])
    if lost.experiment == "deleted":
        client.restore_experiment(store["experiment_id"])  # with all of its runs
    for run in lost.deleted:
        if client.get_run(run).info.lifecycle_stage == "deleted":
            client.restore_run(run)
