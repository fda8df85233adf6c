"""MLflow runs on a tracking server, as `MLFLOW_TRACKING_URI` may name one.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_tracking_server.py`.
"""

import time
from pathlib import Path

import pandas as pd
from interface import served
from mlflow import MlflowClient

from wsgcn.tracking.store import ensure_experiment
from wsgcn.tracking.tracker import Tracker


def test_tracking_server_works_like_a_file(tmp_path, monkeypatch):
    """Runs, metrics, files and tables are sent there and read back."""
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ensure_experiment(uri, "first", str(tmp_path / "artifacts"))
    with served(uri, tmp_path) as (address, answers):
        while not answers():
            time.sleep(0.1)
        tracker = Tracker({"uri": address, "experiment_id": ensure_experiment(address, "served", "not/used")})
        assert ensure_experiment(address, "served", "not/used") == tracker.experiment_id
        tags, settings = {"experiment": "a", "stage": "refine"}, {"refine": {"sigma1": 3}}
        old = tracker.start_run("a/refine", tags, settings, "words")
        tracker.mark_current(old, tags)
        (tmp_path / "chart.png").write_bytes(b"a chart")
        with tracker.run("a/refine", tags, settings, "words") as run:
            tracker.log(run, metrics={"miou": 0.5}, curves=pd.DataFrame({"loss": [2.0, 1.0]}, index=[1, 2]))
            tracker.log_files(run, [tmp_path / "chart.png"], [{"image": "x", "miou": 0.5}])
        assert tracker.current_run(tags) == run
        client = MlflowClient(address)
        logged = client.get_run(run)
        assert (logged.info.status, logged.data.params["sigma1"]) == ("FINISHED", "3")
        assert [metric.value for metric in client.get_metric_history(run, "loss")] == [2, 1]
        assert client.get_run(old).data.tags["replaced_by"] == run
        assert {file.path for file in client.list_artifacts(run)} == {"chart.png", "images.json"}
        assert Path(client.download_artifacts(run, "chart.png", str(tmp_path / ""))).read_bytes() == b"a chart"
