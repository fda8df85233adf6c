"""Views of MLflow's web interface, stored with an MLflow experiment and opened by a link.

The interface keeps a saved view as a tag of the experiment and lists it by its name in the menu "Views". The functions
return the part of the link that follows the server's address, e.g. `#/experiments/1/runs?viewStateShareKey=summary`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from mlflow import MlflowClient

TAG = "mlflow.sharedViewState."
"""How the tag of a saved view begins; the view's key ends it."""

DESCRIPTION = "attributes.`Description`"

LEADING = {"attributes.`Run Name`": 170, "runDateAndNestInfo": 145}
"""The columns that the interface always shows on the left, name and time, and their widths in pixels."""

DESCRIPTION_WIDTH, LETTER, MARGIN, NARROWEST = 265, 7, 34, 100
"""Widths in pixels; a metric's or parameter's column is as wide as its name, which is cut otherwise."""


def save_view(
    client: MlflowClient,
    experiment_id: str,
    metrics: Sequence[str],
    params: Sequence[str],
    order_by: str,
    search_filter: str,
    name: str = "Summary",
    charts: Sequence[str] = (),
) -> str:
    """Store a view of runs with the columns description, `metrics` and `params`, and return the link that opens it.

    order_by: the metric to sort by, the largest first. Sorted by time, which is the interface's default, the runs'
    parents would come along. charts: metrics whose curves the link opens, all runs in one chart, instead of the table.
    (The interface's own choice would be to draw the first ten.)
    A view of the same `name` is replaced, its link stays as it was.
    """
    key = re.sub(r"\W+", "-", name.lower())
    named = {_column("metrics", metric): metric for metric in metrics}
    named |= {_column("params", param): param for param in params}
    widths = {column: max(NARROWEST, LETTER * len(title) + MARGIN) for column, title in named.items()}
    state = {
        "searchFilter": search_filter,
        "runsHiddenMode": "SHOW_ALL",
        "orderByKey": _column("metrics", order_by),
        "orderByAsc": False,
        "selectedColumns": [DESCRIPTION, *named],
        "columnOrder": [*LEADING, DESCRIPTION, *named],
        "columnWidths": {**LEADING, DESCRIPTION: DESCRIPTION_WIDTH, **widths},
    }
    # `workflowType` sets the interface to training, else it shows language models; it has to follow other keys
    query = {"viewStateShareKey": key, "workflowType": "machine_learning"}
    if charts:
        state |= _curves_in_one_section(charts)
        query = {"compareRunsMode": "CHART", **query}
    view = {"name": name, "createdAt": 0, "state": json.dumps(state)}  # without a time, equal views are equal tags
    client.set_experiment_tag(experiment_id, TAG + key, json.dumps(view))
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


def link_views(client: MlflowClient, experiment_id: str, text: str, links: Mapping[str, str]) -> None:
    """Describe an experiment by `text` and links, name to address; the interface shows both above all its pages."""
    listed = " · ".join(f"[{name}]({address})" for name, address in links.items())
    client.set_experiment_tag(experiment_id, "mlflow.note.content", f"{text} {listed}")


def _curves_in_one_section(metrics: Sequence[str]) -> dict:
    """The part of a view that has a chart of each of `metrics`, all runs in it; those of other metrics follow below."""
    section = {"uuid": "curves", "name": "Curves", "display": True, "isReordered": True}
    chart = {"type": "LINE", "metricSectionId": section["uuid"], "runsCountToCompare": 10, "xAxisKey": "step"}
    return {
        "isAccordionReordered": True,
        "compareRunSections": [section],
        "compareRunCharts": [{"uuid": m, "metricKey": m, "displayName": m, "range": {}, **chart} for m in metrics],
    }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
