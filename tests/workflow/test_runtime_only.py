"""What README.md and docs/ tell users to run, in an environment without the tools of the tests.

Nothing is downloaded: the environment has links to the installed distributions that envs/requirements.txt leads to.
Run alone: `.venv/bin/python -m pytest tests/workflow/test_runtime_only.py`.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

import pytest
from distributions import link_distributions, runtime_closure, write_programs

ROOT = Path(__file__).parents[2]
PAGES = "\n".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONPATH")}
SECONDS = 90
"""How long MLflow's server may take to answer."""


@pytest.fixture(scope="module")
def clone(project, tmp_path_factory) -> Path:
    """A finished project with its .venv, as `make` sets it up."""
    clone = shutil.copytree(project, tmp_path_factory.mktemp("runtime") / "clone", symlinks=True)
    shutil.copytree(ROOT / "docs", clone / "docs")
    venv.create(clone / ".venv", symlinks=True)
    packages = clone / f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    link_distributions(runtime_closure(), packages)
    write_programs(runtime_closure(), clone / ".venv/bin/python")
    (packages / "wsgcn.pth").write_text(f"{clone}/workflow_scripts\n")
    return clone


def run(clone: Path, command: str) -> str:
    """A line of a shell in the project; its whole output. Fails the test where it fails."""
    done = subprocess.run(["bash", "-c", command], cwd=clone, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return done.stdout + done.stderr


def test_the_tools_of_the_tests_are_not_there(clone):
    code = "from importlib.util import find_spec; print([find_spec(name) for name in ('pytest', 'ruff', 'pip')])"
    assert run(clone, f'.venv/bin/python -c "{code}"').strip() == "[None, None, None]"


def test_every_module_of_the_library_can_be_imported(clone):
    code = "import importlib, pkgutil, wsgcn\n"
    code += "names = [module.name for module in pkgutil.walk_packages(wsgcn.__path__, 'wsgcn.')]\n"
    code += "names.remove('wsgcn.labels.crf_pydensecrf')\n"
    code += "for name in names: importlib.import_module(name)\nprint(len(names), wsgcn.__file__)"
    count, file = run(clone, f'.venv/bin/python -c "{code}"').split()
    assert int(count) > 80 and Path(file).is_relative_to(clone)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (".venv/bin/snakemake -n", "Nothing to be done"),
        (".venv/bin/snakemake --list", "refine_wsgcn-i_"),
        (".venv/bin/snakemake --cores 2 no-entropy", "Nothing to be done"),
        (".venv/bin/snakemake --cores 2 ablations", "Nothing to be done"),
        (".venv/bin/snakemake --cores 2 ablations --report ablations.html", "Report created"),
        (".venv/bin/python docs/write_configuration.py", ""),
    ],
)
def test_a_command_of_the_pages_works(clone, command, says):
    assert command in PAGES
    assert says in run(clone, command)


def test_jobs_run(clone):
    """One that draws, and one whose script is run as a debugger does."""
    report = clone / "results/tiny/report/wsgcn-i.html"
    report.unlink()
    run(clone, ".venv/bin/snakemake --cores 2")
    assert report.exists()
    batch = sorted((clone / "results/tiny/seconds/partial").glob("train_*.csv"))[0].stem
    run(clone, f".venv/bin/python -m wsgcn.workflow.debug partial_{batch}")


def test_mlflow_shows_the_store(clone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"exec .venv/bin/mlflow ui --backend-store-uri sqlite:///results/mlflow.db --workers 1 --port {port}"
    environment = ENVIRONMENT | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = clone / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["bash", "-c", command], cwd=clone, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        end = time.monotonic() + SECONDS
        while not answers(f"http://127.0.0.1:{port}/"):
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.5)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return b"<title>MLflow" in page.read()
    except OSError:
        return False
