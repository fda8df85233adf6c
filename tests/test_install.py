"""envs/install.sh and its rules in the Makefile: which Python, from what, and what is said where it cannot work.

uv and the interpreters are stand-ins, so nothing is installed. Run alone: `.venv/bin/python -m pytest
tests/test_install.py`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RANGE = "needs 3.11 to 3.14"

# An interpreter that says that it is of another version, lacks a module, and writes down what its pip is asked for.
PYTHON = """#!/bin/sh
case "$*" in
"-m pip --version") exit 0 ;;
"envs/warm_up.py") echo "warmed up" >>pip.log; exit 0 ;;
"-m pip "*) echo "CC=${CC:-} $*" >>pip.log; exit 0 ;;
"-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python; exit 0 ;;
esac
exec {real} -c "import sys; sys.version_info = ({version}, 0); sys.modules['{missing}'] = None; exec(sys.argv[1])" "$2"
"""

# A uv that writes down what it is asked for, with the names in the file of requirements.
UV = """#!/bin/sh
echo "CC=${CC:-} $*" >>uv.log
if [ "$1" = venv ]; then mkdir -p .venv/bin && cp python .venv/bin/python; fi
while [ $# -gt 1 ]; do shift; done
case $1 in *.txt) sed -n 's/^\\([a-z0-9-]*\\)==.*/\\1/p' "$1" >>uv.log ;; esac
"""


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def write_python(path: Path, version: str, missing: str = "no_such_module") -> None:
    text = PYTHON.replace("{real}", sys.executable).replace("{missing}", missing)
    write_program(path, text.replace("{version}", version.replace(".", ", ")))


@pytest.fixture
def clone(tmp_path) -> Path:
    """What an installation reads, with an empty folder of programs."""
    folder = tmp_path / "a clone"
    (folder / "programs").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "envs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    return folder


@pytest.fixture
def with_uv(clone) -> Path:
    """A clone where uv is found; `python` is what it puts into .venv."""
    write_program(clone / "programs/uv", UV)
    write_python(clone / "python", "3.13", missing="pydensecrf")
    write_python(clone / "programs/python3", "3.13")
    return clone


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    """A command with the programs of the folder, and no others but the system's tools."""
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        for name in ("awk", "cp", "dirname", "env", "expr", "make", "mkdir", "rm", "sed", "sh", "touch"):
            (tools / name).symlink_to(shutil.which(name))
    environment = {"HOME": str(folder), "PATH": f"{folder / 'programs'}:{tools}", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def install(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return run(folder, "envs/install.sh", *arguments, **variables)


def message(done: subprocess.CompletedProcess) -> str:
    """What a failed installation says: one line."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


@pytest.mark.parametrize(("version", "verdict"), [("3.10", "too old"), ("2.7", "too old"), ("3.15", "too new")])
def test_an_unsupported_python_is_named_with_what_to_do(clone, version, verdict):
    write_python(clone / "programs/python3", version)
    expected = f"Python {version} is {verdict}: wsgcn {RANGE}. Name another: PYTHON=python3.13 make"
    assert message(install(clone)) == expected
    assert not (clone / ".venv").exists()


def test_a_named_python_is_the_only_one(with_uv):
    write_python(with_uv / "programs/other", "3.10")
    assert message(install(with_uv, PYTHON="other")).startswith("Python 3.10 is too old")
    assert message(install(with_uv, PYTHON="nowhere")).startswith(f"nowhere does not start: wsgcn {RANGE}")


def test_no_python_at_all_is_said(clone):
    assert message(install(clone)).startswith("python3 does not start")


def test_a_python_without_venv_is_told_how_to_get_it(clone):
    write_python(clone / "programs/python3", "3.13", missing="ensurepip")
    assert "apt install python3-venv" in message(install(clone))


def test_another_python_of_the_path_serves_where_python3_is_too_old(with_uv):
    write_python(with_uv / "programs/python3", "3.10")
    write_python(with_uv / "programs/python3.12", "3.12")
    install(with_uv)
    assert f"--python {with_uv}/programs/python3.12 .venv" in (with_uv / "uv.log").read_text()


def test_uv_brings_a_python_where_there_is_none(with_uv):
    write_python(with_uv / "programs/python3", "3.10")
    install(with_uv)
    assert "--python >=3.11,<3.15 .venv" in (with_uv / "uv.log").read_text()


def requested(folder: Path) -> list[str]:
    """What the stand-in of uv was asked for since the last call, a line each."""
    lines = (folder / "uv.log").read_text().splitlines()
    (folder / "uv.log").unlink()
    return lines


def test_all_of_the_lock_is_installed_with_its_hashes_and_without_a_compiler(with_uv):
    assert install(with_uv).returncode == 0
    lines = requested(with_uv)
    (locked,) = [line for line in lines if "lock.txt" in line]
    assert locked.startswith("CC=true pip install") and "--require-hashes" in locked and "--no-deps" in locked
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "snakemake", "mlflow"} <= set(lines)
    project, warmed_up = (with_uv / "pip.log").read_text().splitlines()[-2:]
    assert project.endswith("--editable .") and warmed_up == "warmed up"


def test_without_uv_pip_gets_it_and_stands_in_for_it(clone):
    write_python(clone / "programs/python3", "3.13")
    assert install(clone).returncode == 0
    uv, locked, project, _ = (clone / "pip.log").read_text().splitlines()
    assert uv.endswith("--require-hashes --only-binary :all: --requirement .venv/lock-uv.txt")
    assert re.match(r"uv==[\d.]+ \\\n +--hash=", (clone / ".venv/lock-uv.txt").read_text())
    assert (clone / ".venv/lock-uv.txt").read_text().count("==") == 1
    assert locked.startswith("CC=true") and locked.endswith("--require-hashes --requirement envs/lock.txt")
    assert project.endswith("--editable .")


def test_without_cuda_only_torch_is_not_of_the_lock(with_uv):
    assert run(with_uv, "make", "TORCH=cpu", ".venv/installed").returncode == 0
    lines = requested(with_uv)
    (torch,) = [line for line in lines if "--torch-backend cpu" in line]
    assert re.search(r" torch==[\d.]+ torchvision==[\d.]+$", torch) and "--no-deps" in torch
    names = {line for line in lines if " " not in line}
    lock = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "envs/lock.txt").read_text(), re.MULTILINE))
    left_out = lock - names
    assert {"torch", "torchvision", "triton", "cuda-toolkit", "nvidia-cublas"} <= left_out and names < lock
    assert all(re.match("torch|triton|cuda-|nvidia-", name) for name in left_out)
    os.utime(with_uv / "envs/lock.txt", (2**31, 2**31))
    run(with_uv, "make", ".venv/installed")
    assert any("--torch-backend cpu" in line for line in requested(with_uv)), "a later installation keeps to it"


def test_no_oracle_is_no_failure(with_uv):
    done = run(with_uv, "make", ".venv/installed-dev")
    assert done.returncode == 0 and "No pydensecrf (.venv/pydensecrf.log): " in done.stdout
    assert {"pytest", "ruff"} <= set(requested(with_uv))
    assert (with_uv / "pip.log").read_text().splitlines()[-1].endswith("--editable .[pydensecrf]")


def test_an_interrupted_installation_is_continued(with_uv):
    complete = (with_uv / "programs/uv").read_text()
    write_program(with_uv / "programs/uv", complete + "exit 1\n")
    assert run(with_uv, "make", ".venv/installed").returncode
    assert not (with_uv / ".venv/installed").exists()
    write_program(with_uv / "programs/uv", complete)
    assert run(with_uv, "make", ".venv/installed").returncode == 0
    requested(with_uv)
    assert run(with_uv, "make", ".venv/installed").returncode == 0
    assert not (with_uv / "uv.log").exists(), "nothing is left to do"


def test_an_environment_stays_unless_another_python_is_asked_for(with_uv):
    install(with_uv)
    (with_uv / ".venv/bin/plugin").touch()
    install(with_uv)
    install(with_uv, PYTHON="python3")
    assert (with_uv / ".venv/bin/plugin").exists()
    write_python(with_uv / "programs/python3.12", "3.12")
    install(with_uv, PYTHON="python3.12")
    assert not (with_uv / ".venv/bin/plugin").exists()


def test_make_notices_that_another_python_is_asked_for(with_uv):
    for name in ("3.12", "3.13"):
        write_python(with_uv / f"programs/python{name}", name)
    for python, installs in (("", 1), ("", 0), ("python3.12", 1), ("python3.12", 0), ("python3.13", 1), ("", 0)):
        assert run(with_uv, "make", f"PYTHON={python}", ".venv/installed").returncode == 0
        assert (with_uv / "uv.log").exists() == installs, python
        (with_uv / "uv.log").unlink(missing_ok=True)
    done = run(with_uv, "make", "PYTHON=python3.99", ".venv/installed")
    assert "python3.99 does not start: wsgcn needs" in done.stderr and not (with_uv / "uv.log").exists()


def test_other_builds_of_torch_are_refused(with_uv):
    assert "TORCH=gpu is unknown: TORCH=cpu takes" in run(with_uv, "make", "TORCH=gpu").stderr
