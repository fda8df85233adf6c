"""The registered model: one version per trained network, the alias `current`, users' own aliases.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_models.py`.
"""

import os

import mlflow
import pytest

from wsgcn.tracking.models import register_model


@pytest.fixture
def register(store, request):
    """register(run, **tags): the version. What is saved is counted in `register.saved`."""
    name = request.node.name

    def call(run, save=None, **tags):
        def write(folder, model):
            call.saved.append(model)
            folder.mkdir()
            (folder / "MLmodel").write_text("flavors: {}\n")

        return register_model(store, run, name, tags, save or write)

    call.saved, call.name = [], name
    return call


def test_a_version_is_of_the_run_that_made_it(client, start, register):
    run = start("a", "segmentation")
    before = mlflow.is_tracking_uri_set(), mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    assert register(run, fingerprint="1") == "1"
    assert (mlflow.is_tracking_uri_set(), mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")) == before
    version = client.get_model_version_by_alias(register.name, "current")
    assert (str(version.version), version.run_id) == ("1", run)
    assert version.tags == {"run": run, "fingerprint": "1"}
    [output] = client.get_run(run).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.status, model.source_run_id, version.source) == ("READY", run, f"models:/{output.model_id}")
    assert register.saved[0].model_id == output.model_id


def test_what_has_not_changed_is_not_registered_again(client, start, register):
    run = start("a", "segmentation")
    assert [register(run, fingerprint="1") for _ in "12"] == ["1", "1"]
    assert len(register.saved) == 1
    assert len(client.search_model_versions(f"name = '{register.name}'")) == 1


def test_another_run_or_another_network_is_a_new_version_and_users_aliases_stay(client, start, register):
    first, second = start("a", "segmentation"), start("b", "segmentation")
    register(first, fingerprint="1")
    client.set_registered_model_alias(register.name, "best", "1")
    assert register(second, fingerprint="1") == "2"
    assert register(second, fingerprint="2") == "3"
    aliases = {name: str(version) for name, version in client.get_registered_model(register.name).aliases.items()}
    assert aliases == {"best": "1", "current": "3"}


def test_a_version_that_was_deleted_is_registered_again(client, start, register):
    run = start("a", "segmentation")
    register(run, fingerprint="1")
    client.delete_model_version(register.name, "1")
    assert register(run, fingerprint="1") == "2"
    client.delete_registered_model(register.name)
    assert register(run, fingerprint="1") == "1"


def test_a_model_that_cannot_be_saved_leaves_the_current_version(client, store, start, register):
    run = start("a", "segmentation")
    register(run, fingerprint="1")

    def fail(folder, model):
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        register(run, save=fail, fingerprint="2")
    assert str(client.get_model_version_by_alias(register.name, "current").version) == "1"
    models = client.search_logged_models([store["experiment_id"]])
    assert sorted(str(model.status) for model in models) == ["FAILED", "READY"]


def test_a_store_that_is_gone_is_said(tmp_path):
    store = {"uri": f"sqlite:///{tmp_path}/none.db", "experiment_id": "1"}
    with pytest.raises(ValueError, match="is gone"):
        register_model(store, "run", "name", {}, lambda folder, model: None)
