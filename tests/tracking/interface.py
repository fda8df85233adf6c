"""MLflow's web interface, served from a store, and a browser that opens it."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

WIDTH_PX = 1400
"""The width of the screenshots."""

QUIET = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
addEventListener('DOMContentLoaded', () => document.head.insertAdjacentHTML(
    'beforeend', '<style>[data-assistant-ui], .modebar { display: none !important }</style>'));
"""
"""Keeps the assistant closed, which covers a quarter of the page, and hides the buttons over the charts."""

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
"""The texts in the row of a metric. Only visible rows exist, so each call scrolls on. The names may lag behind the
values until these move again, and at the end of the list they always do, by a few pixels."""

CHARTS = """
return [...document.querySelectorAll('[data-testid="experiment-view-compare-runs-card"]')].map(chart => {
    const drawn = [...chart.querySelectorAll('.scatterlayer .js-line')].some(line => line.getAttribute('d'));
    const curves = (chart.querySelector('.js-plotly-plot')?.data ?? []).filter(curve => curve.y?.length);
    return [chart.innerText.split('\\n')[0].trim(), drawn ? curves.map(curve => [curve.name, curve.y.length]) : []];
});
"""
"""Each chart's title and, once it is drawn, the name and number of points of each curve."""


@dataclass
class Interface:
    """A running server of MLflow, the experiment that it shows, and the browser that opens it."""

    address: str
    client: MlflowClient
    experiment_id: str
    browser: object
    pictures: Path

    def open(self, fragment: str, width: int = WIDTH_PX, height: int = 800) -> None:
        self.size(width, height)
        self.browser.get("about:blank")  # a change of the fragment alone would not reload the page
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
        """The first value of `read` that `is_there`; after a timeout the last value, for an assertion to show."""
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
        """Save a screenshot in 256 colours, which suffice for text and lines and keep the file small."""
        image = Image.open(io.BytesIO(self.browser.get_screenshot_as_png())).convert("RGB")
        path = self.pictures / f"{name}.png"
        image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        assert path.stat().st_size < 150_000

    def runs(self, search_filter: str, order_by: str) -> list[Run]:
        return list(
            self.client.search_runs([self.experiment_id], search_filter, order_by=[f"metrics.`{order_by}` DESC"])
        )


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(uri: str, folder: Path, port: int = 0) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Serve the store at `uri`: yields the address and a function that returns whether it answers; logs to `folder`.

    port: 0 for any that is free.
    """
    port = port or free_port()
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

    def answers() -> bool:
        assert server.poll() is None, (folder / "server.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        yield f"http://127.0.0.1:{port}", answers
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def chromium(folder: Path) -> Iterator[object]:
    """A headless browser with its profile in `folder`; skips the test on a machine without one."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="the tests of the interface need the package selenium")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, path in programs.items() if not path]:
        pytest.skip(f"the tests of the interface need {' and '.join(missing)} (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for switch in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"):
        options.add_argument(f"--{switch}")
    for switch in ("background-networking", "component-update"):
        options.add_argument(f"--disable-{switch}")
    options.add_argument(f"--user-data-dir={folder}/profile")
    browser = webdriver.Chrome(options, webdriver.ChromeService(programs["chromedriver"]))
    try:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": QUIET})
        yield browser
    finally:
        browser.quit()


def comparison(experiment_id: str, runs: list[str]) -> str:
    """The link to the page with the parameters and metrics of `runs` side by side."""
    # `workflowType` selects training runs instead of language models
    query = {"runs": json.dumps(runs), "experiments": json.dumps([experiment_id]), "workflowType": "machine_learning"}
    return f"#/compare-runs?{urlencode(query)}"


def curves(experiment_id: str, run: str) -> str:
    """The link to the page with one chart per metric of `run`."""
    return f"#/experiments/{experiment_id}/runs/{run}/model-metrics?workflowType=machine_learning"
