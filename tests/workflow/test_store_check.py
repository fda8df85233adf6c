"""A results folder that cannot be written, and paths with `~`.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_store_check.py`.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_project import copy_workflow, write_config

from wsgcn.files import why_not_writable
from wsgcn.workflow.settings import expand_home
from wsgcn.workflow.store_check import open_address


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda path: path.symlink_to("nowhere"), "{path} is a link to nowhere, which does not exist"),
        (lambda path: path.write_text(""), "{path} cannot be written: File exists"),
        (lambda path: path.symlink_to("/dev/null"), "{path} cannot be written: File exists"),
        (lambda path: path.symlink_to("/proc/self"), "{path} cannot be written: No such file or directory"),
        (lambda path: path.mkdir(), None),
        (lambda path: None, None),
    ],
)
def test_why_a_folder_cannot_be_written(make, why, tmp_path):
    make(tmp_path / "results")
    assert why_not_writable(tmp_path / "results") == (why and why.format(path=tmp_path / "results"))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["nowhere", "/proc/self/task"])
def test_results_that_cannot_be_written_end_a_run_in_a_sentence_and_no_dry_run(target, tmp_path):
    copy_workflow(tmp_path)
    write_config(tmp_path, {"dataset": {"demo_train": 4, "demo_val": 2, "demo_size": 64}})
    (tmp_path / "results").symlink_to(target)
    planned, ran = run(tmp_path, "-n", "labels"), run(tmp_path, "labels")
    assert planned.returncode == 0 and "draw" in planned.stdout + planned.stderr
    assert ran.returncode and "Traceback" not in ran.stderr
    why = "results is a link to nowhere, which" if target == "nowhere" else "results/demo cannot be written: "
    assert ran.stderr.count(why) == 1


def test_home_is_expanded_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = {
        "dataset": {"root": "~/photos", "name": "~x"},
        "cam": {"folder": "~/cams"},
        "segmentation": {"training": {"backbone": {"weights": "~/w.pt"}}},
        "experiments": {"a": {"backbone": {"weights": "~/v.pt"}}, "b": None},
    }
    expand_home(config)
    assert config == {
        "dataset": {"root": "/home/me/photos", "name": "~x"},
        "cam": {"folder": "/home/me/cams"},
        "segmentation": {"training": {"backbone": {"weights": "/home/me/w.pt"}}},
        "experiments": {"a": {"backbone": {"weights": "/home/me/v.pt"}}, "b": None},
    }


def test_all_that_is_wrong_with_a_store_is_one_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow").mkdir()
    uri = "sqlite:///none/mlflow.db"
    open_address(uri, tmp_path / "mlflow", pytest.fail)  # a new one
    (tmp_path / "mlflow/store.json").write_text(f'{{"uri": "{uri}", "experiment_id": "1"}}')
    with pytest.raises(
        ValueError, match=r"^the MLflow store sqlite:///none/mlflow\.db is gone: bring it back, or delete "
    ):
        open_address(uri, tmp_path / "mlflow", pytest.fail)
    assert not (tmp_path / "none").exists()
