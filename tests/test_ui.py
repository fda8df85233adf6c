"""MLflow's web interface shows what is tracked: the table of experiments, a comparison, the curves, in a real browser.

The pictures go to the folder WSGCN_SCREENSHOTS, where that is set. WSGCN_STORE=sqlite:///<path> has them made from the
experiment WSGCN_STORE_EXPERIMENT of that store, of which a copy is used, instead of from the one that is made up here.
"""

import io
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from wsgcn.tracking import PARENT, adopt, ensure_experiment, finish_run, log, promote, start_run
from wsgcn.views import comparison, curves, link_views, save_view

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
MADE_UP = {
    "base": ("the settings of the paper", {}, [0.6013, 0.6373, 0.4598]),
    "no-laplacian": ("base without the Laplacian loss", {"lambda_lap": 0}, [0.5841, 0.6217, 0.4471]),
    "no-entropy": ("base without the entropy loss", {"lambda_ent": 0}, [0.5967, 0.6342, 0.4563]),
    "wide-kernel": ("base with twice the sigmas", {"sigma1": 3.4641016, "sigma2": 20}, [0.6052, 0.6391, 0.4617]),
}
"""Description, what differs from SETTINGS, and the mIoU of the refined label, with CRF, and of the segmentation."""

WIDE, WIDTH = 2600, 1400
"""The width in pixels at which all of the table's columns are there at once, and that of the pictures."""

QUIET = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
addEventListener('DOMContentLoaded', () => document.head.insertAdjacentHTML(
    'beforeend', '<style>[data-assistant-ui], .modebar { display: none !important }</style>'));
"""
"""Keeps the assistant closed, which covers a quarter of a first visit, and the charts' buttons off the curves."""

HEADERS = """
return [...document.querySelectorAll('.ag-header-cell[col-id]')]
    .map(cell => [cell.getBoundingClientRect().left, cell.innerText.trim()])
    .filter(([left, text]) => text).sort((a, b) => a[0] - b[0]).map(([left, text]) => text);
"""

ROWS = """
const rows = {};
for (const cell of document.querySelectorAll('.ag-row .ag-cell[col-id]'))
    (rows[cell.closest('.ag-row').getAttribute('row-index')] ??= {})[cell.getAttribute('col-id')] =
        cell.innerText.split('\\n').pop().trim();
return Object.keys(rows).map(Number).sort((a, b) => a - b).map(index => rows[index]);
"""

SCROLLED_RIGHT = """
const table = document.querySelector('.ag-center-cols-viewport'), edge = table.getBoundingClientRect().right;
table.scrollLeft = table.scrollWidth;
return [...document.querySelectorAll('.ag-header-cell')].some(
    cell => cell.innerText.trim() === arguments[0] && cell.getBoundingClientRect().right <= edge);
"""

COMPARED = """
const lines = [...document.querySelectorAll('.mlflow-compare-run-table tr')]
    .map(line => line.innerText.split(/[\\t\\n]+/).map(text => text.trim()).filter(Boolean));
return Object.fromEntries(lines.map(([title, ...texts]) => [title, texts]));
"""

COMPARED_METRIC = """
const [names, values] = document.querySelectorAll('.ReactVirtualized__Grid');
if (!values) return null;
if (Math.abs(names.scrollTop - values.scrollTop) > 20) return void (values.scrollTop += values.scrollTop % 2 ? -1 : 1);
const {top, bottom} = values.getBoundingClientRect();
const cells = grid => [...grid.querySelectorAll('[style*="absolute"]')].map(
    cell => ({text: cell.innerText.trim(), box: cell.getBoundingClientRect()}));
const name = cells(names).find(cell => cell.text === arguments[0]);
if (name && name.box.top >= top && name.box.bottom <= bottom)
    return cells(values).filter(cell => Math.abs(cell.box.top - name.box.top) < 20).map(cell => cell.text);
values.scrollTop = values.scrollTop + values.clientHeight < values.scrollHeight ? values.scrollTop + 45 : 0;
return null;
"""
"""The texts in the line of a metric. A line is there only where it is scrolled to, so each call scrolls on. The names
may stay behind the values until these move once more, and at the list's end they always do, by a few pixels."""

CHARTS = """
return [...document.querySelectorAll('[data-testid="experiment-view-compare-runs-card"]')].map(chart => {
    const drawn = [...chart.querySelectorAll('.scatterlayer .js-line')].some(line => line.getAttribute('d'));
    const curves = (chart.querySelector('.js-plotly-plot')?.data ?? []).filter(curve => curve.y?.length);
    return [chart.innerText.split('\\n')[0].trim(), drawn ? curves.map(curve => [curve.name, curve.y.length]) : []];
});
"""
"""Of each chart its title and, once it is drawn, each curve's name and number of points."""


@dataclass
class Interface:
    """A running server of MLflow, the experiment that it shows, and the browser that looks at it."""

    address: str
    client: MlflowClient
    experiment_id: str
    browser: object
    pictures: Path

    def open(self, fragment: str, width: int = WIDTH, height: int = 800) -> None:
        self.size(width, height)
        self.browser.get("about:blank")  # another fragment alone would not load the page anew
        self.browser.get(f"{self.address}/{fragment}")
        assert self.until(lambda: self.find('[aria-label="Toggle sidebar"]'), bool), "the page did not load"
        if "Model training" in self.browser.find_element("css selector", "body").text:
            self.click("Toggle sidebar")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def find(self, css: str) -> list:
        return self.browser.find_elements("css selector", css)

    def click(self, label: str) -> None:
        css = f'[aria-label="{label}"]'
        assert self.until(lambda: self.find(css), bool), f"there is no {label}"
        self.find(css)[0].click()

    def write(self, placeholder: str, text: str) -> None:
        css = f'[placeholder="{placeholder}"]'
        assert self.until(lambda: self.find(css), bool), f"there is no {placeholder}"
        self.find(css)[0].send_keys(text)

    def read(self, script: str, *arguments: object) -> object:
        return self.browser.execute_script(script, *arguments)

    def until(self, read: Callable, is_there: Callable, seconds: float = 30) -> object:
        """What `read` returned when it `is_there`, or last of all when the time is over, for an assertion to show."""
        from selenium.common.exceptions import TimeoutException, WebDriverException
        from selenium.webdriver.support.wait import WebDriverWait

        last = None

        def there(_: object) -> bool:
            nonlocal last
            last = read()
            return is_there(last)

        wait = WebDriverWait(self.browser, seconds, poll_frequency=0.2, ignored_exceptions=[WebDriverException])
        try:
            wait.until(there)
        except TimeoutException:
            pass
        return last

    def picture(self, name: str) -> None:
        """Save what is to be seen, in 256 colours, which are enough for text and lines and keep the file small."""
        image = Image.open(io.BytesIO(self.browser.get_screenshot_as_png())).convert("RGB")
        path = self.pictures / f"{name}.png"
        image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < 150_000

    def runs(self, search_filter: str) -> list[Run]:
        return list(self.client.search_runs([self.experiment_id], search_filter, order_by=[f"metrics.`{ORDER}` DESC"]))


def make_up(store: dict) -> None:
    """Track MADE_UP as the workflow does: an experiment's run, its stage's with curves, and one that was replaced."""
    epochs, classes = np.arange(1, 251), ["background", "cat", "cow", "dog", "horse", "person", "sheep"]
    for k, name in enumerate(["base", *MADE_UP]):
        description, changed, (refined, refined_crf, segmentation) = MADE_UP[name]
        settings, tags = {"refine": SETTINGS | changed, "seed": 0}, {"experiment": name}
        parent = start_run(store, name, {**tags, "stage": "experiment"}, settings, description)
        values = [0.5881, 0.8199, refined, refined_crf, segmentation, round(refined_crf - MADE_UP["base"][2][1], 4)]
        values = dict(zip(METRICS, values, strict=True))
        values |= {f"train/refined_crf/iou/{c}": refined_crf + 0.01 * i for i, c in enumerate(classes)}
        log(store, parent, metrics=values)
        child = start_run(store, f"{name}/refine", {**tags, "stage": "refine"}, settings, f"refined label of {name}")
        falling = {m: 0.05 * (i + 1) + 0.3 * np.exp(-epochs / (30 + 10 * i + 6 * k)) for i, m in enumerate(LOSSES)}
        log(store, child, metrics={"train/refined/miou": refined}, curves=pd.DataFrame(falling, index=epochs))
        adopt(store, parent, [child])
        for run, stage in ((child, "refine"), (parent, "experiment")):
            finish_run(store, run)
            promote(store, run, {**tags, "stage": stage})


@pytest.fixture(scope="module")
def ui(tmp_path_factory) -> Iterator[Interface]:
    """The interface of a store; the store is filled while the server starts."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="the tests of the interface need the package selenium")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, path in programs.items() if not path]:
        pytest.skip(f"the tests of the interface need {' and '.join(missing)} (Debian: chromium, chromium-driver)")
    folder = tmp_path_factory.mktemp("ui")
    uri, name = f"sqlite:///{folder}/mlflow.db", os.environ.get("WSGCN_STORE_EXPERIMENT", "voc-animals")
    real = os.environ.get("WSGCN_STORE")
    if real:
        source = sqlite3.connect(f"file:{real.removeprefix('sqlite:///')}?mode=ro", uri=True)
        with sqlite3.connect(folder / "mlflow.db") as copy:
            source.backup(copy)
        source.close()
    store = {"uri": uri, "experiment_id": ensure_experiment(uri, name, str(folder / "artifacts"))}
    pictures = Path(os.environ.get("WSGCN_SCREENSHOTS", folder))
    pictures.mkdir(parents=True, exist_ok=True)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--workers", "1"]
    with (folder / "server.log").open("wb") as output:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    browser = None
    try:
        if not real:
            make_up(store)
        options = webdriver.ChromeOptions()
        options.binary_location = programs["chromium"]
        for switch in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"):
            options.add_argument(f"--{switch}")
        for switch in ("background-networking", "component-update"):
            options.add_argument(f"--disable-{switch}")
        options.add_argument(f"--user-data-dir={folder}/profile")
        browser = webdriver.Chrome(options, webdriver.ChromeService(programs["chromedriver"]))
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": QUIET})
        client, address = MlflowClient(uri), f"http://127.0.0.1:{port}"
        ui = Interface(address, client, store["experiment_id"], browser, pictures)
        ui.until(lambda: server.poll() is not None or _listens(port), bool, seconds=90)
        assert server.poll() is None and _listens(port), (folder / "server.log").read_text()
        yield ui
    finally:
        if browser:
            browser.quit()
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _number(text: str) -> float | None:
    return None if text in ("", "-") else float(text)


@pytest.fixture(scope="module")
def summary(ui) -> str:
    """The link to the table of experiments, with the metrics that the store has."""
    known = {metric for run in ui.runs(EXPERIMENTS) for metric in run.data.metrics}
    link = save_view(ui.client, ui.experiment_id, [m for m in METRICS if m in known], PARAMS, ORDER, EXPERIMENTS)
    if link not in ui.client.get_experiment(ui.experiment_id).tags.get("mlflow.note.content", ""):
        link_views(ui.client, ui.experiment_id, "What the settings are worth:", {"table of experiments": link})
    return link


def test_table_has_a_row_an_experiment_and_the_columns_that_matter(ui, summary):
    runs = ui.runs(EXPERIMENTS)
    metrics = [m for m in METRICS if any(m in run.data.metrics for run in runs)]
    ui.open(summary, WIDE, height := 440 + 32 * len(runs))
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
            assert _number(row[f"metrics.`{metric}`"]) == pytest.approx(run.data.metrics.get(metric), rel=1e-4), metric
    ui.size(WIDTH, height)
    ui.picture("table")
    assert ui.until(lambda: ui.read(SCROLLED_RIGHT, PARAMS[-1]), bool)
    ui.picture("table-right")


def test_link_to_the_table_is_on_the_experiments_page(ui, summary):
    ui.open(f"#/experiments/{ui.experiment_id}/runs?workflowType=machine_learning")
    links = ui.until(lambda: [a.get_attribute("href") for a in ui.find("a[href*=viewStateShareKey]")], bool)
    assert f"{ui.address}/{summary}" in links


def test_comparison_shows_names_settings_and_metrics_side_by_side(ui):
    runs = ui.runs(EXPERIMENTS)
    if len(runs) < 2:
        pytest.skip("the store has one experiment")
    pair = runs[0], runs[-1]
    params = [run.data.params for run in pair]
    differ = {
        p: [of.get(p) for of in params] for p in params[0].keys() | params[1] if params[0].get(p) != params[1].get(p)
    }
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


def test_run_of_the_refinement_has_a_chart_of_each_loss(ui):
    run = next(run for run in ui.runs(REFINED) if "loss_fg" in run.data.metrics)
    assert run.data.tags[PARENT] in {parent.info.run_id for parent in ui.runs(EXPERIMENTS)}
    ui.open(curves(ui.experiment_id, run.info.run_id), height=1010)
    ui.write("Search metric charts", "loss")
    charts = ui.until(lambda: dict(ui.read(CHARTS)), lambda charts: all(charts.get(loss) for loss in LOSSES))
    points = len(ui.client.get_metric_history(run.info.run_id, "loss_fg"))
    assert {title: max(count for _, count in lines) for title, lines in charts.items()} == dict.fromkeys(LOSSES, points)
    ui.picture("curves")


def test_charts_of_the_experiment_lay_the_runs_curves_over_one_another(ui):
    runs = [run for run in ui.runs(REFINED) if "loss" in run.data.metrics]
    link = save_view(ui.client, ui.experiment_id, LOSSES, PARAMS, "loss", REFINED, name="Loss curves", charts=LOSSES)
    ui.open(link, height=1160)
    shown = min(10, len(runs))  # the interface draws the first ten
    charts = ui.until(lambda: ui.read(CHARTS), lambda charts: len([c for c in charts if len(c[1]) >= shown]) >= 5)
    assert [title for title, _ in charts][: len(LOSSES)] == LOSSES
    names = {name.split(" (")[0] for name, _ in dict(charts)["loss"]}
    assert names <= {run.info.run_name for run in runs} and len(names) == shown
    ui.picture("curves-together")


def test_view_is_stored_once_however_often_it_is_saved():
    tags = {}
    client = SimpleNamespace(set_experiment_tag=lambda experiment, key, value: tags.update({(experiment, key): value}))
    link = save_view(client, "1", METRICS, PARAMS, ORDER, EXPERIMENTS)
    stored = dict(tags)
    assert save_view(client, "1", METRICS, PARAMS, ORDER, EXPERIMENTS) == link and tags == stored
    assert save_view(client, "1", METRICS[:2], PARAMS, ORDER, EXPERIMENTS) == link
    assert tags.keys() == stored.keys() and tags != stored
