"""The MLflow store: created once, shared by workflows of several folders, recognised as gone.

One MLflow experiment holds the runs of one data set.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from wsgcn.files import atomic_write
from wsgcn.tracking.address import store_file


def ensure_experiment(uri: str, name: str, artifacts: str) -> str:
    """The id of the MLflow experiment `name` in the store at `uri`; creates both where they are missing.

    artifacts: the folder for files of a sqlite store; a tracking server decides for itself. Several processes may call
    this at once. An experiment that was deleted is restored. A sqlite store appears whole or not at all, because MLflow
    cannot repair one that was half created.
    """
    store = store_file(uri)
    if not store:
        return _find_or_create(MlflowClient(uri), name, None)
    store.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{store}.lock", "w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not store.is_file():
            with atomic_write(store) as path:
                MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
        return _find_or_create(MlflowClient(uri), name, Path(artifacts).resolve().as_uri())


def is_gone(uri: str) -> bool:
    """Whether the store is a file that has been deleted; a client would create an empty one."""
    store = store_file(uri)
    return store is not None and not store.is_file()


def workflow_tags() -> dict[str, str]:
    """Tags that name the workflow that starts a run, and its folder; see `workflow.recovery`.

    By them a later workflow recognises runs of a crashed one, and folders that share a store leave each other's runs
    alone.
    """
    return {"folder": os.environ.get("WSGCN_FOLDER", ""), "workflow": os.environ.get("WSGCN_WORKFLOW", "")}


def _find_or_create(client: MlflowClient, name: str, artifacts: str | None) -> str:
    if experiment := client.get_experiment_by_name(name):
        if experiment.lifecycle_stage == "deleted":  # its name stays taken
            client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:
        if experiment := client.get_experiment_by_name(name):  # another process was faster
            return experiment.experiment_id
        raise
