"""A store of MLflow, shared by the tests of this folder, and an MLflow experiment in it for each of them."""

import pytest
from mlflow import MlflowClient

from wsgcn.tracking.store import ensure_experiment
from wsgcn.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def uri(tmp_path_factory):
    """A store, whose creation takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    ensure_experiment(uri, "first", str(folder / "artifacts"))
    return uri


@pytest.fixture(scope="session")
def client(uri):
    return MlflowClient(uri)


@pytest.fixture
def store(uri, request, tmp_path):
    """What store.json holds, with an MLflow experiment for each test."""
    name = f"{request.module.__name__}.{request.node.name}"
    return {"uri": uri, "experiment_id": ensure_experiment(uri, name, str(tmp_path / "artifacts"))}


@pytest.fixture
def tracker(store):
    return Tracker(store)


@pytest.fixture
def start(tracker):
    """start(experiment, stage, **settings): the id of a run that runs and is current at once."""

    def call(experiment, stage="experiment", **settings):
        tags = {"experiment": experiment, "stage": stage}
        run = tracker.start_run(f"{experiment}/{stage}", tags, settings, "a description")
        tracker.mark_current(run, tags)
        return run

    return call


@pytest.fixture
def tags(client):
    return lambda run: client.get_run(run).data.tags


@pytest.fixture
def status(client):
    return lambda run: client.get_run(run).info.status
