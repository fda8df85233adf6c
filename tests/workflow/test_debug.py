"""A job's script outside Snakemake, as a debugger or a notebook runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def clone(project, tmp_path) -> Path:
    """A finished project of one's own, since the scripts write into it."""
    return shutil.copytree(project, tmp_path / "clone", symlinks=True)


def run(folder, *arguments: str, keys: str = "") -> subprocess.CompletedProcess:
    """`python -m wsgcn.workflow.debug` in a project, with what is typed at the debugger's prompt."""
    command = [sys.executable, "-m", "wsgcn.workflow.debug", *arguments]
    return subprocess.run(command, cwd=folder, input=keys, capture_output=True, text=True)


def a_batch(clone: Path) -> tuple[str, str]:
    """A batch of partial labels and its first image."""
    table = sorted((clone / "results/tiny/seconds/partial").glob("train_*.csv"))[0]
    return table.stem, table.read_text().splitlines()[1].split(",")[0]


def test_the_script_of_a_job_writes_the_same_outside_snakemake(clone):
    batch, image = a_batch(clone)
    labels = {path: path.read_bytes() for path in (clone / "results/tiny/partial").glob("*.png")}
    (clone / f"results/tiny/partial/{image}.png").unlink()
    log = clone / f"results/tiny/logs/partial/{batch}.log"
    before = log.read_bytes()
    done = run(clone, f"partial_{batch}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert labels == {path: path.read_bytes() for path in labels} and log.read_bytes() == before


def test_the_debugger_opens_at_the_error(clone):
    batch, image = a_batch(clone)
    (clone / f"results/tiny/cam/{image}.npz").unlink()
    done = run(clone, f"partial_{batch}", keys="p 'reached'\nq\n")
    assert "(Pdb)" in done.stdout and "'reached'" in done.stdout and f"{image}.npz" in done.stderr


def test_a_rule_that_is_not_there_is_named(clone):
    done = run(clone, "partial_unknown")
    assert done.returncode != 0 and "no rule is named partial_unknown" in done.stderr


def test_options_before_the_rule_are_refused(clone):
    done = run(clone, "--configfile", "config.yaml", "partial_train_0")
    assert done.returncode == 2 and "the rule must come first" in done.stderr
