"""Views of MLflow's web interface, stored with an MLflow experiment and opened by a link.

The interface keeps a saved view as a tag of the experiment and lists it by name in the menu "Views". A link is the part
that follows the server's address, e.g. `#/experiments/1/runs?viewStateShareKey=summary`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from mlflow import MlflowClient

from wsgcn.evaluation.names import metric_name
from wsgcn.refinement.loss_names import LOSSES

VIEW_TAG_PREFIX = "mlflow.sharedViewState."
"""The tag of a saved view is this prefix and the view's key."""

DESCRIPTION_COLUMN = "attributes.`Description`"

LEADING_WIDTHS_PX = {"attributes.`Run Name`": 170, "runDateAndNestInfo": 145}
"""The columns that the interface always shows on the left, name and time."""

DESCRIPTION_WIDTH_PX, LETTER_WIDTH_PX, MARGIN_PX, MIN_WIDTH_PX = 265, 7, 34, 100
"""The column of a metric or parameter is made as wide as its name, which the interface would cut off otherwise."""

VIEW_PARAMETERS = ("sigma1", "sigma2", "lambda_ent", "lambda_lap")


def save_views(store: Mapping[str, str], dataset: str, label_split: str, evaluate_split: str) -> dict[str, str]:
    """Save the table of experiments and the chart of their losses, and link both on the page of the data set.

    store: `uri` and `experiment_id`; the splits are named as in metrics. Returns the links `table` and `curves`.
    """
    client, experiment = MlflowClient(store["uri"]), store["experiment_id"]
    labels = [{"split": label_split, "stage": stage} for stage in ("cam", "partial", "refined", "refined_crf")]
    columns = [
        *map(metric_name, labels),
        metric_name(labels[-1], "difference_to_base"),
        metric_name({"split": evaluate_split, "stage": "segmentation_multi_crf"}),
    ]
    rows, networks = (f"tags.stage = '{stage}' and tags.current = 'yes'" for stage in ("experiment", "refine"))
    table = save_view(client, experiment, columns, VIEW_PARAMETERS, columns[3], rows)
    curves = save_view(client, experiment, LOSSES, VIEW_PARAMETERS, "loss", networks, name="Losses", charts=LOSSES)
    link_views(client, experiment, f"Experiments on {dataset}, one row each:", {"table": table, "loss curves": curves})
    return {"table": table, "curves": curves}


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

    order_by: the metric to sort by, the largest first. (Sorted by time, the interface's default, a view would also list
    the runs' parents.) charts: metrics whose curves the link shows instead of the table, one chart per metric with all
    runs, where the interface's default is the first ten. A view of the same `name` is replaced and keeps its link.
    """
    key = re.sub(r"\W+", "-", name.lower())
    titles = {_column("metrics", metric): metric for metric in metrics}
    titles |= {_column("params", param): param for param in params}
    widths = {c: max(MIN_WIDTH_PX, LETTER_WIDTH_PX * len(title) + MARGIN_PX) for c, title in titles.items()}
    state = {
        "searchFilter": search_filter,
        "runsHiddenMode": "SHOW_ALL",
        "orderByKey": _column("metrics", order_by),
        "orderByAsc": False,
        "selectedColumns": [DESCRIPTION_COLUMN, *titles],
        "columnOrder": [*LEADING_WIDTHS_PX, DESCRIPTION_COLUMN, *titles],
        "columnWidths": {**LEADING_WIDTHS_PX, DESCRIPTION_COLUMN: DESCRIPTION_WIDTH_PX, **widths},
    }
    # `workflowType` selects training runs instead of language models; it must follow other keys
    query = {"viewStateShareKey": key, "workflowType": "machine_learning"}
    if charts:
        state |= _chart_section(charts)
        query = {"compareRunsMode": "CHART", **query}
    view = {"name": name, "createdAt": 0, "state": json.dumps(state)}  # no time, so that equal views are equal tags
    client.set_experiment_tag(experiment_id, VIEW_TAG_PREFIX + key, json.dumps(view))
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


def link_views(client: MlflowClient, experiment_id: str, text: str, links: Mapping[str, str]) -> None:
    """Describe an experiment by `text` and `links`, {name: address}; the interface shows both on top of its pages."""
    listed = " · ".join(f"[{name}]({address})" for name, address in links.items())
    client.set_experiment_tag(experiment_id, "mlflow.note.content", f"{text} {listed}")


def _chart_section(metrics: Sequence[str]) -> dict:
    """The part of a view with one chart per metric of `metrics`, all runs in each; other metrics follow below."""
    section = {"uuid": "curves", "name": "Curves", "display": True, "isReordered": True}
    chart = {"type": "LINE", "metricSectionId": section["uuid"], "runsCountToCompare": 10, "xAxisKey": "step"}
    return {
        "isAccordionReordered": True,
        "compareRunSections": [section],
        "compareRunCharts": [{"uuid": m, "metricKey": m, "displayName": m, "range": {}, **chart} for m in metrics],
    }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
