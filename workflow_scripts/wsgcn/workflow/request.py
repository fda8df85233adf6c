"""What a run of Snakemake asks for, read off its command line: a large project states no more rules than that.

While the Snakefile is read, Snakemake does not know its targets yet (`workflow.dag_settings` is None).
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import chdir, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from wsgcn.workflow.stages import EXPORTERS

PROGRAMS = ("snakemake", "__main__.py")
"""What a command line of Snakemake begins with; any other program that reads the Snakefile gets every rule."""

BASE_TARGETS = ("all", "labels", "review", "store", "views", "predict", "onnx", "export", "import_corrections")
"""Rules that need the base experiment alone."""

FIXED_RULES = (
    *BASE_TARGETS,
    "ablations",
    "bench",
    "benchmark_core",
    "benchmark_kinds",
    "choose",
    "choose_settings",
    "solve_heads",
    *(f"export_{name}" for name in EXPORTERS),
)
"""Rules whose names no experiment may have, stated or not."""

UNLOGGED = ("labels", "predict", "onnx", "export", "import_corrections")
"""Rules that need nothing which is logged to MLflow."""

RULE_OPTIONS = ("targets", "forcerun", "until", "omit_from", "prioritize")
"""Options that name rules or files."""

LISTING_OPTIONS = ("list_rules", "list_target_rules")
"""Options that print rules of any experiment."""

PLANNING_OPTIONS = (
    "dryrun lint report summary detailed_summary dag rulegraph filegraph d3dag archive unlock touch containerize "
    "list_changes list_input_changes list_params_changes list_untracked list_conda_envs delete_all_output "
    "delete_temp_output cleanup_metadata cleanup_shadow conda_create_envs_only conda_cleanup_envs "
    "container_cleanup_images print_compilation export_cwl generate_unit_tests deploy_sources"
).split()
"""Options with which Snakemake computes nothing."""


LOCAL_EXECUTORS = (None, "local", "dryrun", "touch")
"""Executors whose jobs run on this machine."""


@dataclass(frozen=True)
class Request:
    """The names of rules and files that a run is asked for, none for the default target; the only rules that a job of
    it may run, None where it is no job; whether every rule is to be stated; whether it only plans, as `-n` does;
    whether its jobs run elsewhere, or it is such a job; whether it is a dry-run."""

    words: tuple[str, ...] = ()
    allowed: frozenset[str] | None = None
    everything: bool = False
    plans_only: bool = False
    remote: bool = False
    dry_run: bool = False

    @property
    def labels_only(self) -> bool:
        """Whether the run is asked for the labels of the base and for no other rule or file."""
        return self.words == ("labels",) and not self.everything and self.allowed is None

    @property
    def needs_store(self) -> bool:
        """Whether the run computes something that is logged to MLflow, as far as its words tell."""
        return not self.plans_only and not all(map(_is_not_logged, self.words or ("all",)))

    @property
    def asks_for_review(self) -> bool:
        """Whether a word means the review of labels, its rules or its files, or every rule may be meant."""
        return self.everything or self.allowed is not None or any("review" in word for word in self.words)


def _is_not_logged(word: str) -> bool:
    """Whether a word is a rule of labels alone, or a file that no job logs."""
    logged = {"mlflow", "report", "summary", "ablations"}
    return word in UNLOGGED or ("/" in word and logged.isdisjoint(word.split("/")))


def read_request(argv: Sequence[str], folder: str | Path = ".") -> Request:
    """The request of a command line, `sys.argv`; everything where it is not one of Snakemake's.

    folder: where it was given, which `--directory` leaves.
    """
    if not argv or Path(argv[0]).name not in PROGRAMS:
        return Request(everything=True)
    from snakemake.cli import get_argument_parser  # known only where Snakemake runs

    try:
        options, _ = get_argument_parser().parse_known_args(list(argv[1:]))
    except SystemExit:  # Snakemake has said what is wrong before it came here
        return Request(everything=True)
    words = [str(word) for name in RULE_OPTIONS for word in _listed(getattr(options, name, None))]
    allowed = getattr(options, "allowed_rules", None)
    return Request(
        tuple(words),
        frozenset(allowed) if allowed else None,
        any(getattr(options, name, None) for name in LISTING_OPTIONS),
        any(getattr(options, name, None) for name in (*LISTING_OPTIONS, *PLANNING_OPTIONS)),
        _is_remote(options, list(argv[1:]), folder),
        bool(options.dryrun),
    )


def _is_remote(options, arguments: list[str], folder: str | Path) -> bool:
    """Whether jobs run elsewhere, by the command line or its profile, or this process is such a job."""
    from snakemake.cli import ExecMode

    executor = getattr(options, "executor", None)
    if options.mode != ExecMode.DEFAULT:
        return options.mode == ExecMode.REMOTE
    if executor is None:
        from snakemake.cli import parse_args

        try:
            with chdir(folder), redirect_stderr(io.StringIO()):  # it says once more which profile it uses
                executor = parse_args(arguments)[1].executor
        except SystemExit:
            return False
    return executor not in LOCAL_EXECUTORS


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple | set | frozenset) else ()


def asked_experiments(
    request: Request,
    base: str,
    experiments: Collection[str],
    owners: Mapping[str, Mapping[str, str]],
    needs: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[str] | None:
    """The experiments that a request needs, the base among them; None for all of them.

    owners: `Plan.owners`; needs: the experiments that a rule or a folder of another name needs. A word that is no
    experiment's name may mean any experiment that it contains the name of, and any whose folders carry no name.
    """
    if request.everything or request.allowed is not None:
        return None
    unnamed = {folders[""] for folders in owners.values() if "" in folders}
    needed = {base}
    for word in request.words:
        parts = set(word.removesuffix(".json").split("/"))
        if "ablations" in parts:
            return None
        if word in experiments:
            needed.add(word)
        elif known := parts & needs.keys():
            needed |= {name for part in known for name in needs[part]} | (parts & set(experiments))
        elif word not in BASE_TARGETS:
            needed |= {name for name in experiments if name in word} | unnamed
    return [name for name in experiments if name in needed]
