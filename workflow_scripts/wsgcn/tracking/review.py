"""The run of a review of labels."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from wsgcn.evaluation.names import metric_name
from wsgcn.tracking.tracker import Tracker


def track_review(
    tracker: Tracker,
    experiment: str,
    split: str,
    settings: Mapping,
    description: str,
    rows: Sequence[Mapping],
    files: Iterable[str],
) -> str:
    """Log how well the scores of a review find the worst labels, as the current run of its kind; returns its id.

    settings: the section `review`; rows: of `review_truth.auroc_table`, none without masks. Metrics are
    <split>/review/auroc/<score>, and with auroc_low and auroc_high the ends of its 95 % interval.
    """
    metrics: dict[str, float | None] = {}
    for row in rows:
        for column, metric in (("auroc", "auroc"), ("low", "auroc_low"), ("high", "auroc_high")):
            name = metric_name({"split": split, "stage": "review"}, f"{metric}/{row['score']}")
            metrics[name] = None if pd.isna(row[column]) else float(row[column])
    tags = {"experiment": experiment, "stage": "review"}
    with tracker.run("review", tags, {"review": settings}, description) as run:
        tracker.log(run, metrics=metrics)
        tracker.log_files(run, files)
    return run
