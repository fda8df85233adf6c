"""The recipes of docs/extending.md in the real workflow: what a method costs, and that it runs.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_extending.py`.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipes import CONFIG, ROW, SCHEMA, add_recipe, recipes
from tiny_project import ROOT, copy_workflow, merge, snakemake, write_config
from tiny_voc import LABEL, NAMES, draw_voc

from wsgcn.files import read_label

RECIPES = recipes()
TABLES = {"REFINERS", "CAM_SOURCES", "AFFINITIES", "READERS", "SEGMENTATION_NETWORKS"}


def files(folder: Path) -> dict[str, bytes]:
    """The files of a clone that belong to the project."""
    kinds = (
        "workflow_scripts/**/*.py",
        "rules/**/*.smk",
        "rules/**/*.yaml",
        "tests/**/*.py",
        "Snakefile",
        "config.yaml",
    )
    return {str(path.relative_to(folder)): path.read_bytes() for kind in kinds for path in folder.glob(kind)}


def table_of(blocks) -> str:
    (place,) = [block.place.removeprefix("in ") for block in blocks if block.path == ROW]
    return place


def test_there_is_a_recipe_for_each_registry():
    assert {table_of(blocks) for blocks in RECIPES.values()} == TABLES


@pytest.mark.parametrize("name", RECIPES)
def test_a_method_costs_a_module_a_test_a_row_and_a_section(name, tmp_path):
    copy_workflow(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    before = files(tmp_path)
    add_recipe(RECIPES[name], tmp_path)
    after = files(tmp_path)
    new, changed = after.keys() - before.keys(), {path for path in before if after[path] != before[path]}
    assert len([path for path in new if path.startswith("workflow_scripts/wsgcn/")]) == 1
    assert len([path for path in new if path.startswith("tests/")]) == 1 and len(new) == 2
    assert changed <= {ROW, CONFIG, SCHEMA} and ROW in changed
    rows = [len((tree[ROW]).splitlines()) for tree in (before, after)]
    assert 0 < rows[1] - rows[0] <= 12  # one row
    tests = [path for path in new if path.startswith("tests/")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *tests]
    environment = {"PYTHONPATH": f"{tmp_path}/workflow_scripts:{ROOT}/tests", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


EXPERIMENT = {  # how an experiment chooses the recipe's method, by the registry
    "REFINERS": "refinement",
    "CAM_SOURCES": "cam_source",
    "AFFINITIES": "affinity",
    "SEGMENTATION_NETWORKS": "segmentation_network",
}


def added_name(folder: Path, table: str) -> str:
    """The name of the row that a recipe has added to a registry of the clone."""
    code = f"from wsgcn.workflow.stages import {table}; print(list({table})[-1])"
    environment = {"PYTHONPATH": f"{folder}/workflow_scripts"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", [name for name, blocks in RECIPES.items() if table_of(blocks) in EXPERIMENT])
def test_a_method_runs_through_the_whole_workflow(name, tmp_path):
    copy_workflow(tmp_path)
    draw_voc(tmp_path / "data")
    dataset = {"name": "tiny", "kind": "voc", "root": "data", "classes": list(NAMES.values()), "label": "label"}
    write_config(tmp_path, {"dataset": dataset})
    add_recipe(RECIPES[name], tmp_path)
    table = table_of(RECIPES[name])
    method = added_name(tmp_path, table)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["experiments"] = {"other": {EXPERIMENT[table]: method}}
    config["segmentation_for"] = ["other"] if table == "SEGMENTATION_NETWORKS" else "none"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(tmp_path, "other")
    labels = [read_label(tmp_path / f"results/tiny/pseudo/other/{image}.png") for image in LABEL]
    assert all(set(label.ravel()) <= {0, *range(1, 6)} for label in labels) and any(label.any() for label in labels)
    summary = (tmp_path / "results/tiny/summary/other.txt").read_text()
    assert "refined_crf" in summary and ("segmentation_multi_crf" in summary) == (table == "SEGMENTATION_NETWORKS")
    assert "Nothing to be done" in snakemake(tmp_path, "other", "--dry-run")


def test_an_unknown_method_ends_in_one_sentence(tmp_path):
    copy_workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(merge(config, {"refinement": "gnc"}), sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "-n"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "config: refinement: gnc must be one of gcn, random_walk, none; did you mean gcn?" in done.stderr
    assert "Traceback" not in done.stderr
