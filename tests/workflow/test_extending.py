"""The recipes of docs/extending.md in the real workflow: what a method costs, and that it runs.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_extending.py`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from recipes import CONFIG, ROW, SCHEMA, add_recipe, recipes
from tiny_project import ROOT, copy_workflow, merge, shrink, snakemake, write_config
from tiny_voc import LABEL, NAMES, draw_voc

from wsgcn.data import demo_scenes
from wsgcn.files import read_label

RECIPES = recipes()
TABLES = {"REFINERS", "CAM_SOURCES", "AFFINITIES", "READERS", "SEGMENTATION_NETWORKS", "EXPORTERS"}


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
    assert 0 < rows[1] - rows[0] <= 16  # one row
    shutil.copytree(ROOT / "tests", tmp_path / "tests", dirs_exist_ok=True)
    tests = [*(path for path in new if path.startswith("tests/")), "tests/workflow/test_contracts.py"]
    chosen = f"{added_name(tmp_path, table_of(RECIPES[name]))} or not contracts"  # and of its row
    options = ["-q", "-k", chosen, "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    environment = {"PYTHONPATH": f"{tmp_path}/workflow_scripts", "PATH": "/usr/bin:/bin"}
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


@pytest.mark.proof
def test_methods_run_through_the_whole_workflow(tmp_path):
    """All but the reader, each as an experiment of its own, with all that follows."""
    copy_workflow(tmp_path)
    draw_voc(tmp_path / "data")
    dataset = {"name": "tiny", "kind": "voc", "root": "data", "classes": list(NAMES.values()), "label": "label"}
    write_config(tmp_path, {"dataset": dataset})
    experiments = {}
    for blocks in RECIPES.values():
        if (table := table_of(blocks)) in EXPERIMENT:
            add_recipe(blocks, tmp_path)
            experiments[f"with-{table.lower()}"] = {EXPERIMENT[table]: added_name(tmp_path, table)}
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    segmented = "with-segmentation_networks"
    config = shrink(config) | {"experiments": experiments, "segmentation_for": [segmented]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(tmp_path, *experiments)
    for name in experiments:
        folder = "wsgcn-i" if name == segmented else name  # it shares the base's labels
        labels = [read_label(tmp_path / f"results/tiny/pseudo/{folder}/{image}.png") for image in LABEL]
        assert all(set(label.ravel()) <= set(range(6)) for label in labels) and any(label.any() for label in labels)
        summary = (tmp_path / f"results/tiny/summary/{name}.txt").read_text()
        assert "refined_crf" in summary and ("segmentation_multi_crf" in summary) == (name == segmented)
    assert "Nothing to be done" in snakemake(tmp_path, *experiments, "--dry-run")


@pytest.mark.proof
def test_a_reader_runs_through_the_whole_workflow(tmp_path):
    """The layout of the recipe: a folder per class."""
    (name,) = [name for name, blocks in RECIPES.items() if table_of(blocks) == "READERS"]
    copy_workflow(tmp_path)
    for image, classes in demo_scenes.plan("train", 8, 0).items():
        pixels, _ = demo_scenes.draw(image, classes, 0, 80)
        (folder := tmp_path / "birds" / classes[0]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{image}.png")
    write_config(tmp_path, {"segmentation_for": "none"})
    add_recipe(RECIPES[name], tmp_path)
    output = snakemake(tmp_path, "--configfile", "configs/birds.yaml", "--", "all")
    assert "mIoU" in output and len(list((tmp_path / "results/birds/pseudo/wsgcn-i").glob("*.png"))) == 8


def test_an_unknown_method_ends_in_one_sentence(tmp_path):
    copy_workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(merge(config, {"refinement": "gcnn"}), sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "-n"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert (
        done.returncode
        and "config: refinement: gcnn must be one of gcn, random_walk, none; did you mean gcn?" in output
    )
    assert "Traceback" not in output
