"""The run of the benchmark of the GCN core."""

from collections.abc import Iterable, Mapping

import pandas as pd

from wsgcn.tracking.tracker import Tracker

COLUMNS = ("seconds", "peak_mb", "equal_percent", "equal_percent_small", "ratio")
"""What is logged of each method's means."""


def track_benchmark(
    tracker: Tracker, means: pd.DataFrame, settings: Mapping, description: str, files: Iterable[str]
) -> str:
    """Log the benchmark's means, one row per method (column `method`), as the current run; returns its id."""
    metrics = {
        f"{row['method'].replace(',', '')}/{column}": float(row[column])
        for _, row in means.iterrows()
        for column in COLUMNS
        if pd.notna(row[column])
    }
    with tracker.run("benchmark", {"stage": "benchmark"}, settings, description) as run:
        tracker.log(run, metrics=metrics)
        tracker.log_files(run, files)
    return run
