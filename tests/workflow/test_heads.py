"""Jobs of a dead head: found by its note, waited for or cancelled, recorded. Slurm's commands are stand-ins that keep a
queue in files. Run alone: `python -m pytest tests/workflow/test_heads.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from configs import CONFIG

from wsgcn.workflow import heads
from wsgcn.workflow.experiments import merge
from wsgcn.workflow.slurm_logs import failures

SQUEUE = """#!/bin/sh
echo "$*" >>asked
for job in queue/*; do
    [ -f "$job" ] && echo "${job#queue/}|$(cat "$job")"
done
exit 0
"""
SCANCEL = """#!/bin/sh
case "$1" in --state=PENDING) only=PENDING; shift ;; esac
for job; do
    [ -n "$only" ] && [ "$(cat queue/$job)" != "$only" ] && continue
    rm -f queue/$job && echo "$job" >>cancelled
done
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory beside stand-ins for squeue and scancel."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "queue").mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    heads.drop_own_note()


def queue(**jobs: str) -> None:
    for job, state in jobs.items():
        Path("queue", job).write_text(state)


def end(*jobs: str):
    """A pause in which some jobs end, one a pause."""
    left = list(jobs)

    def sleep(seconds: float) -> None:
        if left:
            Path("queue", left.pop(0)).unlink(missing_ok=True)

    return sleep


def cancelled() -> list[str]:
    return Path("cancelled").read_text().split() if Path("cancelled").is_file() else []


def dead(config: dict = CONFIG, jobs: dict | None = None) -> heads.DeadHead:
    """What a head leaves that has died with this config."""
    note = Path(".snakemake/heads/0.json")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"name": "run-1", "settings": heads.settings_key(config), "jobs": jobs or {}}))
    (found,) = heads.dead_heads(Path(".snakemake"))
    return found


def test_a_living_head_is_none_that_died(folder):
    assert heads.keep_note(Path(".snakemake"), "run-1", CONFIG, {})
    assert heads.dead_heads(Path(".snakemake")) == []
    heads.drop_own_note()
    assert not list(Path(".snakemake/heads").iterdir())


def test_after_an_error_the_note_stays_while_slurm_has_jobs(folder):
    heads.keep_note(Path(".snakemake"), "run-1", CONFIG, {})
    queue(**{"11": "RUNNING"})
    heads.drop_own_note("run-1")
    assert len(list(Path(".snakemake/heads").iterdir())) == 1
    Path("queue/11").unlink()
    heads.drop_own_note("run-1")
    assert not list(Path(".snakemake/heads").iterdir())


def test_a_file_system_without_locks_keeps_no_note(folder, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(heads.fcntl, "flock", refuse)
    assert not heads.keep_note(Path(".snakemake"), "run-1", CONFIG, {})
    assert not list(Path(".snakemake/heads").iterdir())


def test_a_killed_head_leaves_the_name_of_its_jobs(folder):
    program = (
        "import json, os; from pathlib import Path; from wsgcn.workflow.heads import keep_note; "
        "keep_note(Path('.snakemake'), 'run-7', json.loads(Path('config.json').read_text()), {'a': 'b'}); "
        "os.kill(os.getpid(), 9)"
    )
    Path("config.json").write_text(json.dumps(CONFIG))
    library = str(Path(heads.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": library})
    assert done.returncode == -9
    (found,) = heads.dead_heads(Path(".snakemake"))
    assert found.name == "run-7" and found.settings == heads.settings_key(CONFIG) and found.jobs == {"a": "b"}


def test_running_jobs_are_waited_for_and_queued_ones_cancelled(folder):
    queue(**{"11": "RUNNING", "12": "PENDING", "13": "COMPLETING"})
    said: list[str] = []
    heads.wait_for_or_cancel_jobs([dead()], CONFIG, said.append, end("11", "13"))
    assert cancelled() == ["12"]
    assert said == [
        "cancelling 1 queued jobs of an earlier run that died; they are submitted again",
        "waiting for 2 jobs of an earlier run that died, which still run in Slurm: 11 13",
        "waiting for 1 jobs of an earlier run that died, which still run in Slurm: 13",
    ]
    assert all("--name=run-1" in line for line in Path("asked").read_text().splitlines())


@pytest.mark.parametrize(
    "change", [{"cluster": {"leftover": "cancel"}}, {"refine": {"lambda_ent": 7}}], ids=["as asked", "other settings"]
)
def test_all_are_cancelled_where_nobody_would_use_them(folder, change):
    head = dead()
    queue(**{"11": "RUNNING", "12": "PENDING"})
    said: list[str] = []
    heads.wait_for_or_cancel_jobs([head], merge(CONFIG, change), said.append, end())
    assert sorted(cancelled()) == ["11", "12"]
    assert said == ["cancelling 2 jobs in Slurm of an earlier run that died"]


@pytest.mark.parametrize("key", [key for key in heads.CHANGE_NO_JOB if key != "cluster"])
def test_what_reruns_nothing_makes_no_other_settings(key):
    assert key in CONFIG and heads.settings_key(CONFIG | {key: "other"}) == heads.settings_key(CONFIG)


def test_a_plan_says_what_is_left_and_touches_nothing(folder):
    queue(**{"11": "RUNNING"})
    said: list[str] = []
    heads.describe_left([dead()], said.append)
    assert said == ["1 jobs of an earlier run that died are still in Slurm: 11"] and Path("queue/11").is_file()


def test_a_slurm_that_does_not_answer_ends_the_run(folder):
    (folder / "programs/squeue").write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2; exit 1\n")
    with pytest.raises(ValueError, match=r"squeue cannot be asked .*Unable to contact.*remove .snakemake/heads"):
        heads.wait_for_or_cancel_jobs([dead()], CONFIG, print, end())
    said: list[str] = []
    heads.describe_left([dead()], said.append)
    assert "Unable to contact" in said[0]


class Workflow:
    """Of Snakemake's workflow what is used here: a job from before, one to record, one recorded, one without its files,
    one still to run, and one that no head has submitted."""

    def __init__(self, tags: str = "cat"):
        self.recorded: list[str] = []
        self.incomplete: list[str] = []
        names = ("old", "done", "known", "gone", "to-run", "another")
        for name in names:
            Path(name).write_text("")
            os.utime(name, (2**32, 2**32))  # after any note
        os.utime("old", (1, 1))
        Path("gone").unlink()
        jobs = [SimpleNamespace(name=name, output=[name]) for name in names]
        self.dag = SimpleNamespace(jobs=jobs, needrun=lambda job: job.name == "to-run")
        self.persistence = SimpleNamespace(
            has_metadata=lambda job: job.name == "known",
            finished=lambda job: job.name,
            started=lambda job: self.incomplete.append(job.name),
            _input=lambda job: ["a.png"],
            _params=lambda job: [tags],
        )
        self.async_run = self.recorded.append

    def submitted(self) -> dict[str, str]:
        return heads.job_keys(self, self.dag.jobs[:-1])


def test_what_a_dead_heads_jobs_computed_is_recorded(folder):
    workflow = Workflow()
    head = dead(jobs=workflow.submitted())
    assert heads.record_finished_jobs(workflow, [head]) == ""
    assert workflow.recorded == ["done"] and workflow.incomplete == [] and not head.note.exists()


def test_what_was_computed_from_other_tags_is_computed_again(folder):
    head, workflow = dead(jobs=Workflow().submitted()), Workflow(tags="dog")
    said = heads.record_finished_jobs(workflow, [head])
    assert said.startswith("1 jobs of an earlier run that died were given other settings or tags; start again")
    assert workflow.incomplete == ["done"] and workflow.recorded == [] and not head.note.exists()


def test_why_a_job_failed_is_read_from_slurms_log(folder):
    logs = Path(".snakemake/slurm_logs")
    for name, text in {
        "rule_a/1": "Using shell\nsrun: error: vm: task 0: Out Of Memory\nsrun: error: vm: task 0: Out Of Memory\n",
        "rule_b/2": "slurmstepd: error: *** JOB 2 ON vm CANCELLED AT noon DUE TO TIME LIMIT ***\n",
        "rule_c/3": "ModuleNotFoundError: No module named 'torch'\n",
        "rule_d/4": "nothing to say\n",
        "rule_e/5": "srun: error: long ago\n",
    }.items():
        path = logs / f"{name}.log"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    os.utime(logs / "rule_e/5.log", (1, 1))
    found = sorted(failures(Path(".snakemake"), 1000))
    assert found == [
        f"Slurm's job 1: srun: error: vm: task 0: Out Of Memory (more in {logs}/rule_a/1.log)",
        "Slurm's job 2: slurmstepd: error: *** JOB 2 ON vm CANCELLED AT noon DUE TO TIME LIMIT *** "
        f"(more in {logs}/rule_b/2.log)",
        f"Slurm's job 3: ModuleNotFoundError: No module named 'torch' (more in {logs}/rule_c/3.log)",
    ]
