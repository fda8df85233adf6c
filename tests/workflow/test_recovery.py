"""A workflow that finds what a dead one left, and one that finds another alive."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import wsgcn
from wsgcn.files import atomic_write
from wsgcn.workflow import recovery as takeover

HOLD = "import sys; from pathlib import Path; from wsgcn.workflow.recovery import acquire_workflow_lock, keep_lock\n"
HOLD += "acquire_workflow_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
HOLD_AS_JOB = HOLD.replace("acquire_workflow_lock(Path", "keep_lock(Path")


@contextmanager
def holding(notes, code, **environment):
    """A process that holds our lock in the folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])} | environment
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(notes)], env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Snakemake's folder with locks in it; what a test's process holds is let go."""
    for name in ("WSGCN_FOLDER", "WSGCN_WORKFLOW", "WSGCN_SNAKEMAKE_PID"):
        monkeypatch.setenv(name, "")  # so that it is as before in the end
        monkeypatch.delenv(name)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.input.lock").write_text("image")
    yield tmp_path
    while takeover._locks:
        takeover._locks.pop().close()


@pytest.fixture
def other(notes):
    """Another workflow that lives in the folder."""
    (notes / "locks").rename(notes / "later")
    with holding(notes, HOLD) as process:
        (notes / "later").rename(notes / "locks")
        yield process


def test_locks_of_a_dead_workflow_are_set_aside(notes):
    takeover.acquire_workflow_lock(notes)
    assert takeover.crashed(notes) and not (notes / "locks").exists()


def test_locks_of_a_living_workflow_stay(notes, other):
    takeover.acquire_workflow_lock(notes)
    assert not takeover.crashed(notes) and list((notes / "locks").iterdir())


def test_jobs_that_outlive_their_workflow_are_named(notes, other, capsys):
    """`other` is a workflow, one of its jobs is not to be killed, that of a dead one may be."""
    with holding(notes, HOLD_AS_JOB, WSGCN_SNAKEMAKE_PID=str(other.pid)):
        takeover.acquire_workflow_lock(notes)
        assert capsys.readouterr().err == ""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with holding(notes, HOLD_AS_JOB, WSGCN_SNAKEMAKE_PID=str(gone.pid)) as job:
        takeover.acquire_workflow_lock(notes)
        assert capsys.readouterr().err == (
            f"jobs of a workflow that died still run here: wait for them, or kill {job.pid}\n"
        )
    assert list((notes / "locks").iterdir())


def test_the_jobs_of_a_workflow_know_it(notes):
    takeover.acquire_workflow_lock(notes)
    with holding(notes, HOLD_AS_JOB) as job:
        assert takeover._snakemake_of(job.pid) == os.getpid()


def test_a_lock_that_cannot_be_had_stops_nothing(notes, monkeypatch):
    def without_locks(*_):
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", without_locks)
    takeover.acquire_workflow_lock(notes)
    assert not takeover._locks and not takeover.crashed(notes)


def test_a_folder_keeps_its_name_and_gets_it_whole(notes, monkeypatch):
    takeover.acquire_workflow_lock(notes)
    name = os.environ["WSGCN_FOLDER"]
    takeover.acquire_workflow_lock(notes)
    assert os.environ["WSGCN_FOLDER"] == name == (notes / "name").read_text().split()[0]
    (notes / "name").unlink()

    def full(path, text):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        takeover.acquire_workflow_lock(notes)
    assert not (notes / "name").exists()


def test_a_folder_that_is_moved_keeps_its_name_and_a_copy_that_shares_a_store_gets_another(notes):
    folder, moved, copy = (notes / name for name in ("one", "moved", "copy"))
    folder.mkdir()
    name = takeover.folder_name(folder, shared=False)
    folder.rename(moved)
    shutil.copytree(moved, copy)
    assert takeover.folder_name(copy, shared=False) == name  # its store is a copy too, with the runs of that name
    other = takeover.folder_name(copy, shared=True)
    assert takeover.folder_name(moved, shared=True) == name != other
    assert takeover.folder_name(copy, shared=True) == takeover.folder_name(copy, shared=False) == other
    (moved / "name").write_text(name)  # as older versions wrote it
    assert takeover.folder_name(moved, shared=True) == name == takeover.folder_name(moved, shared=True)


@pytest.mark.parametrize("found", [b"", b"\n", b"\xff\xfe"])
def test_a_garbled_name_stops_nothing(found, notes):
    (notes / "name").write_bytes(found)
    assert takeover.folder_name(notes, shared=False) == takeover.folder_name(notes, shared=True)


def test_a_process_that_was_killed_holds_nothing(notes, other):
    other.kill()
    other.wait()
    takeover.acquire_workflow_lock(notes)
    assert takeover.crashed(notes)


def test_nothing_has_died_in_a_new_folder(tmp_path):
    takeover.acquire_workflow_lock(tmp_path / ".snakemake")
    assert not takeover.crashed(tmp_path / ".snakemake")
    takeover._locks.pop().close()


def test_half_written_files_of_dead_processes_are_deleted(notes):
    results = notes / "results"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, deep = results / f".{gone.pid}-a.npz", results / "cam" / "x" / f".{gone.pid}-b.png"
    with atomic_write(results / "cam" / "mine.png") as mine:
        for path in (dead, deep, results / ".hidden", results / "a.npz", mine):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        takeover.acquire_workflow_lock(notes)
        takeover.remove_partial_files(notes, results)
        left = {path.name for path in results.rglob("*") if path.is_file()}
        assert left == {".hidden", "a.npz", mine.name}
    assert not takeover.crashed(notes)
