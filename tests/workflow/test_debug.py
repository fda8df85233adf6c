"""A job's script outside Snakemake, as a debugger or a notebook runs it."""

import subprocess
import sys

from wsgcn.files import read_label


def run(folder, *arguments: str, keys: str = "") -> subprocess.CompletedProcess:
    """`python -m wsgcn.workflow.debug` in a project, with what is typed at the debugger's prompt."""
    command = [sys.executable, "-m", "wsgcn.workflow.debug", *arguments]
    return subprocess.run(command, cwd=folder, input=keys, capture_output=True, text=True)


def test_the_script_of_a_job_writes_the_same_outside_snakemake(project, results):
    (rule,) = [path.stem for path in (results / "seconds/partial").glob("train_*.csv")][:1]
    labels = {path: path.read_bytes() for path in (results / "partial").glob("*.png")}
    log = results / f"logs/partial/{rule}.log"
    before = log.read_bytes()
    done = run(project, f"partial_{rule}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert labels == {path: path.read_bytes() for path in labels} and log.read_bytes() == before


def test_the_debugger_opens_at_the_error(project, results):
    (rule,) = [path.stem for path in (results / "seconds/partial").glob("train_*.csv")][:1]
    cam = sorted((results / "cam").glob("*.npz"))[0]
    away = cam.with_suffix(".away")
    cam.rename(away)
    try:
        done = run(project, f"partial_{rule}", keys="p 'reached'\nq\n")
    finally:
        away.rename(cam)
    assert "(Pdb)" in done.stdout and "'reached'" in done.stdout and cam.name in done.stderr
    assert read_label(results / f"partial/{cam.stem}.png").any()


def test_a_rule_that_is_not_there_is_named(project):
    done = run(project, "partial_unknown")
    assert done.returncode != 0 and "no rule is named partial_unknown" in done.stderr


def test_options_before_the_rule_are_refused(project):
    done = run(project, "--configfile", "config.yaml", "partial_train_0")
    assert done.returncode == 2 and "the rule must come first" in done.stderr
