"""What a server says of runs that results/ name: deleted, gone for good, or nothing, since it is in trouble.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_repair.py`.
"""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    PERMISSION_DENIED,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
)

from wsgcn.files import write_json
from wsgcn.tracking import repair
from wsgcn.tracking.location import LostRuns
from wsgcn.workflow import store_check

STORE = {"uri": "https://host", "experiment_id": "1"}


@pytest.fixture
def server(monkeypatch):
    """server(error=None, **stages): what the server's experiment and runs are."""

    def answer(error=None, experiment="active", **runs):
        def get_experiment(_):
            if error:
                raise MlflowException("no", error_code=error)
            return SimpleNamespace(lifecycle_stage=experiment)

        found = [
            SimpleNamespace(info=SimpleNamespace(run_id=run, lifecycle_stage=stage)) for run, stage in runs.items()
        ]
        client = SimpleNamespace(get_experiment=get_experiment, search_runs=lambda *_, **__: found)
        monkeypatch.setattr(repair, "MlflowClient", lambda uri: client)

    return answer


def test_runs_are_deleted_or_gone(server):
    server(a="active", b="deleted")
    assert repair.find_lost_on_server(STORE, ["a", "b", "c"]) == LostRuns("", ("b",), ("c",))
    server(experiment="deleted", a="deleted")
    assert repair.find_lost_on_server(STORE, ["a"]) == LostRuns("deleted", ("a",), ())
    server(error=RESOURCE_DOES_NOT_EXIST)
    assert repair.find_lost_on_server(STORE, ["a"]).experiment == "gone"


@pytest.mark.parametrize("error", [INTERNAL_ERROR, PERMISSION_DENIED, REQUEST_LIMIT_EXCEEDED])
def test_a_server_in_trouble_loses_no_file(error, server, tmp_path, monkeypatch):
    monkeypatch.setattr(store_check, "wait_for_server", lambda uri, report: None)
    write_json(tmp_path / "store.json", STORE)
    write_json(tmp_path / "base/parent.json", {"run_id": "a"})
    server(error=error)
    said = []
    store_check.recover_runs(STORE["uri"], tmp_path, said.append)
    assert said == ["MLflow was not asked for deleted runs: no"]
    assert (tmp_path / "store.json").is_file() and (tmp_path / "base/parent.json").is_file()
    server(error=RESOURCE_DOES_NOT_EXIST)
    store_check.recover_runs(STORE["uri"], tmp_path, said.append)
    assert not list(tmp_path.rglob("*.json"))
