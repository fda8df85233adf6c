"""The store of a data set, opened for its workflow, and the end of runs that no process continues."""

from collections.abc import Mapping

from wsgcn.tracking.store import ensure_experiment, is_gone, workflow_tags
from wsgcn.tracking.tracker import Tracker


def open_store(uri: str, name: str, artifacts: str) -> dict[str, str]:
    """The content of store.json, `uri` and `experiment_id`; creates what is missing, see `store.ensure_experiment`.

    Runs that earlier workflows of this folder left running are marked KILLED.
    """
    store = {"uri": uri, "experiment_id": ensure_experiment(uri, name, artifacts)}
    end_runs(store, "KILLED", folder=workflow_tags()["folder"])
    return store


def end_runs(store: Mapping[str, str], status: str, **tags: str) -> None:
    """As `Tracker.end_runs`, for a store that may be gone."""
    if not is_gone(store["uri"]):
        Tracker(store).end_runs(status, **tags)
