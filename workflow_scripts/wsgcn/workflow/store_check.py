"""The MLflow store is checked first: where it is, whether it answers, what was deleted in its interface."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wsgcn.files import load_cache
from wsgcn.tracking.address import store_file, store_problems
from wsgcn.tracking.location import LostRuns, find_lost, follow_store
from wsgcn.tracking.server import wait_for_server, why_away


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
    if moved := follow_store(uri):
        report(f"the MLflow store has moved with its files, which were in {', '.join(moved)}")


def recover_runs(uri: str, folder: Path, report: Callable[[str], None]) -> None:
    """Restore the runs that were deleted in MLflow's interface, but that the files in a folder name.

    Of runs that were deleted for good the files are deleted, too, so that they are logged again. Does nothing where the
    store is new, another one, or away.
    """
    store = load_cache(folder / "store.json")
    file = store_file(uri)
    if store.get("uri") != uri or (file and not file.is_file()) or why_away(uri):
        return
    files = {path: load_cache(path).get("run_id") for path in sorted(folder.rglob("*.json"))}
    runs = [run for run in files.values() if run]
    lost = _find_lost(store, runs)
    if lost.experiment == "gone":
        lost_files = list(files)
    else:
        lost_files = [path for path, run in files.items() if run in lost.gone]
    if lost.experiment == "deleted" or (lost.deleted and lost.experiment != "gone"):
        from wsgcn.tracking.repair import restore

        restore(store, lost)
        what = "the data set's experiment, with its runs" if lost.experiment else f"{len(lost.deleted)} runs"
        report(f"deleted in MLflow, but still in use here, so restored: {what}")
    for path in lost_files:
        path.unlink(missing_ok=True)
    if lost_files:
        report(f"MLflow no longer has the runs of {len(lost_files)} files in {folder}: they are logged again")


def _find_lost(store: Mapping[str, str], runs: Iterable[str]) -> LostRuns:
    if store_file(store["uri"]):
        return find_lost(store["uri"], store["experiment_id"], runs)
    from wsgcn.tracking.repair import find_lost_on_server  # imports MLflow, which takes seconds

    return find_lost_on_server(store, runs)


def why_not_writable(folder: Path) -> str | None:
    """Why nothing can be written in a folder, as a sentence; None where it can, or can be made."""
    for part in (folder, *folder.parents):
        if part.is_symlink() and not part.exists():
            return f"{part} is a link to {part.readlink()}, which does not exist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror}"
    return None


def to_stderr(sentence: str) -> None:
    """Print a sentence at once."""
    print(sentence, file=sys.stderr, flush=True)
