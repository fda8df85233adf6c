"""The six recipes of docs/extending.md: their code, as the page has it, and how it is added to a project.

A block of code says in its first line where it goes: a new file, a row of a table, a section of config.yaml or of the
schema.
"""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs/extending.md"
ROW, CONFIG, SCHEMA = "workflow_scripts/wsgcn/workflow/stages.py", "config.yaml", "rules/schemas/config.yaml"


class Block(NamedTuple):
    """path: the file it goes to; place: where in it, empty for a file of its own; code: without the first line."""

    path: str
    place: str
    code: str


def recipes() -> dict[str, list[Block]]:
    """The blocks of each recipe by its heading, such as "A refiner"."""
    parts = re.split(r"^## (.*)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {heading: _blocks(text) for heading, text in zip(parts[::2], parts[1::2], strict=True)}
    return {heading: blocks for heading, blocks in found.items() if blocks}


def _blocks(text: str) -> list[Block]:
    found = re.findall(r"^```\w+\n# ([\w./]+\.(?:py|yaml))(?:, ([^\n]*))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(*parts) for parts in found]


def add_recipe(blocks: list[Block], folder: Path) -> None:
    """Add a recipe to the project in `folder`, which needs the file config.yaml."""
    for path, place, code in blocks:
        target = folder / path
        if path == ROW:
            table = place.removeprefix("in ")
            _insert(target, rf"^{table} = \{{.*\n(?:    .*\n)+(?=\}})", textwrap.indent(code, "    "))
        elif path == CONFIG:
            target.write_text(target.read_text() + "\n" + code)
        elif path == SCHEMA:
            _insert(target, r"^required:\n(?:  - \w+\n)+", f"  - {code.partition(':')[0]}\n")
            _insert(target, r"^properties:\n(?:(?:  .*)?\n)+(?=\$defs:)", textwrap.indent(code, "  ") + "\n")
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(code)


def _insert(path: Path, after: str, text: str) -> None:
    changed, count = re.subn(after, lambda match: match[0] + text, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path} has {count} places for a recipe's row or section"
    path.write_text(changed)
