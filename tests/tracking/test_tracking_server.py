"""MLflow runs on a tracking server, as `MLFLOW_TRACKING_URI` may name one."""

import time
from pathlib import Path

import pandas as pd
from interface import served
from mlflow import MlflowClient

from wsgcn.tracking.runs import current_run, ensure_experiment, finish_run, log, log_files, mark_current, start_run


def test_a_tracking_server_is_as_good_as_a_file(tmp_path, monkeypatch):
    """As MLFLOW_TRACKING_URI may name one: runs, metrics, files and tables go there and come back."""
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ensure_experiment(uri, "first", str(tmp_path / "artifacts"))
    with served(uri, tmp_path) as (address, answers):
        while not answers():
            time.sleep(0.1)
        store = {"uri": address, "experiment_id": ensure_experiment(address, "served", "not/used")}
        assert ensure_experiment(address, "served", "not/used") == store["experiment_id"]
        tags = {"experiment": "a", "stage": "refine"}
        old, run = (start_run(store, "a/refine", tags, {"refine": {"sigma1": 3}}, "words") for _ in "ab")
        mark_current(store, old, tags)
        (tmp_path / "chart.png").write_bytes(b"a chart")
        log(store, run, metrics={"miou": 0.5}, curves=pd.DataFrame({"loss": [2.0, 1.0]}, index=[1, 2]))
        log_files(store, run, [tmp_path / "chart.png"], [{"image": "x", "miou": 0.5}])
        finish_run(store, run)
        mark_current(store, run, tags)
        assert current_run(store, tags) == run
        client = MlflowClient(address)
        found = client.get_run(run)
        assert (found.info.status, found.data.params["sigma1"]) == ("FINISHED", "3")
        assert [metric.value for metric in client.get_metric_history(run, "loss")] == [2, 1]
        assert client.get_run(old).data.tags["replaced_by"] == run
        assert {file.path for file in client.list_artifacts(run)} == {"chart.png", "images.json"}
        assert Path(client.download_artifacts(run, "chart.png", str(tmp_path / ""))).read_bytes() == b"a chart"
