"""What the project depends on: direct dependencies, the lock files, and what is installed.

Run alone: `.venv/bin/python -m pytest tests/test_dependencies.py`.
"""

import re
import tomllib
from importlib import metadata

import pytest
from distributions import ROOT, direct_requirements, imported_names, installed, normal, runtime_closure
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
LOCKS = {"lock.txt": direct_requirements(), "lock-dev.txt": DEV}
RUN_BY_USERS = [
    ROOT / "Snakefile",
    *(ROOT / "rules").rglob("*.smk"),
    *(ROOT / "docs").glob("*.py"),
    *(ROOT / "workflow_scripts").rglob("*.py"),
]


def entries(name: str) -> list[tuple[Requirement, list[str]]]:
    """The packages of a lock file with their hashes. A package can have an entry per Python or system."""
    text = (ROOT / "envs" / name).read_text().replace("\\\n", "")
    lines = [line.partition("--hash") for line in text.splitlines() if line and not line.startswith("#")]
    return [(Requirement(pin), re.findall(r"=sha256:[0-9a-f]{64}", hashes)) for pin, _, hashes in lines]


def applicable(name: str) -> dict[str, str]:
    """The versions that a lock file pins on this Python and system; those of CUDA only where torch needs them."""
    found = [pin for pin, _ in entries(name) if not pin.marker or pin.marker.evaluate()]
    if "+cpu" in metadata.version("torch"):  # make TORCH=cpu
        found = [pin for pin in found if not re.match("triton|cuda-|nvidia-", pin.name)]
    versions = {normal(pin.name): str(pin.specifier).removeprefix("==") for pin in found}
    assert len(versions) == len(found), "no package has two versions at once"
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_has_one_version_and_hashes(name):
    for pin, hashes in entries(name):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_keeps_to_the_direct_dependencies(name):
    versions = applicable(name)
    for wanted in LOCKS[name]:
        assert wanted.specifier.contains(versions[normal(wanted.name)]), f"{wanted}: run make lock"


def test_the_lock_has_all_that_the_workflow_needs_here_and_nothing_else():
    assert set(applicable("lock.txt")) == runtime_closure()
    assert not set(applicable("lock.txt")) & set(applicable("lock-dev.txt"))


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_is_what_the_lock_pins(name):
    versions = applicable(name)
    found = {name: metadata.version(name).partition("+")[0] if name in installed() else None for name in versions}
    assert found == versions, "run make test, which installs what is missing"


def test_what_users_run_imports_direct_dependencies_alone():
    owners = metadata.packages_distributions()
    direct = {normal(wanted.name) for wanted in direct_requirements()}  # and pydensecrf, an extra
    own = {"wsgcn", "pydensecrf", *(path.stem for path in (ROOT / "workflow_scripts").glob("*.py"))}
    for path in RUN_BY_USERS:
        for name in imported_names(path) - own:
            assert {normal(owner) for owner in owners.get(name, [name])} & direct, f"{path} imports {name}"


def test_pythons_are_named_alike_everywhere():
    python = SpecifierSet(PROJECT["requires-python"])
    oldest, newest = (3, 11), (3, 14)
    assert [minor for minor in range(30) if python.contains(f"3.{minor}")] == list(range(oldest[1], newest[1] + 1))
    for page in ("README.md", "docs/running.md"):
        assert "Python 3.11 to 3.14" in (ROOT / page).read_text(), page
    assert f"--python-version 3.{oldest[1]} " in (ROOT / "Makefile").read_text()
    conda = re.search(r"python=(.*)", (ROOT / "envs/wsgcn.yaml").read_text())[1]
    assert python.contains(conda)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index(name):
    """Hashes say what is installed, so a mirror serves as well."""
    assert "://" not in (ROOT / "envs" / name).read_text()


def test_the_package_holds_every_file_of_the_library():
    """What is no Python file must be listed to be installed."""
    library = ROOT / "workflow_scripts/wsgcn"
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["wsgcn"]
    files = [
        path for path in library.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    ]
    assert {path.relative_to(library).as_posix() for path in files} == set(listed)
