"""What a workflow that was killed leaves behind in its folder, and how the next one takes over."""

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wsgcn.files import atomic_write

PID_VARIABLE = "WSGCN_SNAKEMAKE_PID"
"""The variable in a job's environment that tells the process of its Snakemake."""

_locks = []  # the open file whose lock tells others that this process lives


def acquire_workflow_lock(folder: Path) -> None:
    """Hold a lock in Snakemake's `folder` while this process lives; set aside the locks of one that is dead.

    Snakemake's own locks outlive a killed process, and it refuses to start. Ours do not, so that where no other process
    holds one, those of Snakemake are a dead one's. Where jobs of a dead one still run, a line on stderr names their
    processes, as Snakemake only says that the folder is locked. On a file system without locks nothing is done. The
    jobs of this process find in their environment what to call it and its folder: MLflow runs carry both.
    """
    folder.mkdir(exist_ok=True)
    name = folder_name(folder, shared="MLFLOW_TRACKING_URI" in os.environ)
    os.environ |= {"WSGCN_WORKFLOW": uuid.uuid4().hex, "WSGCN_FOLDER": name, PID_VARIABLE: str(os.getpid())}
    keep_lock(folder, alone=lambda: _set_locks_aside(folder))
    if orphans := _orphaned_jobs(folder):
        processes = " ".join(map(str, orphans))
        print(f"jobs of a workflow that died still run here: wait for them, or kill {processes}", file=sys.stderr)


def folder_name(folder: Path, shared: bool) -> str:
    """What a folder is called, also where it is moved to on its disk.

    A copy of it is called so too, as it has a copy of the MLflow store with that folder's runs, but otherwise where the
    store is `shared`: it is to leave the runs of the first alone.
    """
    note, own = folder / "name", str(folder.stat().st_ino)
    name, number = [*(note.read_text(errors="replace").split() if note.is_file() else []), "", ""][:2]
    if not name or (shared and number not in ("", own)):
        name, number = uuid.uuid4().hex, ""
    if not number:
        with atomic_write(note) as path:
            path.write_text(f"{name} {own}")
    return name


def keep_lock(folder: Path, alone: Callable[[], None] | None = None) -> None:
    """Hold the lock too, in a process of a workflow; call `alone` first if no other process holds it."""
    if not folder.is_dir():
        return
    stream = open(folder / "alive", "w")  # noqa: SIM115
    try:
        if alone:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone()
            except BlockingIOError:  # another workflow is alive here
                pass
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        stream.close()
        return
    _locks.append(stream)


def _set_locks_aside(folder: Path) -> None:
    if any((folder / "locks").glob("*")):
        shutil.rmtree(folder / "died", ignore_errors=True)
        (folder / "locks").rename(folder / "died")


def _orphaned_jobs(folder: Path) -> list[int]:
    """The processes that hold our lock although the workflow that they are of is dead."""
    alive, found = (folder / "alive").resolve(), set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # not ours, or gone
            if link.readlink() == alive:
                found.add(int(link.parts[2]))
    return sorted(process for process in found if (leader := _snakemake_of(process)) and not _is_alive(leader))


def _snakemake_of(process: int) -> int | None:
    """The Snakemake that a process is a job of; None where it is none, as Snakemake itself is."""
    with suppress(OSError, ValueError):
        for entry in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
            if entry.startswith(f"{PID_VARIABLE}=".encode()):
                return int(entry.partition(b"=")[2])
    return None


def crashed(folder: Path) -> bool:
    """Whether `acquire_workflow_lock` found a dead workflow that nobody has cleared up after."""
    return (folder / "died").is_dir()


def remove_partial_files(folder: Path, results: Path) -> None:
    """Delete what a dead workflow had half written under `results`, and forget it."""
    for path in results.rglob(".[0-9]*-*"):  # of `wsgcn.files.atomic_write`
        writer = path.name[1:].split("-")[0]
        if path.is_file() and writer.isdigit() and not _is_alive(int(writer)):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / "died", ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
