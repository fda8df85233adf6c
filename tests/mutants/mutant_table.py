"""The table of mutants, mutants.yaml: how each changes a file of the library, and which tests are to notice it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

TABLE = Path(__file__).with_name("mutants.yaml")


@dataclass(frozen=True)
class Mutant:
    """A change in a file of the library, from an original to a mutated text, and the tests to run, the first one first.

    reason: why no test can notice it, if so. Without a file nothing is changed, and the tests must pass.
    """

    tests: tuple[str, ...]
    file: str = ""
    what: str = "without a mutant"
    original: str = ""
    mutated: str = ""
    reason: str = ""

    def apply(self, text: str) -> str:
        """The file's text with the change.

        Raises ValueError where the original is not in it exactly once, SyntaxError where the result is no Python.
        """
        if text.count(self.original) != 1:
            raise ValueError(f"{self.file}: found {text.count(self.original)} times, not once: {self.original}")
        changed = text.replace(self.original, self.mutated)
        compile(changed, self.file, "exec")
        return changed


def read_mutants(table: Path, only: Sequence[str] = ()) -> list[Mutant]:
    """The mutants of a table, of all files or of those whose path holds one of the words."""
    mutants = []
    for file, group in yaml.safe_load(table.read_text()).items():
        if not only or any(word in file for word in only):
            for row in group["mutants"]:
                tests = tuple(row.get("tests", group["tests"]))
                mutants.append(Mutant(tests, file, row["what"], row["from"], row["to"], row.get("survives", "")))
    return mutants
