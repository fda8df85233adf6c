"""A workflow that finds what a dead one left, and one that finds another alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wsgcn
from wsgcn import takeover
from wsgcn.files import whole_file

HOLD = "import sys; from pathlib import Path; from wsgcn.takeover import take_over\n"
HOLD += "take_over(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def notes(tmp_path):
    """Snakemake's folder with locks in it; what a test's process holds is let go."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.input.lock").write_text("image")
    yield tmp_path
    while takeover._held:
        takeover._held.pop().close()


@pytest.fixture
def other(notes):
    """Another process that holds our lock in the folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])}
    arguments = [sys.executable, "-c", HOLD, str(notes)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    (notes / "locks").rename(notes / "later")
    with subprocess.Popen(arguments, env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        (notes / "later").rename(notes / "locks")
        yield process
        process.kill()


def test_locks_of_a_dead_workflow_are_set_aside(notes):
    takeover.take_over(notes)
    assert takeover.died(notes) and not (notes / "locks").exists()


def test_locks_of_a_living_workflow_stay(notes, other):
    takeover.take_over(notes)
    assert not takeover.died(notes) and list((notes / "locks").iterdir())


def test_jobs_that_outlive_their_workflow_are_named(notes, other, capsys):
    takeover.take_over(notes)
    assert capsys.readouterr().err == ""  # `other` leads, and lives
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (notes / "leader").write_text(str(gone.pid))
    takeover.take_over(notes)
    assert capsys.readouterr().err == (
        f"jobs of a workflow that died still run here: wait for them, or kill {other.pid}\n"
    )
    assert list((notes / "locks").iterdir())


def test_a_process_that_was_killed_holds_nothing(notes, other):
    other.kill()
    other.wait()
    takeover.take_over(notes)
    assert takeover.died(notes)


def test_nothing_has_died_in_a_new_folder(tmp_path):
    takeover.take_over(tmp_path / ".snakemake")
    assert not takeover.died(tmp_path / ".snakemake")
    takeover._held.pop().close()


def test_half_written_files_of_dead_processes_are_deleted(notes):
    results = notes / "results"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, deep = results / f".{gone.pid}-a.npz", results / "cam" / "x" / f".{gone.pid}-b.png"
    with whole_file(results / "cam" / "mine.png") as mine:
        for path in (dead, deep, results / ".hidden", results / "a.npz", mine):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        takeover.take_over(notes)
        takeover.clear_up(notes, results)
        left = {path.name for path in results.rglob("*") if path.is_file()}
        assert left == {".hidden", "a.npz", mine.name}
    assert not takeover.died(notes)
