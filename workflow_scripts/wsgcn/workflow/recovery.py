"""Recovery from a workflow that was killed: its locks, its partial files, its jobs that still run."""

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from wsgcn.files import atomic_write

PID_VARIABLE = "WSGCN_SNAKEMAKE_PID"
"""The environment variable of a job that contains the process id of its Snakemake."""

_names: dict[int, str] = {}  # of the workflow, by process
_locks: list[TextIO] = []  # open files whose lock shows other processes that this one is alive


def acquire_workflow_lock(folder: Path, plans_only: bool = False) -> bool:
    """Hold a lock in Snakemake's `folder` while this process lives, and set aside the locks of a crashed workflow.

    Snakemake's own locks outlive a killed process, and Snakemake then refuses to start. The operating system releases
    this lock with its process: where no other process holds it, Snakemake's locks are those of a crashed workflow.
    Where jobs of a crashed workflow still run, their process ids are printed to stderr, since Snakemake only says that
    the folder is locked. Does nothing on a file system without locks.

    Calls `name_workflow`, and sets PID_VARIABLE in the environment of this process's jobs. Returns whether no other
    workflow is alive in the folder. plans_only: whether this process starts no jobs, as with `-n`.
    """
    folder.mkdir(exist_ok=True)
    alone = keep_lock(folder, if_alone=lambda: _set_locks_aside(folder))
    name_workflow(folder, keep=alone and not plans_only)
    os.environ[PID_VARIABLE] = str(os.getpid())
    if orphans := _orphaned_jobs(folder):
        ids = " ".join(map(str, orphans))
        print(f"jobs of a crashed workflow still run in this folder: wait for them, or kill {ids}", file=sys.stderr)
    return alone


def name_workflow(folder: Path, keep: bool = True) -> None:
    """Set WSGCN_WORKFLOW and WSGCN_FOLDER, which name this workflow and its folder in the tags of MLflow runs.

    keep: whether they are written to Snakemake's `folder`, for jobs that start without this process's environment. A
    process that uses several modules has one name.
    """
    folder.mkdir(exist_ok=True)
    name = folder_name(folder, shared=bool(os.environ.get("MLFLOW_TRACKING_URI")))
    workflow = _names.setdefault(os.getpid(), uuid.uuid4().hex)
    os.environ |= {"WSGCN_WORKFLOW": workflow, "WSGCN_FOLDER": name}
    if keep:
        with atomic_write(folder / "workflow") as path:
            path.write_text(workflow)


def read_names(folder: Path) -> None:
    """In a job without the environment of its workflow, as queues start them, set what `name_workflow` does."""
    for variable, file in (("WSGCN_FOLDER", "name"), ("WSGCN_WORKFLOW", "workflow")):
        words = (folder / file).read_text(errors="replace").split() if (folder / file).is_file() else []
        if words:
            os.environ.setdefault(variable, words[0])


def folder_name(folder: Path, shared: bool) -> str:
    """The name of a folder in the tags of MLflow runs, which it keeps when it is moved on its disk.

    shared: whether the MLflow store is outside of the project. A copy of the folder then gets a name of its own, so
    that it leaves the first folder's runs alone. A store inside is copied with its runs, so that the copy keeps the
    name.
    """
    file, inode = folder / "name", str(folder.stat().st_ino)
    name, known_inode = [*(file.read_text(errors="replace").split() if file.is_file() else []), "", ""][:2]
    if not name or (shared and known_inode not in ("", inode)):
        name, known_inode = uuid.uuid4().hex, ""
    if not known_inode:
        with atomic_write(file) as path:
            path.write_text(f"{name} {inode}")
    return name


def keep_lock(folder: Path, if_alone: Callable[[], None] | None = None) -> bool:
    """Share the workflow's lock while this process lives; call `if_alone` first where no other process holds it.

    Returns whether that was so; also where the file system has no locks.
    """
    alone = True
    if not folder.is_dir():
        return alone
    stream = open(folder / "alive", "w")  # noqa: SIM115
    try:
        if if_alone:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if_alone()
            except BlockingIOError:  # another workflow is alive in this folder
                alone = False
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        stream.close()
        return alone
    _locks.append(stream)
    return alone


def _set_locks_aside(folder: Path) -> None:
    if any((folder / "locks").glob("*")):
        shutil.rmtree(folder / "crashed", ignore_errors=True)
        (folder / "locks").rename(folder / "crashed")


def _orphaned_jobs(folder: Path) -> list[int]:
    """The processes that hold the lock although their workflow is not alive."""
    lock, holders = (folder / "alive").resolve(), set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # another user's, or gone
            if link.readlink() == lock:
                holders.add(int(link.parts[2]))
    return sorted(pid for pid in holders if (snakemake := _snakemake_of(pid)) and not _is_alive(snakemake))


def _snakemake_of(pid: int) -> int | None:
    """The process id of the Snakemake that started a job; None where the process is not a job, as Snakemake itself."""
    with suppress(OSError, ValueError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(f"{PID_VARIABLE}=".encode()):
                return int(entry.partition(b"=")[2])
    return None


def crashed(folder: Path) -> bool:
    """Whether `acquire_workflow_lock` has found a crashed workflow whose partial files have not been removed."""
    return (folder / "crashed").is_dir()


def remove_partial_files(folder: Path, results: Path) -> None:
    """Delete the partial files of dead processes under `results`, and the locks that were set aside."""
    for path in results.rglob(".[0-9]*-*"):  # the temporary files of `wsgcn.files.atomic_write`
        writer = path.name[1:].split("-")[0]
        if path.is_file() and writer.isdigit() and not _is_alive(int(writer)):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / "crashed", ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
