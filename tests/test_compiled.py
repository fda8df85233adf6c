"""Where compiled functions are kept: beside the sources, or where every job of a workflow finds them.

Run alone: `.venv/bin/python -m pytest tests/test_compiled.py`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsgcn.compiled import PACKAGE, cache_folder, sources_hash

COMPUTE = """
import numpy as np
from wsgcn.labels import mean_field
from wsgcn.labels.crf import CrfSettings, dense_crf
dense_crf(np.zeros((4, 4, 3), np.uint8), np.ones((2, 4, 4)), CrfSettings(2, 1, 3, 67, 3, 4))
print(sum(mean_field._iterate.stats.cache_hits.values()), sum(mean_field._iterate.stats.cache_misses.values()))
"""


def make_read_only(package: Path) -> None:
    """A file in the place of a folder keeps out root, too."""
    shutil.rmtree(package / "__pycache__", ignore_errors=True)
    (package / "__pycache__").write_text("")


@pytest.fixture
def package(tmp_path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(PACKAGE, tmp_path / "sources/wsgcn", ignore=ignored)


@pytest.fixture
def working(tmp_path, monkeypatch) -> Path:
    """The working directory of a workflow, with a user whose home is empty."""
    (tmp_path / "working/.snakemake").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "working")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "working"


def test_the_folder_is_beside_the_sources(package, working):
    assert cache_folder(package) == package / "__pycache__" / f"numba-{sources_hash(package)}"


def test_a_read_only_installation_keeps_it_with_the_workflow(package, working):
    make_read_only(package)
    assert cache_folder(package).parent == working / ".snakemake"


def test_without_a_workflow_it_is_among_the_users_caches_or_nowhere(package, working, tmp_path, monkeypatch):
    make_read_only(package)
    (working / ".snakemake").rmdir()
    assert cache_folder(package).parent == tmp_path / "home/.cache/wsgcn"
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").write_text("")
    assert cache_folder(package) is None

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder(package) is None


def test_a_folder_that_the_user_chose_goes_first_and_is_named_alike(package, working, tmp_path):
    found = cache_folder(package, str(tmp_path / "chosen"))
    assert found == tmp_path / f"chosen/numba-{sources_hash(package)}" and found.is_dir()


def test_the_hash_notices_a_change_of_what_is_compiled_alone(package):
    before = sources_hash(package)
    (package / "text.py").write_text("nothing here is compiled\n")
    assert sources_hash(package) == before
    lanes = package / "labels/lanes.py"
    lanes.write_text(lanes.read_text() + "\n")
    assert sources_hash(package) != before


@pytest.mark.parametrize("read_only", [False, True], ids=["writable", "read-only"])
def test_a_second_process_compiles_nothing(read_only, package, working):
    if read_only:
        make_read_only(package)
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {"PYTHONPATH": str(package.parent)}
    for expected in ("0 1", "1 0"):
        done = subprocess.run([sys.executable, "-c", COMPUTE], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr
    if read_only:
        assert list((working / ".snakemake").glob("numba-*"))
