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

from wsgcn.files import atomic_write, read_json
from wsgcn.workflow.sharing import fingerprint

POLL_SECONDS = 10
"""Between two questions whether a dead head's jobs have ended."""

RERUNS_NOTHING = (
    "cluster device device_batch crf_backend on_error on_flat_affinity training_threads loading_threads "
    "checkpoint_seconds"
).split()
"""Settings that change no result, so that jobs submitted with other values of theirs are as good."""

_locks: dict[Path, TextIO] = {}  # of this process's own note


@dataclass(frozen=True)
class DeadHead:
    """A dead head's note. name: that of its jobs in Slurm; settings: `settings_key` of its config."""

    note: Path
    name: str
    settings: str


def settings_key(config: Mapping) -> str:
    """Equal for configs with which the same jobs compute the same."""
    changing = fingerprint({key: value for key, value in config.items() if key not in RERUNS_NOTHING})
    return hashlib.sha256(changing.encode()).hexdigest()


def keep_note(folder: Path, name: str, config: Mapping) -> None:
    """Note in Snakemake's `folder` that this process submits jobs with a name, as long as it lives."""
    note = folder / "heads" / f"{uuid.uuid4().hex}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(note) as path:
        path.write_text(json.dumps({"name": name, "settings": settings_key(config)}))
    stream = open(note, "r+")  # noqa: SIM115
    fcntl.flock(stream, fcntl.LOCK_EX)
    _locks[note] = stream


def drop_own_note() -> None:
    """Forget this process's note, at the end of a run that has seen all of its jobs end."""
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
        return DeadHead(note, found["name"], found["settings"])
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
        help = "where none can be left, remove .snakemake/heads"
        raise ValueError(f"an earlier run died, and squeue cannot be asked for its jobs ({why}); {help}")
    return dict(line.split("|", 1) for line in done.stdout.split() if "|" in line)


def cancel_jobs(ids: Iterable[str], *options: str) -> None:
    """Cancel jobs in Slurm; those that have ended meanwhile are left alone."""
    subprocess.run(["scancel", *options, *ids], capture_output=True, timeout=120)


def settle(
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


def adopt(workflow: Any, heads: list[DeadHead], config: Mapping) -> str:
    """Have Snakemake record what jobs of dead heads computed, as their head would have; their notes go.

    workflow: Snakemake's, with its graph of jobs. Jobs of other settings are marked as incomplete instead, and the
    sentence returned says that the run must be started again; it is empty otherwise. Without a record Snakemake would
    take their files for current whatever the settings.
    """
    if not heads:
        return ""
    started = min(head.note.stat().st_mtime for head in heads)
    unknown = [
        job
        for job in workflow.dag.jobs
        if job.output
        and not workflow.dag.needrun(job)
        and not workflow.persistence.has_metadata(job)
        and all(os.path.getmtime(path) >= started for path in job.output)
    ]
    same = all(head.settings == settings_key(config) for head in heads)
    for job in unknown:
        if same:
            workflow.async_run(workflow.persistence.finished(job))
        else:
            workflow.persistence.started(job)
    for head in heads:
        head.note.unlink(missing_ok=True)
    if unknown and not same:
        return (
            f"{len(unknown)} jobs of an earlier run that died had other settings; "
            "start again, and what they computed is computed anew"
        )
    return ""
