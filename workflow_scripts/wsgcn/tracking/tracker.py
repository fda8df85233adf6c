"""Runs of an MLflow experiment: started, logged to, finished; which one is current, and whose child it is.

Runs with the same tags, e.g. of one experiment and stage, succeed one another. One of them is current (tag `current`);
the run that replaces it is named by its tag `replaced_by`.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from wsgcn.text import flatten
from wsgcn.tracking.store import is_gone, workflow_tags

MAX_METRICS_PER_CALL = 1000
"""MLflow's limit per call of `log_batch`."""

MAX_PARAMS_PER_CALL = 100
"""MLflow's limit per call of `log_batch`."""

MAX_RUNS_FOUND = 50000
"""MLflow's limit per call of `search_runs`."""

PARENT_TAG = "mlflow.parentRunId"


class Tracker:
    """The runs of one MLflow experiment. Runs are named by their ids.

    store: `uri` and `experiment_id`, as in store.json. Raises ValueError where the store was a file and is gone.
    """

    def __init__(self, store: Mapping[str, str]):
        if is_gone(store["uri"]):
            raise ValueError(f"the MLflow store {store['uri']} is gone; delete results/<name>/mlflow/ to start another")
        self.experiment_id = store["experiment_id"]
        self._client = MlflowClient(store["uri"])

    @contextmanager
    def run(
        self,
        name: str,
        tags: Mapping[str, str],
        settings: Mapping,
        description: str,
        extra_tags: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """Start a run and yield its id. Once the block has ended, the run is finished and the current one of `tags`.

        On an exception the run is marked FAILED, and the earlier run of these tags stays the current one. See
        `start_run` for the arguments.
        """
        run = self.start_run(name, tags, settings, description, extra_tags)
        try:
            yield run
        except BaseException:
            with suppress(Exception):  # a store that cannot be reached must not hide the error
                self._client.set_terminated(run, "FAILED")
            raise
        self.finish_run(run)
        self.mark_current(run, tags)

    def start_run(
        self,
        name: str,
        tags: Mapping[str, str],
        settings: Mapping,
        description: str,
        extra_tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a run and return its id; it is not the current one of its `tags` before `mark_current`.

        tags: what identifies the run among others, e.g. experiment and stage; settings: logged as `parameters` returns
        them; extra_tags: further tags that do not identify it.
        """
        about = {"mlflow.note.content": description, "description": description, "current": "no"}
        all_tags = {**tags, **(extra_tags or {}), **about, **workflow_tags()}
        run = self._client.create_run(self.experiment_id, run_name=name, tags=all_tags).info.run_id
        self.log(run, params=parameters(settings))
        return run

    def finish_run(self, run: str) -> None:
        """Mark a run as finished."""
        self._client.set_terminated(run)

    def mark_current(self, run: str, tags: Mapping[str, str]) -> None:
        """Make a run the current one of `tags`. Earlier ones are tagged as replaced, and KILLED if they still run."""
        replaced = [earlier for earlier in self._current_runs(tags) if earlier.info.run_id != run]
        self._client.set_tag(run, "current", "yes")
        for earlier in replaced:
            self._client.set_tag(earlier.info.run_id, "current", "no")
            self._client.set_tag(earlier.info.run_id, "replaced_by", run)
            if earlier.info.status == "RUNNING":
                self._client.set_terminated(earlier.info.run_id, "KILLED")

    def end_runs(self, status: str, **tags: str) -> None:
        """Set the status of the runs with these tags that are still marked as running."""
        for run in self._runs(tags, "attributes.status = 'RUNNING'"):
            self._client.set_terminated(run.info.run_id, status)

    def log(
        self,
        run: str,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        curves: pd.DataFrame | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log parameters, single metrics (None is left out), curves (one metric per column, steps in the index), tags.

        Single metrics are rounded to four significant digits, because the interface's table shows all digits.
        """
        now = int(time.time() * 1000)
        rows = [Metric(name, float(f"{v:.4g}"), now, 0) for name, v in (metrics or {}).items() if v is not None]
        if curves is not None:
            rows += [
                Metric(name, float(v), now, int(step)) for name in curves for step, v in curves[name].dropna().items()
            ]
        for chunk in _chunks([Param(key, value) for key, value in (params or {}).items()], MAX_PARAMS_PER_CALL):
            self._client.log_batch(run, params=chunk)
        for chunk in _chunks(rows, MAX_METRICS_PER_CALL):
            self._client.log_batch(run, metrics=chunk)
        self._client.log_batch(run, tags=[RunTag(key, value) for key, value in (tags or {}).items()])

    def log_files(
        self, run: str, files: Iterable[str | Path], table: Sequence[Mapping] = (), folder: str | None = None
    ) -> None:
        """Attach files, in a folder if one is named, and a non-empty table of images as images.json."""
        for path in files:
            self._client.log_artifact(run, str(path), folder)
        if table:
            self._client.log_table(run, pd.DataFrame(table), "images.json")

    def set_parent(self, parent: str, children: Iterable[str]) -> None:
        """Make runs the children of `parent`. A stage that was not computed again keeps its run under a new parent."""
        for child in children:
            self._client.set_tag(child, PARENT_TAG, parent)

    def runs_without_parent(self, runs: Iterable[str]) -> list[str]:
        """Those runs that are no current run's children, e.g. of stages shared with an experiment that never ran."""
        parents = {run: self._client.get_run(run).data.tags.get(PARENT_TAG) for run in runs}
        return [run for run, parent in parents.items() if not parent or not self._is_current(parent)]

    def current_run(self, tags: Mapping[str, str]) -> str | None:
        """The id of the current run of `tags`, None without one."""
        runs = self._current_runs(tags)
        return runs[0].info.run_id if runs else None

    def current_tags(self, stage: str, tag: str) -> dict[str, str]:
        """One tag of a stage's current runs, {experiment: value}; runs without the tag are left out."""
        runs = self._current_runs({"stage": stage})
        return {run.data.tags["experiment"]: run.data.tags[tag] for run in runs if tag in run.data.tags}

    def mark_others_superseded(self, experiments: Iterable[str]) -> None:
        """Tag the current runs of all experiments but these as not current."""
        remaining = {None, *experiments}
        for run in self._current_runs({}):
            if run.data.tags.get("experiment") not in remaining:
                self._client.set_tag(run.info.run_id, "current", "no")

    def _is_current(self, run: str) -> bool:
        return self._client.get_run(run).data.tags.get("current") == "yes"

    def _current_runs(self, tags: Mapping[str, str]) -> list[Run]:
        """The current runs with these tags that workflows of this folder started."""
        return self._runs({**tags, "current": "yes", "folder": workflow_tags()["folder"]})

    def _runs(self, tags: Mapping[str, str], *conditions: str) -> list[Run]:
        query = " and ".join([*(f"tags.{key} = '{value}'" for key, value in tags.items()), *conditions])
        return list(self._client.search_runs([self.experiment_id], query, max_results=MAX_RUNS_FOUND))


def parameters(settings: Mapping) -> dict[str, str]:
    """Settings as MLflow parameters: dotted keys, but sigma1, sigma2, window and the lambdas by their bare names."""
    bare = ("sigma1", "sigma2", "window", "lambda_ent", "lambda_lap")
    return {
        key.removeprefix("refine.") if key.removeprefix("refine.") in bare else key: str(value)
        for key, value in flatten(settings).items()
    }


def _chunks(rows: list, size: int) -> Iterator[list]:
    return (rows[k : k + size] for k in range(0, len(rows), size))
