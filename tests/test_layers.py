"""Which wing may import which, what only one of them knows, and how long files may get.

Run alone: `.venv/bin/python -m pytest tests/test_layers.py`.
"""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow_scripts"
LIBRARY = SCRIPTS / "wsgcn"
MODULES = {
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts): path
    for path in sorted(LIBRARY.rglob("*.py"))
    if path.name != "__init__.py"
}
GROUND = ("depth", "files", "text", "sections", "compiled")
FLOORS = [  # from the ground up; a wing imports itself and those of lower floors
    ("depth",),
    GROUND[1:],
    ("graph", "data"),
    ("labels", "networks"),
    ("cam", "affinity", "segmentation"),
    ("refinement",),
    ("evaluation",),
    ("reporting", "exporting"),
    ("tracking", "serving"),
    ("workflow",),
]
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}

MAX_MODULE_LINES = 300
MAX_MEDIAN_LINES = 120
MAX_SCRIPT_LINES = 25


def imports(path: Path, top: bool = False) -> set[str]:
    """The modules that a file imports, also within functions, or only at its top level."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def wing(module: str) -> str:
    return module.split(".")[1]


def library_imports(path: Path) -> set[str]:
    """The modules of the library that a file imports."""
    return imports(path) & set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_wing_imports_itself_and_lower_floors_only(module):
    for other in library_imports(MODULES[module]):
        assert wing(other) == wing(module) or FLOOR[wing(other)] < FLOOR[wing(module)], f"{module} imports {other}"
    if wing(module) == "graph":
        assert {wing(other) for other in library_imports(MODULES[module])} <= {"graph", *GROUND}


def test_no_import_goes_in_a_circle():
    """Not even one within a function."""
    graph, done = {module: library_imports(path) - {module} for module, path in MODULES.items()}, set()
    while ready := {module for module, needed in graph.items() if module not in done and needed <= done}:
        done |= ready
    assert done == set(graph), sorted(set(graph) - done)


@pytest.mark.parametrize(
    ("package", "wings"), [("mlflow", {"tracking", "serving"}), ("onnx", {"serving"}), ("snakemake", {"workflow"})]
)
def test_few_wings_know_mlflow_onnx_and_snakemake(package, wings):
    """MLflow is a store to `tracking`, a server to `serving`, whose model is a class of MLflow's."""
    users = {wing(module) for module, path in MODULES.items() if any(m.split(".")[0] == package for m in imports(path))}
    assert users == wings
    for script in SCRIPTS.glob("*.py"):
        assert package not in {module.split(".")[0] for module in imports(script)}, script


def test_every_package_is_a_docstring():
    for path in LIBRARY.rglob("__init__.py"):
        (statement,) = ast.parse(path.read_text()).body
        assert isinstance(statement.value.value, str)


def test_reading_the_rules_imports_neither_torch_nor_mlflow():
    """What rules/common.smk imports, and all registries' rows."""
    lines = (ROOT / "rules/common.smk").read_text()
    code = "import sys\n" + "\n".join(ast.unparse(node) for node in _imports_of_rules(lines))
    code += "\nprint(*sorted({'torch', 'mlflow', 'timm', 'numba', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", ["labels.partial", "labels.pseudo", "affinity.training_labels"])
def test_jobs_that_only_label_import_no_torch(module):
    """It takes seconds, in each of many short jobs."""
    code = (
        f"import sys, wsgcn.{module}, wsgcn.workflow.method_jobs, wsgcn.labels.crf_numba; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _imports_of_rules(text: str) -> list[ast.stmt]:
    start = text.index("from wsgcn")
    block = text[start : text.index("\n\n", start)]
    return ast.parse(block).body


def test_files_are_short():
    lines = {path: len(path.read_text().splitlines()) for path in MODULES.values()}
    assert {path: count for path, count in lines.items() if count >= MAX_MODULE_LINES} == {}
    assert statistics.median(lines.values()) <= MAX_MEDIAN_LINES
    scripts = {path.name: len(path.read_text().splitlines()) for path in SCRIPTS.glob("*.py")}
    assert {name: count for name, count in scripts.items() if count > MAX_SCRIPT_LINES} == {}
