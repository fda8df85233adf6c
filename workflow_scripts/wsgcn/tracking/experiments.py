"""The run of an experiment, parent of its stages' runs: started first, completed last, compared with others."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsgcn.evaluation.ablations import Ablations
from wsgcn.evaluation.comparison import comparison_metrics
from wsgcn.evaluation.names import experiment_metrics
from wsgcn.files import read_json
from wsgcn.tracking.tracker import Tracker


def start_experiment(tracker: Tracker, experiment: str, settings: Mapping, description: str) -> str:
    """Start an experiment's run, which is the current one at once, so that its stages find it; returns its id."""
    tags = {"experiment": experiment, "stage": "experiment"}
    run = tracker.start_run(experiment, tags, settings, description)
    tracker.mark_current(run, tags)
    return run


def complete_experiment(
    tracker: Tracker,
    parent: str,
    runs: Iterable[str],
    shared_runs: Iterable[str],
    evaluations: Sequence[Mapping],
    minutes: Mapping[str, float],
    num_skipped: int,
    files: Iterable[str],
) -> None:
    """Gather an experiment's stages under its run, log its metrics, attach files, and finish it.

    runs: of the stages that it computes itself; shared_runs: of those that it shares with other experiments, which keep
    a current parent; minutes: of training, by stage; num_skipped: images that were skipped at any stage.
    """
    tracker.set_parent(parent, [*runs, *tracker.runs_without_parent(shared_runs)])
    metrics = experiment_metrics(evaluations, minutes) | {"skipped_images": num_skipped}
    protocols = {f"protocol.{evaluation['stage']}": evaluation["protocol"] for evaluation in evaluations}
    tracker.log(parent, metrics=metrics, tags=protocols)
    tracker.log_files(parent, files)
    tracker.finish_run(parent)


def log_comparisons(
    tracker: Tracker,
    parents: Mapping[str, str],
    ablations: Ablations,
    pictures: Mapping[tuple[str, str], str],
    files: Iterable[str],
) -> None:
    """Log to each experiment's run how it compares with the base; other experiments' runs are no longer current.

    parents: {experiment: run}; pictures: of disagreement, {(experiment, reference): path}; files: for the base's run.
    """
    base = ablations.base
    for row in ablations.rows:
        name = row["experiment"]
        metrics = comparison_metrics(row, ablations.evaluations[name])
        tracker.log(parents[name], metrics=metrics, tags={"base": base, "base_run": parents[base]})
        if (name, base) in pictures:
            tracker.log_files(parents[name], [pictures[name, base]], folder="disagreement")
    tracker.log_files(parents[base], files)
    tracker.mark_others_superseded(parents)


def read_runs(paths: Iterable[str]) -> list[str]:
    """The ids of runs from the files that jobs have written."""
    return [read_json(path)["run_id"] for path in paths]


def read_parents(paths: Iterable[str]) -> dict[str, str]:
    """The runs of experiments, {experiment: id}, from their files, <experiment>/parent.json."""
    return {Path(path).parent.name: read_json(path)["run_id"] for path in paths}
