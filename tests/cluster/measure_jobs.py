"""Count the jobs that a run submits to Slurm, and the minutes that they are estimated to take. Nothing is submitted.

    .venv/bin/python tests/workflow/draw_devkit.py /tmp/voc/VOC2012
    .venv/bin/python tests/cluster/measure_jobs.py /tmp/voc/VOC2012 --work /tmp/jobs labels

Plans (`-n`) with profiles/slurm and configs/voc2012.yaml on a copy of the project, and prints the jobs of the cluster
by stage, the minutes of the shortest, the middle and the longest, and what planning took. Needs the plugin
snakemake-executor-plugin-slurm.
"""

import argparse
import os
import resource
import statistics
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from measure_planning import CONFIG, copy_project


def submitted(workflow) -> dict[str, list[tuple[int, float]]]:
    """{what rules' names begin with: (batches, minutes) of each job of the cluster}, of a planned workflow."""
    from wsgcn.workflow.cluster import SPARE_MINUTES, START_SECONDS, cluster_stages

    cluster, stages = workflow.globals["CLUSTER"], sorted(cluster_stages(), key=len, reverse=True)
    found: dict = defaultdict(lambda: [0, 0.0, ""])
    for job in workflow.dag.needrun_jobs():
        name = job.rule.name
        if name in workflow._localrules or job.rule.norun:
            continue
        stage = next(stage for stage in stages if name == stage or name.startswith(f"{stage}_"))
        own, ids = found[workflow.dag.get_job_group(job) or job], job.params.get("ids")
        if job.group:
            seconds = len(ids) * cluster.demand(stage).seconds + START_SECONDS
        else:  # a training, whose images are shown many times: from its time limit
            seconds = 60 * (job.resources["runtime"] - SPARE_MINUTES) / cluster.settings["time_factor"]
        own[0], own[1], own[2] = own[0] + 1, own[1] + seconds / 60, stage
    by_stage: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for batches, minutes, stage in found.values():
        by_stage[stage].append((batches, minutes))
    return dict(by_stage)


def show(by_stage: dict[str, list[tuple[int, float]]]) -> None:
    """Print the table."""
    print(f"{'stage':16} {'jobs':>5} {'batches':>8} {'minutes: least':>15} {'middle':>8} {'most':>8}")
    for stage, jobs in by_stage.items():
        minutes = [own for _, own in jobs]
        shown = "".join(f"{f(minutes):>{width}.1f}" for f, width in ((min, 16), (statistics.median, 9), (max, 9)))
        print(f"{stage:16} {len(jobs):>5} {sum(batches for batches, _ in jobs):>8}{shown}")
    print(f"{'all':16} {sum(map(len, by_stage.values())):>5}")


def main(devkit: Path, work: Path, targets: list[str], config: list[str]) -> None:
    """Plan in this process and print."""
    folder = copy_project(Path(__file__).parents[2], work, devkit)
    os.chdir(folder)
    sys.argv = ["snakemake", "-n", "--quiet", "all", "--workflow-profile", "profiles/slurm"]
    sys.argv += [*CONFIG, *(["--config", *config] if config else []), "--", *targets]
    from snakemake import cli
    from snakemake.scheduling.job_scheduler import JobScheduler

    def schedule(scheduler) -> bool:
        show(submitted(scheduler.workflow))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"planned in {used.ru_utime + used.ru_stime:.0f} CPU s and {used.ru_maxrss / 1024**2:.2f} GB")
        return True

    JobScheduler.schedule = schedule
    cli.main(sys.argv[1:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devkit", type=Path, help="a VOC2012 folder that draw_devkit.py made")
    parser.add_argument("targets", nargs="*", default=["labels"])
    parser.add_argument("--work", type=Path, default=Path("/tmp/jobs"), help="folder of the copy")
    parser.add_argument("--config", nargs="*", default=[], help="as of Snakemake")
    given = parser.parse_intermixed_args()
    main(given.devkit, given.work, given.targets, given.config)
