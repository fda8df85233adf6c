"""The registered model of a data set: a version per trained network, the alias `current` on the newest."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from wsgcn.tracking.store import is_gone

ALIAS = "current"
"""The alias that moves; all others are the users' own."""

LOGGED_NAME = "segmentation"
"""Of the model in its run."""


def register_model(
    store: Mapping[str, str], run: str, name: str, tags: Mapping[str, str], save: Callable[[Path, Model], None]
) -> str:
    """Log a model to the run that made it and register it as the current version of `name`; returns the version.

    store: `uri` and `experiment_id`; tags: of the version, beside `run`, that name what is in it; save: writes the
    model into an empty folder. Where the current version has the same tags, it stays, and nothing is saved. Raises
    ValueError where the store was a file and is gone.
    """
    if is_gone(store["uri"]):
        raise ValueError(f"the MLflow store {store['uri']} is gone; delete results/<name>/mlflow/ to start another")
    client, all_tags = MlflowClient(store["uri"]), {"run": run, **tags}
    _ensure_registered(client, name)
    known = _current_version(client, name)
    if known and all_tags.items() <= known.tags.items():
        return str(known.version)
    model = client.create_logged_model(store["experiment_id"], LOGGED_NAME, source_run_id=run)
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "model")
            save(path, Model(run_id=run, model_uuid=model.model_id, model_id=model.model_id))
            client.log_model_artifacts(model.model_id, str(path))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    source = f"models:/{model.model_id}"
    with _default_store(store["uri"]):
        version = client.create_model_version(name, source, run, tags=all_tags, model_id=model.model_id).version
    client.set_registered_model_alias(name, ALIAS, version)
    return str(version)


@contextmanager
def _default_store(uri: str) -> Iterator[None]:
    """Have MLflow look up a logged model there: the registry of an sqlite store asks a client of no address.

    What was not set before is not set afterwards: processes started later would inherit it.
    """
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _current_version(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that has the alias; None without one."""
    version = client.get_registered_model(name).aliases.get(ALIAS)
    return client.get_model_version(name, str(version)) if version else None
