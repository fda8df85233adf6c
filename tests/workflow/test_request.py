"""What a command line of Snakemake asks for."""

import pytest
from snakemake.cli import get_argument_parser
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from wsgcn.workflow.request import PLANNING_OPTIONS, Request, asked_experiments, read_request

EXPERIMENTS = ["base", "walk", "walk-2", "psa"]
OWNERS = {"cam": {"": "base"}, "psa_label": {"": "psa"}, "refined": {"base/": "base", "walk/": "walk"}}


def asked(*arguments: str, needs=None) -> list[str] | None:
    request = read_request(["/somewhere/bin/snakemake", *arguments])
    return asked_experiments(request, "base", EXPERIMENTS, OWNERS, needs or {})


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["base"]),
        (("--cores", "2", "-n", "all"), ["base"]),
        (("--cores", "2", "--configfile", "walk.yaml"), ["base"]),  # a file is no target
        (("--config", "refine={lambda_ent: 0.2}", "--", "labels"), ["base"]),
        (("--config", "predict=walk", "--", "predict", "onnx"), ["base"]),
        (("psa",), ["base", "psa"]),
        (("walk-2",), ["base", "walk-2"]),
        (("results/x/pseudo/walk/a.png",), ["base", "walk", "psa"]),  # and whoever has a folder without a name
        (("results/walk/psa/labels/a.png",), ["base", "walk", "psa"]),  # of a data set with an experiment's name
        (("results/x/psa/labels/a.png",), ["base", "psa"]),
        (("results/x/cam/a.npz",), ["base", "psa"]),  # of whoever has a folder without a name
        (("--forcerun", "refine_walk_train_0"), ["base", "walk", "psa"]),
        (("compare_walk_with_base",), ["base", "walk", "psa"]),
        (("results/x/ablations/table.csv",), None),
        (("results/x/benchmark/core.csv",), ["base", "walk"]),
        (("results/x/mlflow/benchmark.json",), ["base", "walk"]),
        (("--until", "pseudo_psa_train_0", "--", "all"), ["base", "psa"]),
        (("ablations",), None),
        (("all", "ablations", "--report", "x.html"), None),
        (("--list",), None),
        (("bench",), ["base", "walk"]),
        (("choose",), ["base", "walk", "psa"]),
        (("results/x/choice/labels/walk-2.json",), ["base", "walk", "walk-2", "psa"]),
        (("results/x/pseudo/choice/walk-2/a.png",), ["base", "walk", "walk-2", "psa"]),
    ],
)
def test_a_command_line_says_which_experiments_are_needed(arguments, found):
    assert (
        asked(
            *arguments,
            needs={"bench": ["walk"], "benchmark": ["walk"], "choice": ["walk", "psa"], "choose": ["walk", "psa"]},
        )
        == found
    )


def test_a_job_of_a_cluster_may_run_its_own_rules_alone():
    line = "--target-jobs cam_train_0: --allowed-rules cam_train_0 --cores 1 --mode remote".split()
    request = read_request(["/x/lib/python3.11/site-packages/snakemake/__main__.py", *line])
    assert request.allowed == {"cam_train_0"}
    assert asked_experiments(request, "base", EXPERIMENTS, OWNERS) is None


@pytest.mark.parametrize("argv", [[], ["pytest", "-q"], ["notebook"], ["/x/ipython", "walk"]])
def test_other_programs_get_every_rule(argv):
    assert read_request(argv) == Request(everything=True)


def test_a_command_line_that_snakemake_refuses_gets_every_rule():
    assert read_request(["snakemake", "--cores", "2", "--rerun-triggers", "nothing"]) == Request(everything=True)


@pytest.mark.parametrize(
    "words, plans, needs",
    [
        ([], False, True), (["labels"], False, False), (["-n"], True, False),
        (["predict"], False, False), (["onnx"], False, False), (["predict", "all"], False, True),
        (["--forcerun", "summary_wsgcn-i"], False, True),
        (["results/a/partial/x.png"], False, False), (["results/a/mlflow/store.json"], False, True),
    ],
)  # fmt: skip
def test_which_runs_ask_the_store(words, plans, needs):
    request = read_request(["snakemake", "--cores", "2", *words])
    assert (request.plans_only, request.needs_store) == (plans, needs)
    assert request.dry_run == plans and not read_request(["snakemake", "--lint"]).dry_run


def test_the_options_that_only_plan_are_snakemake_s_and_off():
    options = vars(get_argument_parser().parse_args([]))
    assert set(PLANNING_OPTIONS) <= set(options) and not any(options[name] for name in PLANNING_OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("labels",), True),
        (("--cores", "2", "-n", "--", "labels"), True),
        ((), False),
        (("labels", "all"), False),
        (("--forcerun", "evaluate_cam", "--", "labels"), False),
        (("--list", "labels"), False),
        (("--allowed-rules", "labels", "--", "labels"), False),
    ],
)
def test_a_command_line_may_ask_for_labels_alone(arguments, expected):
    request = read_request(["/somewhere/bin/snakemake", *arguments])
    assert request.labels_only == expected


@pytest.mark.parametrize(
    ("arguments", "remote"),
    [
        (("--cores", "2"), False),
        (("-n", "--executor", "local"), False),
        (("--touch",), False),
        (("--executor", "slurm", "-n"), True),
        (("--allowed-rules", "cam_train_0", "--mode", "remote"), True),
        (("--allowed-rules", "cam_train_0", "--mode", "subprocess", "--executor", "slurm"), False),
        (("--workflow-profile", "there"), True),
        (("--profile", "there"), True),
        (("--workflow-profile", "there", "--executor", "local"), False),
        (("--workflow-profile", "none"), False),
    ],
)
def test_a_command_line_or_its_profile_says_whether_jobs_run_elsewhere(arguments, remote, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text("")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/config.yaml").write_text("executor: slurm\n")
    plugins = ExecutorPluginRegistry().plugins
    monkeypatch.setitem(plugins, "slurm", plugins["local"])  # stands in for a plugin that need not be installed
    assert read_request(["snakemake", *arguments]).remote == remote
