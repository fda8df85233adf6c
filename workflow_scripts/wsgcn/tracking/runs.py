"""MLflow, and all that the project knows of it.

One MLflow experiment a data set; one parent run an experiment of ours, with all settings and every stage's mIoU; one
child run a stage. A run that is computed again is a new run, and the one it replaces is tagged `replaced_by`.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from wsgcn.files import atomic_write
from wsgcn.text import flatten

MAX_METRICS_PER_CALL = 1000
"""MLflow's limit of metrics a `log_batch` call; its limit of parameters is 100."""

PARENT_TAG = "mlflow.parentRunId"


def ensure_experiment(uri: str, name: str, artifacts: str) -> str:
    """The id of the MLflow experiment `name` in the store at `uri`, both created where they are missing.

    `artifacts` is where a store of ours keeps files; a tracking server decides for itself. Several processes may ask at
    once, and a store of ours appears whole or not at all: MLflow cannot mend one that was killed halfway.
    """
    if not uri.startswith("sqlite:///"):
        return _found_or_created(MlflowClient(uri), name, None)
    store = Path(uri.removeprefix("sqlite:///"))
    store.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{store}.lock", "w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not store.is_file():
            with atomic_write(store) as path:
                MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
        return _found_or_created(MlflowClient(uri), name, Path(artifacts).resolve().as_uri())


def _found_or_created(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another was faster
            return found.experiment_id
        raise


def parameters(settings: Mapping) -> dict[str, str]:
    """Settings as MLflow parameters: dotted keys, but sigma1, sigma2, window and the lambdas by their bare names."""
    bare = ("sigma1", "sigma2", "window", "lambda_ent", "lambda_lap")
    return {
        key.removeprefix("refine.") if key.removeprefix("refine.") in bare else key: str(value)
        for key, value in flatten(settings).items()
    }


def start_run(store: Mapping, name: str, tags: Mapping[str, str], settings: Mapping, description: str) -> str:
    """Create a run and return its id; it is not the current one of its `tags` before `mark_current`.

    store: `uri`, `experiment_id`; tags: what identifies the run, e.g. experiment and stage.
    """
    if _is_gone(store):
        raise ValueError(f"the MLflow store {store['uri']} is gone; delete results/<name>/mlflow/ to start another")
    client = MlflowClient(store["uri"])
    about = {"mlflow.note.content": description, "description": description, "current": "no"}
    run = client.create_run(store["experiment_id"], run_name=name, tags={**tags, **about, **workflow_tags()})
    log(store, run.info.run_id, params=parameters(settings))
    return run.info.run_id


def mark_current(store: Mapping, run: str, tags: Mapping[str, str]) -> None:
    """Make a run the current one of its `tags`; those that were are tagged as replaced, and ended if they still run."""
    client = MlflowClient(store["uri"])
    replaced = [old for old in _current_runs(client, store, tags) if old.info.run_id != run]
    client.set_tag(run, "current", "yes")
    for old in replaced:
        client.set_tag(old.info.run_id, "current", "no")
        client.set_tag(old.info.run_id, "replaced_by", run)
        if old.info.status == "RUNNING":
            client.set_terminated(old.info.run_id, "KILLED")


def end_runs(store: Mapping, status: str, **tags: str) -> None:
    """Give a status to those runs with these tags that are still said to be running."""
    if _is_gone(store):
        return
    client = MlflowClient(store["uri"])
    for run in _runs(client, store, tags, "attributes.status = 'RUNNING'"):
        client.set_terminated(run.info.run_id, status)


def workflow_tags() -> dict[str, str]:
    """Tags of the workflow that a run was begun by and of its folder, as `takeover` names them.

    Whoever comes after knows whether a run is dead, and folders that share a store leave each other's runs alone.
    """
    return {"folder": os.environ.get("WSGCN_FOLDER", ""), "workflow": os.environ.get("WSGCN_WORKFLOW", "")}


def current_run(store: Mapping, tags: Mapping[str, str]) -> str | None:
    """The id of the current run of these `tags`, or None where there is none."""
    runs = _current_runs(MlflowClient(store["uri"]), store, tags)
    return runs[0].info.run_id if runs else None


def log(
    store: Mapping,
    run: str,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    curves: pd.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log to a run: parameters, single metrics (None is left out), curves (a column a metric, the index its steps).

    Single metrics keep four significant digits: the interface's table shows all that there are.
    """
    client, now = MlflowClient(store["uri"]), int(time.time() * 1000)
    rows = [Metric(name, float(f"{value:.4g}"), now, 0) for name, value in (metrics or {}).items() if value is not None]
    if curves is not None:
        rows += [Metric(n, float(v), now, int(step)) for n in curves for step, v in curves[n].items()]
    for chunk in _chunks([Param(key, value) for key, value in (params or {}).items()], 100):
        client.log_batch(run, params=chunk)
    for chunk in _chunks(rows, MAX_METRICS_PER_CALL):
        client.log_batch(run, metrics=chunk)
    client.log_batch(run, tags=[RunTag(key, value) for key, value in (tags or {}).items()])


def log_files(
    store: Mapping, run: str, files: Iterable[str | Path], table: Sequence[Mapping] = (), folder: str | None = None
) -> None:
    """Attach files to a run, in a folder if one is named, and a table of images where there is one."""
    client = MlflowClient(store["uri"])
    for path in files:
        client.log_artifact(run, str(path), folder)
    if table:
        client.log_table(run, pd.DataFrame(table), "images.json")


def finish_run(store: Mapping, run: str) -> None:
    """Mark a run as finished."""
    MlflowClient(store["uri"]).set_terminated(run)


def set_parent(store: Mapping, parent: str, children: Iterable[str]) -> None:
    """Make runs the children of `parent`: a stage that was not computed again keeps its run under a new parent."""
    client = MlflowClient(store["uri"])
    for child in children:
        client.set_tag(child, PARENT_TAG, parent)


def runs_without_parent(store: Mapping, children: Iterable[str]) -> list[str]:
    """Those runs that are no current run's children: of stages that an experiment shares with one never made."""
    client = MlflowClient(store["uri"])
    parents = {child: client.get_run(child).data.tags.get(PARENT_TAG) for child in children}
    return [
        child
        for child, parent in parents.items()
        if not parent or client.get_run(parent).data.tags.get("current") != "yes"
    ]


def current_tags(store: Mapping, stage: str, tag: str) -> dict[str, str]:
    """What the current runs of a stage are tagged with, {experiment: value}; those without the tag are left out."""
    runs = _current_runs(MlflowClient(store["uri"]), store, {"stage": stage})
    return {run.data.tags["experiment"]: run.data.tags[tag] for run in runs if tag in run.data.tags}


def mark_others_superseded(store: Mapping, experiments: Iterable[str]) -> None:
    """Tag current runs of experiments that are no longer among these as not current."""
    client, kept = MlflowClient(store["uri"]), list(experiments)
    for run in _current_runs(client, store, {}):
        if run.data.tags.get("experiment") not in {None, *kept}:
            client.set_tag(run.info.run_id, "current", "no")


def _current_runs(client: MlflowClient, store: Mapping, tags: Mapping[str, str]) -> list[Run]:
    """The current runs with these tags of this folder."""
    return _runs(client, store, {**tags, "current": "yes", "folder": workflow_tags()["folder"]})


def _runs(client: MlflowClient, store: Mapping, tags: Mapping[str, str], *conditions: str) -> list[Run]:
    query = " and ".join([*(f"tags.{key} = '{value}'" for key, value in tags.items()), *conditions])
    return list(client.search_runs([store["experiment_id"]], query, max_results=50000))


def _is_gone(store: Mapping) -> bool:
    """Whether the store is a file that was deleted; a client would make an empty one."""
    own = store["uri"].startswith("sqlite:///")
    return own and not Path(store["uri"].removeprefix("sqlite:///")).is_file()


def _chunks(rows: list, size: int) -> Iterable[list]:
    return (rows[k : k + size] for k in range(0, len(rows), size))
