"""An sqlite store that was moved or copied with its project: MLflow keeps absolute paths of its runs' files.

Imports no MLflow, and takes milliseconds, so that every start does it. `make ui` runs this module.
"""

import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from wsgcn.tracking.address import artifact_folder, store_file

LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""The columns of MLflow's tables that hold the address of files."""


def follow_store(uri: str) -> list[str]:
    """Point an sqlite store's addresses of files, where they are ours, to the folder beside it; what they were.

    Leaves alone what is not in a folder of that name, and a store outside of the project whose files are where it says.
    Raises sqlite3.Error where the file is no database.
    """
    file, folder = store_file(uri), artifact_folder(uri)
    if not file or not folder or not file.is_file():
        return []
    own = folder.resolve().as_uri()
    with closing(sqlite3.connect(file, timeout=60)) as store, store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return []
        found = [location for (location,) in store.execute("SELECT DISTINCT artifact_location FROM experiments")]
        strange = [old for old in found if old and old != own and old.endswith(f"/{folder.name}")]
        strange = [old for old in strange if not file.is_absolute() or (folder.is_dir() and not _exists(old))]
        for old in strange:
            for table, columns in LOCATIONS.items():
                known = {row[1] for row in store.execute(f"PRAGMA table_info({table})")} if table in tables else set()
                for column in known.intersection(columns):
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? "
                        f"OR substr({column}, 1, ?) = ?",
                        (own, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
    return strange


def _exists(location: str) -> bool:
    """Whether the folder is there that an address of files names."""
    return Path(url2pathname(urlsplit(location).path)).is_dir()


@dataclass(frozen=True)
class LostRuns:
    """What a store no longer shows: whether the data set's experiment is deleted, or gone altogether; the same of runs.

    Deleted things can be restored; what is gone was deleted for good.
    """

    experiment: str = ""
    deleted: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def find_lost(uri: str, experiment: str, runs: Iterable[str]) -> LostRuns:
    """What is lost of an MLflow experiment and its runs, by their ids, in an sqlite store."""
    file = store_file(uri)
    if not file or not file.is_file():
        return LostRuns()
    with closing(sqlite3.connect(file, timeout=60)) as store:
        experiments = dict(store.execute("SELECT CAST(experiment_id AS TEXT), lifecycle_stage FROM experiments"))
        stages = dict(store.execute("SELECT run_uuid, lifecycle_stage FROM runs"))
    return classify(experiments.get(experiment), {run: stages.get(run) for run in runs})


def classify(experiment: str | None, runs: dict[str, str | None]) -> LostRuns:
    """What is lost, from the lifecycle stages of an experiment and of runs: active, deleted or None."""
    return LostRuns(
        {None: "gone", "deleted": "deleted"}.get(experiment, ""),
        tuple(run for run, stage in runs.items() if stage == "deleted"),
        tuple(run for run, stage in runs.items() if stage is None),
    )


if __name__ == "__main__":
    follow_store(sys.argv[1])
