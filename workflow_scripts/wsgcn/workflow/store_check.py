"""The MLflow store is checked first: where it is, whether it answers, what was deleted in its interface."""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wsgcn.files import load_cache
from wsgcn.text import format_count, shorten
from wsgcn.tracking.address import store_file, store_problems
from wsgcn.tracking.location import LostRuns, find_lost, follow_store
from wsgcn.tracking.server import wait_for_server


def open_address(uri: str, folder: Path, report: Callable[[str], None]) -> None:
    """Wait for the store's server, or let a store that was moved or copied with the project find its files.

    folder: results/<data set>/mlflow. Raises ValueError with a line for each reason why the store cannot be used.
    """
    problems = list(store_problems(uri))
    file = store_file(uri)
    if file and not file.exists() and load_cache(folder / "store.json").get("uri") == uri:
        problems.append(f"the MLflow store {uri} is gone: bring it back, or delete {folder} to start another")
    if problems:
        raise ValueError("\n".join(problems))
    wait_for_server(uri, report)
    try:
        moved = follow_store(uri)
    except sqlite3.Error as error:
        raise ValueError(f"{file} is no database of MLflow: {error}") from None
    if moved:
        report(f"the MLflow store has moved with its files, which were in {', '.join(moved)}")


def recover_runs(uri: str, folder: Path, report: Callable[[str], None]) -> None:
    """Restore the runs that were deleted in MLflow's interface, but that the files in a folder name.

    Of runs that were deleted for good the files are deleted, too, so that they are logged again. Waits for a server.
    Does nothing where the store is new or another one, and says so where the store cannot be asked.
    """
    store = load_cache(folder / "store.json")
    file = store_file(uri)
    if store.get("uri") != uri or (file and not file.is_file()):
        return
    files = {path: load_cache(path).get("run_id") for path in sorted(folder.rglob("*.json"))}
    try:
        wait_for_server(uri, report)
        lost = _find_lost(store, [run for run in files.values() if run])
        if lost.experiment == "deleted" or (lost.deleted and not lost.experiment):
            from wsgcn.tracking.repair import restore  # imports MLflow, which takes seconds

            restore(store, lost)
            what = "the data set's experiment, with its runs"
            what = what if lost.experiment else format_count(len(lost.deleted), "run")
            report(f"deleted in MLflow, but still in use here, so restored: {what}")
    except Exception as error:  # of SQLite, MLflow or the network; what follows from it is said where it is met
        report(f"MLflow was not asked for deleted runs: {shorten(str(error))}")
        return
    gone = [path for path, run in files.items() if lost.experiment == "gone" or run in lost.gone]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        report(f"MLflow no longer has what {format_count(len(gone), 'file')} in {folder} named: logged again")


def _find_lost(store: Mapping[str, str], runs: Iterable[str]) -> LostRuns:
    if store_file(store["uri"]):
        return find_lost(store["uri"], store["experiment_id"], runs)
    from wsgcn.tracking.repair import find_lost_on_server  # imports MLflow, which takes seconds

    return find_lost_on_server(store, runs)


def to_stderr(sentence: str) -> None:
    """Print a sentence at once."""
    print(sentence, file=sys.stderr, flush=True)
