"""MLflow's web interface, in a real browser: the table of experiments, a comparison of two, their curves.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_ui.py`. WSGCN_SCREENSHOTS names a folder for the pictures.
With WSGCN_STORE=sqlite:///<path> they show the experiment WSGCN_STORE_EXPERIMENT of a copy of that store, instead of
the artificial one that is created here.
"""

import itertools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from interface import (
    CHARTS,
    COMPARED,
    COMPARED_METRIC,
    HEADERS,
    ROWS,
    SCROLLED_RIGHT,
    WIDTH_PX,
    Interface,
    chromium,
    comparison,
    curves,
    served,
)
from mlflow import MlflowClient

from wsgcn.tracking.store import ensure_experiment
from wsgcn.tracking.tracker import PARENT_TAG, Tracker
from wsgcn.tracking.views import link_views, save_view

METRICS = [
    "train/cam/miou",
    "train/partial/miou",
    "train/refined/miou",
    "train/refined_crf/miou",
    "val/segmentation_multi_crf/miou",
    "train/refined_crf/difference_to_base",
]
PARAMS = ["sigma1", "sigma2", "lambda_ent", "lambda_lap"]
ORDER = "train/refined_crf/miou"
LOSSES = ["loss", "loss_fg", "loss_bg", "loss_ent", "loss_lap"]
EXPERIMENTS = "tags.current = 'yes' and tags.stage = 'experiment'"
REFINED = "tags.current = 'yes' and tags.stage = 'refine'"

SETTINGS = {"sigma1": 1.7320508, "sigma2": 10, "window": 5, "lambda_ent": 0.5, "lambda_lap": 0.01, "epochs": 250}
ARTIFICIAL = {
    "base": ("the settings of the paper", {}, [0.6013, 0.6373, 0.4598]),
    "no-laplacian": ("base without the Laplacian loss", {"lambda_lap": 0}, [0.5841, 0.6217, 0.4471]),
    "no-entropy": ("base without the entropy loss", {"lambda_ent": 0}, [0.5967, 0.6342, 0.4563]),
    "wide-kernel": ("base with twice the sigmas", {"sigma1": 3.4641016, "sigma2": 20}, [0.6052, 0.6391, 0.4617]),
}
ARTIFICIAL |= {  # more runs than the interface draws by default
    f"lambda_ent-{k}": (f"base with lambda_ent {k}", {"lambda_ent": k}, [0.6 - k / 99, 0.63 - k / 99, 0.45 - k / 99])
    for k in range(1, 9)
}
"""Description, what differs from SETTINGS, and the mIoU of the refined label, with CRF, and of the segmentation."""

ALL_COLUMNS_WIDTH_PX = 2600
"""The width at which all columns of the table are visible."""


def track_artificial_experiments(tracker: Tracker) -> None:
    """Track ARTIFICIAL as the workflow does: a parent and a stage with curves per experiment; the first twice."""
    epochs, classes = np.arange(1, 251), ["background", "cat", "cow", "dog", "horse", "person", "sheep"]
    for k, name in enumerate(["base", *ARTIFICIAL]):
        description, changed, (refined, refined_crf, segmentation) = ARTIFICIAL[name]
        settings, tags = {"refine": SETTINGS | changed, "seed": 0}, {"experiment": name}
        parent = tracker.start_run(name, {**tags, "stage": "experiment"}, settings, description)
        values = [0.5881, 0.8199, refined, refined_crf, segmentation, round(refined_crf - ARTIFICIAL["base"][2][1], 4)]
        values = dict(zip(METRICS, values, strict=True))
        values |= {f"train/refined_crf/iou/{c}": refined_crf + 0.01 * i for i, c in enumerate(classes)}
        tracker.log(parent, metrics=values)
        child = tracker.start_run(f"{name}/refine", {**tags, "stage": "refine"}, settings, f"refined label of {name}")
        falling = {m: 0.05 * (i + 1) + 0.3 * np.exp(-epochs / (30 + 10 * i + 6 * k)) for i, m in enumerate(LOSSES)}
        tracker.log(child, metrics={"train/refined/miou": refined}, curves=pd.DataFrame(falling, index=epochs))
        tracker.set_parent(parent, [child])
        for run, stage in ((child, "refine"), (parent, "experiment")):
            tracker.finish_run(run)
            tracker.mark_current(run, {**tags, "stage": stage})


@pytest.fixture(scope="module")
def ui(tmp_path_factory) -> Iterator[Interface]:
    """The interface of a store; the store is filled while the server starts."""
    folder = tmp_path_factory.mktemp("ui")
    uri, name = f"sqlite:///{folder}/mlflow.db", os.environ.get("WSGCN_STORE_EXPERIMENT", "voc-animals")
    real = os.environ.get("WSGCN_STORE")
    pictures = Path(os.environ.get("WSGCN_SCREENSHOTS", folder))
    with chromium(folder) as browser:
        if real:
            source = sqlite3.connect(f"file:{real.removeprefix('sqlite:///')}?mode=ro", uri=True)
            with sqlite3.connect(folder / "mlflow.db") as copy:
                source.backup(copy)
            source.close()
        store = {"uri": uri, "experiment_id": ensure_experiment(uri, name, str(folder / "artifacts"))}
        pictures.mkdir(parents=True, exist_ok=True)
        with served(uri, folder) as (address, answers):
            if not real:
                track_artificial_experiments(Tracker(store))
            ui = Interface(address, MlflowClient(uri), store["experiment_id"], browser, pictures)
            assert ui.until(answers, bool, seconds=90)
            yield ui


def _differing(one, other) -> dict[str, list[str | None]]:
    """The parameters in which two runs differ, with the value of each."""
    params = [run.data.params for run in (one, other)]
    names = params[0].keys() | params[1]
    return {p: values for p in names if (values := [run_params.get(p) for run_params in params])[0] != values[1]}


def _gain(better, worse) -> float:
    return better.data.metrics[ORDER] - worse.data.metrics[ORDER]


def _number(text: str) -> float | None:
    return None if text in ("", "-") else float(text)


@pytest.fixture(scope="module")
def summary(ui) -> str:
    """The link to the table of experiments, with the metrics that the store has."""
    known = {metric for run in ui.runs(EXPERIMENTS, ORDER) for metric in run.data.metrics}
    link = save_view(ui.client, ui.experiment_id, [m for m in METRICS if m in known], PARAMS, ORDER, EXPERIMENTS)
    if link not in ui.client.get_experiment(ui.experiment_id).tags.get("mlflow.note.content", ""):
        link_views(ui.client, ui.experiment_id, "What the settings are worth:", {"table of experiments": link})
    return link


def test_table_has_a_row_per_experiment_and_its_columns(ui, summary):
    runs = ui.runs(EXPERIMENTS, ORDER)
    metrics = [m for m in METRICS if any(m in run.data.metrics for run in runs)]
    ui.open(summary, ALL_COLUMNS_WIDTH_PX, height := 440 + 32 * len(runs))
    wanted = ["Run Name", "Created", "Description", *metrics, *PARAMS, "Duration"]
    assert ui.until(lambda: ui.read(HEADERS), lambda headers: headers == wanted) == wanted
    assert runs
    rows = ui.until(lambda: ui.read(ROWS), lambda rows: len(rows) == len(runs))
    assert [row["attributes.`Run Name`"] for row in rows] == [run.info.run_name for run in runs]
    for row, run in zip(rows, runs, strict=True):
        shown = row["attributes.`Description`"].removesuffix("...").rstrip()  # it is cut after 50 characters
        assert shown == run.data.tags["description"][:50].rstrip()
        assert [row[f"params.`{p}`"] for p in PARAMS] == [run.data.params.get(p, "-") for p in PARAMS]
        for metric in metrics:
            value = run.data.metrics.get(metric)
            expected = None if value is None else pytest.approx(value, rel=1e-4)
            assert _number(row[f"metrics.`{metric}`"]) == expected, metric
    ui.size(WIDTH_PX, height)
    ui.picture("table")
    assert ui.until(lambda: ui.read(SCROLLED_RIGHT, PARAMS[-1]), bool)
    ui.picture("table-right")


def test_link_to_the_table_is_on_the_experiments_page(ui, summary):
    ui.open(f"#/experiments/{ui.experiment_id}/runs?workflowType=machine_learning")
    links = ui.until(lambda: [a.get_attribute("href") for a in ui.find("a[href*=viewStateShareKey]")], bool)
    assert f"{ui.address}/{summary}" in links


def test_comparison_shows_names_settings_and_metrics_side_by_side(ui):
    runs = ui.runs(EXPERIMENTS, ORDER)
    if len(runs) < 2:
        pytest.skip("the store has one experiment")
    pair = min(itertools.combinations(runs, 2), key=lambda pair: (len(_differing(*pair)) or 99, -_gain(*pair)))
    params, differ = [run.data.params for run in pair], _differing(*pair)
    ui.open(comparison(ui.experiment_id, [run.info.run_id for run in pair]), height=1030 + 40 * len(differ))
    for label in ("collapse Visualizations", "Parameters - Show diff only", "Metrics - Show diff only"):
        ui.click(label)
    equal = params[0].keys() - differ.keys()
    lines = ui.until(lambda: ui.read(COMPARED), lambda lines: lines and not equal & lines.keys())
    assert lines["Run Name:"] == [run.info.run_name for run in pair]
    assert {p: lines[p] for p in differ} == {p: [v for v in values if v] for p, values in differ.items()}
    texts = ui.until(lambda: ui.read(COMPARED_METRIC, ORDER), lambda texts: texts and len(texts) == 2)
    assert [float(text) for text in texts] == pytest.approx([run.data.metrics[ORDER] for run in pair], abs=1e-3)
    ui.picture("comparison")


def test_run_of_the_refinement_has_a_chart_per_loss(ui):
    run = next(run for run in ui.runs(REFINED, ORDER) if "loss_fg" in run.data.metrics)
    assert run.data.tags[PARENT_TAG] in {parent.info.run_id for parent in ui.runs(EXPERIMENTS, ORDER)}
    ui.open(curves(ui.experiment_id, run.info.run_id), height=1010)
    ui.write("Search metric charts", "loss")
    charts = ui.until(lambda: dict(ui.read(CHARTS)), lambda charts: all(charts.get(loss) for loss in LOSSES))
    points = len(ui.client.get_metric_history(run.info.run_id, "loss_fg"))
    assert {title: max(count for _, count in lines) for title, lines in charts.items()} == dict.fromkeys(LOSSES, points)
    ui.picture("curves")


def test_charts_of_the_experiment_overlay_the_curves_of_runs(ui):
    runs = [run for run in ui.runs(REFINED, ORDER) if "loss" in run.data.metrics]
    link = save_view(ui.client, ui.experiment_id, LOSSES, PARAMS, "loss", REFINED, name="Loss curves", charts=LOSSES)
    ui.open(link, height=1160)
    charts = ui.until(lambda: ui.read(CHARTS), lambda charts: len([c for c in charts if len(c[1]) >= len(runs)]) >= 5)
    assert [title for title, _ in charts][: len(LOSSES)] == LOSSES
    names = {name.split(" (")[0] for name, _ in dict(charts)["loss"]}
    assert names <= {run.info.run_name for run in runs} and len(names) == len(runs)
    ui.picture("curves-together")
