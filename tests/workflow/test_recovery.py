"""Starting in the folder of a crashed workflow, and in that of one that is alive."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import wsgcn
from wsgcn.files import atomic_write
from wsgcn.workflow import recovery

HOLD = "import sys; from pathlib import Path; from wsgcn.workflow.recovery import acquire_workflow_lock, keep_lock\n"
HOLD += "acquire_workflow_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
HOLD_AS_JOB = HOLD.replace("acquire_workflow_lock(Path", "keep_lock(Path")


@contextmanager
def holding(state_folder, code, **environment):
    """A process that holds the workflow's lock in the folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])} | environment
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(state_folder)], env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def state_folder(tmp_path, monkeypatch):
    """Snakemake's folder with its locks; releases the locks of the test's process at the end."""
    for name in ("WSGCN_FOLDER", "WSGCN_WORKFLOW", "WSGCN_SNAKEMAKE_PID"):
        monkeypatch.setenv(name, "")  # so that the original value is restored at the end
        monkeypatch.delenv(name)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.input.lock").write_text("image")
    yield tmp_path
    while recovery._locks:
        recovery._locks.pop().close()


@pytest.fixture
def other(state_folder):
    """Another workflow that is alive in the folder."""
    (state_folder / "locks").rename(state_folder / "later")
    with holding(state_folder, HOLD) as process:
        (state_folder / "later").rename(state_folder / "locks")
        yield process


def test_locks_of_a_crashed_workflow_are_set_aside(state_folder):
    recovery.acquire_workflow_lock(state_folder)
    assert recovery.crashed(state_folder) and not (state_folder / "locks").exists()


def test_locks_of_a_living_workflow_stay(state_folder, other):
    recovery.acquire_workflow_lock(state_folder)
    assert not recovery.crashed(state_folder) and list((state_folder / "locks").iterdir())


def test_jobs_that_outlive_their_workflow_are_listed(state_folder, other, capsys):
    """Jobs of `other`, which is alive, are not listed; those of a crashed workflow are."""
    with holding(state_folder, HOLD_AS_JOB, WSGCN_SNAKEMAKE_PID=str(other.pid)):
        recovery.acquire_workflow_lock(state_folder)
        assert capsys.readouterr().err == ""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with holding(state_folder, HOLD_AS_JOB, WSGCN_SNAKEMAKE_PID=str(gone.pid)) as job:
        recovery.acquire_workflow_lock(state_folder)
        assert capsys.readouterr().err == (
            f"jobs of a crashed workflow still run in this folder: wait for them, or kill {job.pid}\n"
        )
    assert list((state_folder / "locks").iterdir())


def test_jobs_know_the_process_of_their_workflow(state_folder):
    recovery.acquire_workflow_lock(state_folder)
    with holding(state_folder, HOLD_AS_JOB) as job:
        assert recovery._snakemake_of(job.pid) == os.getpid()


def test_a_file_system_without_locks_is_no_error(state_folder, monkeypatch):
    def without_locks(*_):
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", without_locks)
    recovery.acquire_workflow_lock(state_folder)
    assert not recovery._locks and not recovery.crashed(state_folder)


def test_a_folder_keeps_its_name_which_is_written_atomically(state_folder, monkeypatch):
    recovery.acquire_workflow_lock(state_folder)
    name = os.environ["WSGCN_FOLDER"]
    recovery.acquire_workflow_lock(state_folder)
    assert os.environ["WSGCN_FOLDER"] == name == (state_folder / "name").read_text().split()[0]
    (state_folder / "name").unlink()

    def full(path, text):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        recovery.acquire_workflow_lock(state_folder)
    assert not (state_folder / "name").exists()


def test_a_moved_folder_keeps_its_name_and_a_copy_with_a_shared_store_gets_another(state_folder):
    folder, moved, copy = (state_folder / name for name in ("one", "moved", "copy"))
    folder.mkdir()
    name = recovery.folder_name(folder, shared=False)
    folder.rename(moved)
    shutil.copytree(moved, copy)
    assert recovery.folder_name(copy, shared=False) == name  # its store is a copy too, with runs of that name
    other = recovery.folder_name(copy, shared=True)
    assert recovery.folder_name(moved, shared=True) == name != other
    assert recovery.folder_name(copy, shared=True) == recovery.folder_name(copy, shared=False) == other
    (moved / "name").write_text(name)  # as older versions wrote it
    assert recovery.folder_name(moved, shared=True) == name == recovery.folder_name(moved, shared=True)


@pytest.mark.parametrize("found", [b"", b"\n", b"\xff\xfe"])
def test_a_garbled_name_is_replaced(found, state_folder):
    (state_folder / "name").write_bytes(found)
    assert recovery.folder_name(state_folder, shared=False) == recovery.folder_name(state_folder, shared=True)


def test_a_killed_process_holds_no_lock(state_folder, other):
    other.kill()
    other.wait()
    recovery.acquire_workflow_lock(state_folder)
    assert recovery.crashed(state_folder)


def test_a_new_folder_has_no_crashed_workflow(tmp_path):
    recovery.acquire_workflow_lock(tmp_path / ".snakemake")
    assert not recovery.crashed(tmp_path / ".snakemake")
    recovery._locks.pop().close()


def test_partial_files_of_dead_processes_are_deleted(state_folder):
    results = state_folder / "results"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, deep = results / f".{gone.pid}-a.npz", results / "cam" / "x" / f".{gone.pid}-b.png"
    with atomic_write(results / "cam" / "mine.png") as mine:
        for path in (dead, deep, results / ".hidden", results / "a.npz", mine):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        recovery.acquire_workflow_lock(state_folder)
        recovery.remove_partial_files(state_folder, results)
        left = {path.name for path in results.rglob("*") if path.is_file()}
        assert left == {".hidden", "a.npz", mine.name}
    assert not recovery.crashed(state_folder)
