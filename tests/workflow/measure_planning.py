"""Measure what planning costs on a data set of VOC's or COCO's size: CPU seconds of all processes and peak memory.

    .venv/bin/python tests/workflow/draw_devkit.py /tmp/voc/VOC2012
    .venv/bin/python tests/workflow/measure_planning.py /tmp/voc/VOC2012 --work /tmp/planning
    .venv/bin/python tests/workflow/draw_coco.py /tmp/coco
    .venv/bin/python tests/workflow/measure_planning.py /tmp/coco --config coco --target labels --only new again job

Works on a copy of the project (`--project`, by default this one) with configs/voc2012.yaml, or another one of configs/.
It measures

    new        `snakemake -n`, nothing computed yet
    again      the same once the sizes of the images are cached
    job        one remote job of a batch, by the command that a cluster executor submits, planned (`-n`) only
    empty      a run whose jobs write their files' names into them: what Snakemake itself needs to schedule and record
    finished   `snakemake -n` after that, which must plan nothing

`--only new job` measures some of them. Measure alone: on a busy machine CPU seconds grow by a third.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PARTS = ("Snakefile", "config.yaml", "configs", "envs", "profiles", "rules", "workflow_scripts")
MEASURES = ("new", "again", "job", "empty", "finished")
SNAKEMAKE = (sys.executable, "-m", "snakemake")

# What Snakemake 9.27 (`spawn_jobs.py`, `executors/real.py` of its executor interface) gives each remote job.
REMOTE = """--snakefile Snakefile --target-jobs {rule}: --allowed-rules {rule} --cores 1 --attempt 1 --force-use-threads
--force --target-files-omit-workdir-adjustment --keep-storage-local-copies --max-inventory-time 0 --retries 0 --nocolor
--no-hooks --nolock --ignore-incomplete --rerun-triggers code input mtime params software-env --conda-frontend conda
--shared-fs-usage input-output persistence software-deployment source-cache sources storage-local-copies
--wrapper-prefix https://github.com/snakemake/snakemake-wrappers/raw/ --latency-wait 5 --scheduler greedy
--local-storage-prefix base64//LnNuYWtlbWFrZS9zdG9yYWdl --default-resources base64//dG1wZGlyPXN5c3RlbV90bXBkaXI=
--mode remote"""


def copy_project(project: Path, work: Path, devkit: Path) -> Path:
    """A fresh copy of what planning reads of a project, with a config file that names the devkit."""
    folder = work / "project"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "results").mkdir(parents=True)
    for part in PARTS:
        source = project / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    (folder / "devkit.yaml").write_text(f"dataset: {{root: {devkit.resolve()}}}\n")
    return folder


def measure(name: str, command: list[str], folder: Path) -> str:
    """Run a command to its end, print its CPU seconds and peak memory, and return what it printed."""
    log = folder / f"{name}.log"
    with open(log, "w") as stream:
        environment = os.environ | {"PYTHONPATH": str(folder / "workflow_scripts")}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)  # with those of its own children that it has waited for
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name}: exit {process.returncode}, see {log}")
    seconds, gigabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2
    print(f"{name:9} {seconds:7.1f} CPU s {gigabytes:6.2f} GB", flush=True)
    return log.read_text()


def config_files(config: str) -> tuple[str, ...]:
    """The option that names a file of configs/, and the one that names the data set."""
    return "--configfile", f"configs/{config}.yaml", "devkit.yaml"


def finish(config: str, target: str) -> None:
    """In the project's folder: write every output of the target, and have Snakemake schedule, touch and record them."""
    from snakemake import cli
    from snakemake.executors import touch
    from snakemake.io import _IOFile
    from snakemake.workflow import Workflow

    build_dag, checksum, checksums = Workflow._build_dag, _IOFile.checksum, {}

    def build_and_fake(workflow) -> None:
        build_dag(workflow)
        for job in workflow.dag.needrun_jobs():
            for path in (*job.output, *job.log, *([job.benchmark] if job.benchmark else [])):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text(path)

    async def checksum_once(file, *arguments) -> str | None:
        """Snakemake reads every input again for every output that it records; the faked files do not change."""
        if str(file) not in checksums:
            checksums[str(file)] = await checksum(file, *arguments)
        return checksums[str(file)]

    Workflow._build_dag, _IOFile.checksum = build_and_fake, checksum_once
    touch.Executor.SLEEPING_TIME = 0
    options = ["--touch", "--cores", "1", "--no-hooks", "--quiet", "all"]
    sys.argv = ["snakemake", *options, *config_files(config), "--", target]
    cli.main(sys.argv[1:])


def main(project: Path, work: Path, devkit: Path, wanted: list[str], config: str, target: str) -> None:
    """Measure and print; `finished` needs what `empty` leaves."""
    folder, files = copy_project(project, work, devkit), config_files(config)
    dry = [*SNAKEMAKE, "-n", *files, "--", target]
    planned = measure("new", dry, folder)
    print(f"          {re.search(r'^total +([0-9]+)', planned, re.MULTILINE)[1]} jobs planned")
    if "again" in wanted:
        measure("again", dry, folder)
    if "job" in wanted:
        rule = re.search(r"^(refine_\w[\w.-]*_train_\w+) +1$", planned, re.MULTILINE)[1]
        log = measure("job", [*SNAKEMAKE, *REMOTE.format(rule=rule).split(), "-n", "--configfiles", *files[1:]], folder)
        if not re.search(rf"^{re.escape(rule)} +1$", log, re.MULTILINE):
            sys.exit(f"the job {rule} is not planned: see {folder}/job.log")
    if {"empty", "finished"} & set(wanted):
        fake = [sys.executable, __file__, "--finish", "--config", config, "--target", target]
        measure("empty", fake, folder)
        records = sum(len(files) for _, _, files in os.walk(folder / ".snakemake/metadata"))
        print(f"          {records} records in .snakemake/metadata")
    if "finished" in wanted:
        if "Nothing to be done" not in measure("finished", dry, folder):
            sys.exit(f"the finished project is not: see {folder}/finished.log")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devkit", type=Path, nargs="?", help="what draw_devkit.py or draw_coco.py made")
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--work", type=Path, default=Path("/tmp/planning"), help="folder of the copy")
    parser.add_argument("--config", default="voc2012", help="name of a file in configs/")
    parser.add_argument("--target", default="all", help="what is planned")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=MEASURES)
    parser.add_argument("--finish", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.finish:
        finish(given.config, given.target)
    else:
        main(given.project, given.work, given.devkit, given.only, given.config, given.target)
