"""What the installed distributions require, and an environment of some of them."""

import re
import sys
from collections import defaultdict
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
IMPORT = re.compile(r"^ *(?:from|import) +([a-zA-Z_]\w*)[\w.]*(?: +import\b|,| +as\b| *$)", re.MULTILINE)


def normal(name: str) -> str:
    """A distribution's name as PyPI writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements() -> list[Requirement]:
    """Those of the workflow, without the tools of its tests."""
    lines = (ROOT / "envs/requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@cache
def installed() -> dict[str, metadata.Distribution]:
    return {normal(found.metadata["Name"]): found for found in metadata.distributions()}


@cache
def runtime_closure() -> frozenset[str]:
    """The distributions that the workflow requires, and that those require in turn, on this Python and system."""
    todo, done = [(wanted, "") for wanted in direct_requirements()], set()
    while todo:
        wanted, extra = todo.pop()
        key = (normal(wanted.name), frozenset(wanted.extras))
        if key in done or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        done.add(key)
        required = [Requirement(line) for line in installed()[key[0]].requires or []]
        todo += [(each, extra) for each in required for extra in ["", *wanted.extras]]
    return frozenset(name for name, _ in done)


def link_distributions(names: frozenset[str], folder: Path) -> None:
    """Make the files of some distributions importable from `folder`, by links to where they are installed.

    A folder is linked whole unless others have files in it too, such as a namespace of several distributions.
    """
    owners = defaultdict(set)
    for name, found in installed().items():
        for file in found.files or []:
            for depth in range(1, len(file.parts) + 1):
                owners[file.parts[:depth]].add(name)
    for name in names:
        for file in installed()[name].files:
            if file.parts[0] == "..":
                continue  # a program; `write_programs` has them
            depth = next(n for n in range(1, len(file.parts) + 1) if owners[file.parts[:n]] <= names)
            part = Path(*file.parts[:depth])
            source, target = Path(installed()[name].locate_file(part)), folder / part
            if not target.is_symlink() and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)


def write_programs(names: frozenset[str], python: Path) -> None:
    """Write the commands of some distributions next to an interpreter."""
    for entry in metadata.entry_points(group="console_scripts"):
        if normal(entry.dist.name) in names:
            program = python.parent / entry.name
            module, _, function = entry.value.partition(":")
            program.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
            program.chmod(0o755)


def imported_names(path: Path) -> set[str]:
    """The top-level modules that a file imports, in Python or Snakemake's language, without the standard library's."""
    return set(IMPORT.findall(path.read_text())) - set(sys.stdlib_module_names)
