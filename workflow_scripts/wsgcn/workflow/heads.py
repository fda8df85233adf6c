"""Jobs in Slurm whose head is dead: the process that submitted them and would have recorded what they computed.

Each head that submits jobs keeps a note in `.snakemake/heads`, locked while it lives, with the name that its jobs have
in Slurm. A note that nobody locks is that of a dead head, whose jobs may still be queued or running.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from wsgcn.files import read_json
from wsgcn.workflow.sharing import fingerprint

POLL_SECONDS = 10
"""Between two questions whether a dead head's jobs have ended."""

CHANGE_NO_JOB = (
    "cluster device device_batch crf_backend on_error on_flat_affinity training_threads loading_threads "
    "checkpoint_seconds experiments against sweeps choose review report predict export exchange"
).split()
"""Keys of the config that change no result, or nothing of the jobs that a dead head has submitted."""

_locks: dict[Path, TextIO] = {}  # of this process's own note


@dataclass(frozen=True)
class DeadHead:
    """A dead head's note. name: that of its jobs in Slurm; settings: `settings_key` of its config; jobs: `job_keys`."""

    note: Path
    name: str
    settings: str
    jobs: Mapping[str, str]


def settings_key(config: Mapping) -> str:
    """Equal for configs with which the same jobs compute the same."""
    changing = fingerprint({key: value for key, value in config.items() if key not in CHANGE_NO_JOB})
    return hashlib.sha256(changing.encode()).hexdigest()


def job_keys(workflow: Any, jobs: Iterable[Any]) -> dict[str, str]:
    """{first output: a hash of what Snakemake would record of the job's inputs and parameters}."""
    return {str(job.output[0]): _job_key(workflow, job) for job in jobs if job.output}


def _job_key(workflow: Any, job: Any) -> str:
    given = workflow.persistence._input(job), workflow.persistence._params(job)
    return hashlib.sha256(repr(given).encode(errors="surrogateescape")).hexdigest()[:16]


def keep_note(folder: Path, name: str, config: Mapping, jobs: Mapping[str, str]) -> bool:
    """Note in Snakemake's `folder` that this process submits jobs with a name, as long as it lives.

    jobs: their `job_keys`. Returns whether that was possible: not on a file system without locks.
    """
    note = folder / "heads" / f"{uuid.uuid4().hex}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    unlocked = note.with_suffix(".new")  # no note yet: whoever reads one that is not locked takes its head for dead
    stream = open(unlocked, "w")  # noqa: SIM115
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        unlocked.unlink()
        return False
    json.dump({"name": name, "settings": settings_key(config), "jobs": dict(jobs)}, stream)
    stream.flush()
    unlocked.rename(note)
    _locks[note] = stream
    return True


def drop_own_note(name: str = "") -> None:
    """Forget this process's note, at the end of a run that has seen all of its jobs end.

    name: that of its jobs where this is not known, as after an error; the note stays while Slurm has some of them.
    """
    if name and _locks:
        try:
            if slurm_jobs(name):
                return
        except ValueError:
            return
    for note, stream in list(_locks.items()):
        note.unlink(missing_ok=True)
        stream.close()
        del _locks[note]


def dead_heads(folder: Path) -> list[DeadHead]:
    """The notes in Snakemake's `folder` whose process lives no more. On a file system without locks, none."""
    return [head for note in sorted((folder / "heads").glob("*.json")) if (head := _read_dead(note))]


def _read_dead(note: Path) -> DeadHead | None:
    try:
        with open(note, "r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found: Any = read_json(note)
        return DeadHead(note, found["name"], found["settings"], found["jobs"])
    except (OSError, ValueError, KeyError):  # alive, or gone meanwhile
        return None


def slurm_jobs(name: str) -> dict[str, str]:
    """{id: state} of this user's jobs of a name that have not ended. Raises ValueError where Slurm does not answer."""
    command = ["squeue", f"--user={os.getuid()}", f"--name={name}", "--noheader", "--format=%i|%T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        why = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        advice = "where none can be left, remove .snakemake/heads"
        raise ValueError(f"an earlier run died, and squeue cannot be asked for its jobs ({why}); {advice}")
    return dict(line.split("|", 1) for line in done.stdout.split() if "|" in line)


def cancel_jobs(ids: Iterable[str], *options: str) -> None:
    """Cancel jobs in Slurm; those that have ended meanwhile are left alone."""
    subprocess.run(["scancel", *options, *ids], capture_output=True, timeout=120)


def wait_for_or_cancel_jobs(
    heads: Iterable[DeadHead], config: Mapping, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when no job of dead heads is left in Slurm.

    Queued ones are cancelled, and submitted again by this run if it needs them. Running ones are waited for, unless
    `cluster.leftover` is `cancel` or their settings are not this run's. Raises ValueError where Slurm does not answer:
    then nobody knows whether a job would run twice.
    """
    for head in heads:
        waits = config["cluster"]["leftover"] == "wait" and head.settings == settings_key(config)
        said = None
        while left := slurm_jobs(head.name):
            cancel_jobs(left, *(["--state=PENDING"] if waits else []))
            running = [job for job, state in left.items() if state != "PENDING"] if waits else []
            if running != said:
                for line in _describe(len(left), running, waits):
                    say(line)
                said = running
            sleep(POLL_SECONDS)


def _describe(left: int, running: list[str], waits: bool) -> Iterator[str]:
    if not waits:
        yield f"cancelling {left} jobs in Slurm of an earlier run that died"
        return
    if queued := left - len(running):
        yield f"cancelling {queued} queued jobs of an earlier run that died; they are submitted again"
    if running:
        ids = " ".join(running)
        yield f"waiting for {len(running)} jobs of an earlier run that died, which still run in Slurm: {ids}"


def describe_left(heads: Iterable[DeadHead], say: Callable[[str], None]) -> None:
    """Say which jobs of dead heads are left, for a run that only plans."""
    for head in heads:
        try:
            left = slurm_jobs(head.name)
        except ValueError as error:
            say(str(error))
            continue
        if left:
            say(f"{len(left)} jobs of an earlier run that died are still in Slurm: {' '.join(left)}")


def record_finished_jobs(workflow: Any, heads: list[DeadHead]) -> str:
    """Have Snakemake record what jobs of dead heads computed, as their head would have; their notes go.

    workflow: Snakemake's, with its graph of jobs. Jobs that were submitted with other parameters or inputs than this
    run's are marked as incomplete instead, and the sentence returned says that the run must be started again; it is
    empty otherwise. Without a record Snakemake would take their files for current, whatever they were computed from.
    """
    if not heads:
        return ""
    submitted = {output: key for head in heads for output, key in head.jobs.items()}
    started = min(head.note.stat().st_mtime for head in heads)
    stale = 0
    for job in workflow.dag.jobs:
        if not job.output or str(job.output[0]) not in submitted or not _is_unrecorded(workflow, job, started):
            continue
        if submitted[str(job.output[0])] == _job_key(workflow, job):
            workflow.async_run(workflow.persistence.finished(job))
        else:
            workflow.persistence.started(job)
            stale += 1
    for head in heads:
        head.note.unlink(missing_ok=True)
    if stale:
        return (
            f"{stale} jobs of an earlier run that died were given other settings or tags; "
            "start again, and what they computed is computed anew"
        )
    return ""


def _is_unrecorded(workflow: Any, job: Any, started: float) -> bool:
    """Whether all files of a job are newer than a time [seconds], and Snakemake takes them for current unseen."""
    if workflow.dag.needrun(job) or workflow.persistence.has_metadata(job):
        return False
    return all(os.path.exists(path) and os.path.getmtime(path) >= started for path in job.output)
