"""Stores that were moved, copied or renamed with their project, and what was deleted in MLflow's interface.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_location.py`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsgcn.files import read_json
from wsgcn.tracking.location import find_lost, follow_store

LOG = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from wsgcn.files import write_json
from wsgcn.tracking.runs import open_store
from wsgcn.tracking.tracker import Tracker
store = open_store("sqlite:///results/mlflow.db", "tiny", "results/mlartifacts")
write_json("results/tiny/mlflow/store.json", store)
for stage in ("refine", "pseudo"):
    with Tracker(store).run(stage, {"experiment": "base", "stage": stage}, {}, "") as run:
        Path("picture.png").write_text(stage)
        Tracker(store).log_files(run, ["picture.png"], [{"image": "a"}], "disagreement")
    write_json(f"results/tiny/mlflow/{stage}.json", {"run_id": run})
"""
SHOW = """
from pathlib import Path
from mlflow import MlflowClient
client = MlflowClient("sqlite:///results/mlflow.db")
for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
    file = client.download_artifacts(run.info.run_id, "disagreement/picture.png")
    print(run.info.run_name, Path(file).read_text(), run.info.artifact_uri.startswith(Path.cwd().as_uri() + "/"))
"""
DELETE = """
import sys
from mlflow import MlflowClient
client = MlflowClient("sqlite:///results/mlflow.db")
client.delete_run(sys.argv[1]) if len(sys.argv) > 1 else client.delete_experiment("1")
"""
RECOVER = """
from pathlib import Path
from wsgcn.workflow.store_check import recover_runs
recover_runs("sqlite:///results/mlflow.db", Path("results/tiny/mlflow"), print)
"""


def python(code, folder, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def follow(folder):
    return python(
        "from wsgcn.tracking.location import follow_store as f; print(*f('sqlite:///results/mlflow.db'))", folder
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "project"
    folder.mkdir()
    python(LOG, folder)
    return folder


@pytest.fixture
def project(original, tmp_path):
    """A store that was made in another folder, which is gone, as after a move: its files were there."""
    old, new = tmp_path / "first", tmp_path / "here"
    shutil.copytree(original, old)
    assert follow(old) == [f"{original.as_uri()}/results/mlartifacts"]
    old.rename(new)
    return new


SHOWN = ["pseudo pseudo True", "refine refine True"]


def test_a_moved_project_shows_its_pictures_and_writes_new_ones_to_itself(project):
    assert follow(project) == [f"{project.with_name('first').as_uri()}/results/mlartifacts"]
    assert follow(project) == [""]  # once is enough
    assert python(SHOW, project) == SHOWN
    python(LOG, project)
    assert not project.with_name("first").exists() and len(list(project.glob("results/mlartifacts/*"))) == 4


@pytest.mark.parametrize("name", ["a b", "é", "a#b", "a'b", "x" * 100, "here2"])
def test_a_copied_or_renamed_project_leaves_the_first_one_alone(name, project, tmp_path):
    follow(project)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    copy = Path(shutil.copytree(project, tmp_path / name))
    assert follow(copy) != [""]
    assert python(SHOW, copy) == SHOWN
    python(LOG, copy)
    assert len(list(copy.glob("results/mlartifacts/*"))) == 4
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_only_our_own_addresses_are_changed(project):
    change = "import sqlite3; s = sqlite3.connect('results/mlflow.db'); "
    change += (
        "s.execute(\"UPDATE experiments SET artifact_location = 's3://bucket/x' WHERE name = 'Default'\"); s.commit()"
    )
    python(change, project)
    follow(project)
    show = "from mlflow import MlflowClient as C; "
    show += "print(C('sqlite:///results/mlflow.db').get_experiment('0').artifact_location)"
    assert python(show, project) == ["s3://bucket/x"]


def test_a_store_outside_keeps_files_that_lie_elsewhere(project, tmp_path):
    shared = tmp_path / "shared/mlflow.db"
    shared.parent.mkdir()
    shutil.copy(project / "results/mlflow.db", shared)
    assert follow_store(f"sqlite:///{shared}") == []
    (tmp_path / "shared/mlartifacts").mkdir()
    (tmp_path / "first/results/mlartifacts").mkdir(parents=True)
    assert follow_store(f"sqlite:///{shared}") == []  # another project's files, which are where they were
    shutil.rmtree(tmp_path / "first")
    assert follow_store(f"sqlite:///{shared}") != []


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:///none.db"])
def test_other_stores_are_not_touched(uri):
    assert follow_store(uri) == [] and find_lost(uri, "1", ["a"]).gone == ()


def run_of(project, stage):
    return read_json(project / f"results/tiny/mlflow/{stage}.json")["run_id"]


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_what_was_deleted_is_restored_and_said(what, project):
    follow(project)
    assert python(RECOVER, project) == []
    python(DELETE, project, *([run_of(project, "refine")] if what == "run" else []))
    [said] = python(RECOVER, project)
    assert said.endswith("restored: 1 run" if what == "run" else "restored: the data set's experiment, with its runs")
    assert python(SHOW, project) == SHOWN and python(RECOVER, project) == []


def test_what_was_deleted_for_good_is_logged_again(project):
    forget = "import sqlite3, sys; s = sqlite3.connect('results/mlflow.db'); "
    python(
        forget + "s.execute('DELETE FROM runs WHERE run_uuid = ?', sys.argv[1:]); s.commit()",
        project,
        run_of(project, "refine"),
    )
    assert python(RECOVER, project) == ["MLflow no longer has what 1 file in results/tiny/mlflow named: logged again"]
    assert sorted(path.name for path in project.glob("results/tiny/mlflow/*")) == ["pseudo.json", "store.json"]
    python(forget + "s.execute('DELETE FROM experiments WHERE experiment_id = 1'); s.commit()", project)
    python(RECOVER, project)
    assert not list(project.glob("results/tiny/mlflow/*"))
