"""README and docs/ against the project: settings, paths, links, tables and recipes.

Run it alone: `.venv/bin/python -m pytest tests/workflow/test_docs.py`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipes import ROW, add_recipe, recipes

from wsgcn.workflow.stages import REGISTRIES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md"))]
MIN_WORDS, MAX_WORDS = 800, 950
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_page_of_settings_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_configuration", ROOT / "docs/write_configuration.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    message = "run .venv/bin/python docs/write_configuration.py"
    assert script.TARGET.read_text() == script.configuration(), message


def test_the_readme_has_about_900_words():
    """Counted as `wc -w README.md` does: all that white space separates, in code, tables and the file tree too."""
    assert MIN_WORDS <= len(README.read_text().split()) <= MAX_WORDS


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in (first or second for first, second in LINK.findall(CODE.sub("", page.read_text()))):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme():
    linked = {first for first, _ in LINK.findall(README.read_text())}
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= {link.partition("#")[0] for link in linked}


def tree() -> dict[str, str]:
    """The paths of the file tree in README.md with their comments."""
    block = re.search(r"## What is where\n\n```\n(.*?)```", README.read_text(), re.DOTALL)[1]
    found, folders = {}, []
    for line in block.splitlines():
        names, comment = re.fullmatch(r"((?: *[\w./]+)+?) {2,}(.*)", line).groups()
        depth = (len(names) - len(names.lstrip())) // 2
        del folders[depth:]
        found |= {"".join([*folders, name]): comment for name in names.split()}
        folders.append(names.split()[-1])
    return found


def test_the_file_tree_has_every_wing_and_no_other_paths():
    paths = tree()
    assert not [path for path in paths if not (ROOT / path).exists()]
    library = ROOT / "workflow_scripts/wsgcn"
    wings = {path.parent.name for path in library.glob("*/__init__.py")}
    assert {f"workflow_scripts/wsgcn/{wing}/" for wing in wings} <= set(paths)
    assert {f"workflow_scripts/wsgcn/{path.name}" for path in library.glob("[!_]*.py")} <= set(paths)
    assert all(paths.values())


def test_the_architecture_lists_every_wing_and_every_registry():
    text = (ROOT / "docs/architecture.md").read_text()
    wings = {path.parent.name for path in (ROOT / "workflow_scripts/wsgcn").glob("*/__init__.py")}
    assert set(re.findall(r"^\| \d \| `(\w+)/` \|", text, re.MULTILINE)) == wings
    tables = re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)
    assert tables == [registry.upper() for registry in REGISTRIES]


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the project with all recipes of docs/extending.md."""
    folder = tmp_path_factory.mktemp("extended")
    for name in ("config.yaml", "configs", "docs", "pyproject.toml", "rules", "tests", "workflow_scripts"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    for blocks in recipes().values():
        add_recipe(blocks, folder)
    return folder


def run(folder: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(folder / "workflow_scripts")}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_there_is_a_recipe_for_every_table():
    rows = [block.place for blocks in recipes().values() for block in blocks if block.path == ROW]
    assert sorted(rows) == sorted(f"in {registry.upper()}" for registry in REGISTRIES)


def test_the_recipes_pass_their_own_tests(extended):
    tests = [block.path for blocks in recipes().values() for block in blocks if block.path.startswith("tests/")]
    assert len(tests) == len(REGISTRIES)
    run(extended, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_the_recipes_are_formatted_and_their_sections_valid(extended):
    modules = {block.path for blocks in recipes().values() for block in blocks if block.path.endswith(".py")}
    run(extended, "-m", "ruff", "check", "--no-cache", *modules)
    run(extended, "-m", "ruff", "format", "--no-cache", "--check", *modules)
    schema, config = (
        yaml.safe_load((extended / name).read_text()) for name in ("rules/schemas/config.yaml", "config.yaml")
    )
    assert schema["required"] == list(schema["properties"]) and set(config) == set(schema["properties"])
    code = "import yaml; from wsgcn.workflow.settings import problems_of; "
    code += "assert not problems_of(yaml.safe_load(open('config.yaml')), 'rules/schemas/config.yaml')"
    run(extended, "-c", code)


def test_pre_commit_needs_no_network():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in hooks)
