"""The mutants: their table against the library, and what runs them, on a library of one line.

Run alone: `.venv/bin/python -m pytest tests/mutants/test_run_mutants.py`.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import run_mutants
import yaml
from mutant_table import TABLE, read_mutants
from run_mutants import LIBRARY, ROOT

WINGS = {"graph", "refinement", "labels", "affinity", "cam", "networks", "segmentation", "evaluation"}
SUM = "def add(a, b):\n    return a + b\n"
TEST = "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"


def test_every_mutant_can_be_made_and_has_tests():
    """Whoever edits a formula edits its mutants."""
    mutants = read_mutants(TABLE)
    assert len(mutants) >= 60 and {own.file.partition("/")[0] for own in mutants} == WINGS
    for mutant in mutants:
        text = (ROOT / LIBRARY / mutant.file).read_text()
        assert mutant.apply(text) != text, mutant
        assert mutant.tests and all((ROOT / "tests" / test.partition("::")[0]).is_file() for test in mutant.tests)
    assert max(Counter((own.file, own.what) for own in mutants).values()) == 1


def test_mutants_of_some_files():
    files = {own.file for own in read_mutants(TABLE, ["affinity/irnet", "cam/"])}
    assert "affinity/irnet.py" in files and all(file.startswith(("affinity/irnet", "cam/")) for file in files)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """What `main` returns and prints of mutants (to: reason) of the sum, in a process of its own, since it forks."""
    (tmp_path / LIBRARY).mkdir(parents=True)
    (tmp_path / LIBRARY / "sums.py").write_text(SUM)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_sums.py").write_text(TEST)
    (tmp_path / "pyproject.toml").write_text(f'[tool.pytest.ini_options]\npythonpath = ["{LIBRARY}"]\n')

    def call(mutants, original="a + b"):
        rows = [{"what": to, "from": original, "to": to, "survives": reason} for to, reason in mutants.items()]
        table = tmp_path / "mutants.yaml"
        table.write_text(yaml.safe_dump({"sums.py": {"tests": ["test_sums.py"], "mutants": rows}}))
        code = "import sys, run_mutants as r; sys.exit(r.main((), *map(r.Path, sys.argv[1:]), jobs=1))"
        command = [sys.executable, "-c", code, table, tmp_path]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
        assert (tmp_path / LIBRARY / "sums.py").read_text() == SUM
        return done.returncode, done.stdout

    return call


def test_a_survivor_needs_a_reason(run):
    status, text = run({"a - b": "", "b + a": "a sum has no order"})
    assert status == 0 and "2 mutants, 1 killed" in text
    verdicts = [line.split()[0] for line in text.splitlines()[:3]]
    assert verdicts == ["passed", "killed", "survived"] and "(a sum has no order)" in text
    status, text = run({"a * b": "", "b + a": ""})
    assert status == 1 and text.splitlines()[-1].startswith("survived") and "b + a" in text.splitlines()[-1]


def test_what_breaks_a_module_is_no_killed_mutant(run):
    status, text = run({"a + b\nraise ValueError": ""})
    assert status == 1 and "pytest's exit status is 2" in text and "0 killed" in text


def test_tests_must_pass_without_a_mutant(run, tmp_path):
    (tmp_path / "tests/test_sums.py").write_text(TEST.replace("5", "6"))
    status, text = run({"a - b": ""})
    assert status == 1 and text.splitlines()[-1].startswith("failed")


@pytest.mark.parametrize(
    "original, message", [("a - b", "found 0 times"), ("a", "found 3 times"), ("+", "never closed")]
)
def test_a_mutant_that_cannot_be_made_is_an_error_before_any_test(original, message, run):
    status, text = run({"(": ""}, original)
    assert status == 1 and message in text and len(text.splitlines()) == 1


def test_a_mutant_that_never_ends_is_killed(tmp_path, run, monkeypatch):
    run({})
    monkeypatch.setattr(run_mutants, "MAX_SECONDS", 3)
    mutant = run_mutants.Mutant(("test_sums.py",), "sums.py", "for ever", "return a + b", "while True: pass")
    [(_, verdict, seconds)] = run_mutants.run_mutants([mutant], tmp_path, 1)
    assert verdict == "killed" and seconds >= 3
