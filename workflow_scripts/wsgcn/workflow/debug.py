"""Run one job's script in this process, in a debugger.

    .venv/bin/python -m wsgcn.workflow.debug refine_wsgcn-i_train_0 --configfile configs/voc-animals.yaml
    .venv/bin/python -m wsgcn.workflow.debug partial_train_0 --break

From the project's folder; options come after the rule. The inputs must exist. The script prints to the terminal
instead of its log, and where it fails the debugger opens at the error; `--break` opens it at the script's first line.
The job's outputs are written.
In a notebook, `mock_snakemake(rule)` gives the `snakemake` object that the script would get.
"""

import argparse
import os
import pdb
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from wsgcn.workflow.jobs import UNLOGGED_VARIABLE


def mock_snakemake(rule: str, *options: str):
    """The `snakemake` object that Snakemake would give to a rule's script, and the script's path.

    options: of Snakemake's command line, as `--configfile`. Raises snakemake.exceptions.UnknownRuleException where no
    rule has this name.
    """
    from snakemake import cli
    from snakemake.dag import DAG
    from snakemake.iocontainers import Wildcards
    from snakemake.jobs import Job
    from snakemake.script import Snakemake
    from snakemake.workflow import Workflow

    workflows, execute, argv = [], Workflow.execute, sys.argv

    def collect(workflow: Workflow, *_, **__) -> bool:  # in place of planning
        workflows.append(workflow)
        return True

    Workflow.execute = collect
    sys.argv = ["snakemake", "--cores", "1", "--dry-run", "--quiet", "all", *options, "--", rule]
    try:
        cli.main(sys.argv[1:])
    except SystemExit as end:
        if end.code or not workflows:
            raise
    finally:
        Workflow.execute, sys.argv = execute, argv
    (workflow,) = workflows
    found = workflow.get_rule(rule)
    job = Job(found, DAG(workflow, rules=[]), Wildcards())
    for path in (*job.output, *job.log):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    values = (job.input, job.output, job.params, job.wildcards, 1, job.resources, job.log, workflow.config, rule, None)
    script = Path(str(found.basedir.join(found.script)))
    return Snakemake(*values, str(script.parent)), script


def main(arguments: Sequence[str]) -> None:
    """Run the script of a rule in the debugger."""
    parser = argparse.ArgumentParser(
        prog="python -m wsgcn.workflow.debug",
        usage="%(prog)s rule [--break] [options of snakemake]",
        description="Run one job's script in a debugger. All options come after the rule; those that are not listed "
        "below, such as --configfile, go to Snakemake.",
    )
    parser.add_argument("rule", help="its name, as `snakemake --list` prints it")
    parser.add_argument("--break", action="store_true", dest="stops", help="stop at the script's first line")
    options, others = parser.parse_known_args(arguments)
    if options.rule != arguments[0]:
        parser.error("the rule must come first, before all options")
    from snakemake.exceptions import UnknownRuleException

    try:
        snakemake, script = mock_snakemake(options.rule, *others)
    except UnknownRuleException:
        sys.exit(f"no rule is named {options.rule}; `snakemake --list` prints the names")
    os.environ[UNLOGGED_VARIABLE] = "yes"
    try:
        if options.stops:
            pdb.Pdb().run(compile(script.read_text(), str(script), "exec"), {"snakemake": snakemake})
        else:
            runpy.run_path(str(script), {"snakemake": snakemake}, "__main__")
    except Exception:
        traceback.print_exc()
        pdb.post_mortem(sys.exc_info()[2])


if __name__ == "__main__":
    main(sys.argv[1:])
