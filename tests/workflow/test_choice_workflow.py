"""The real workflow chooses settings, with and without masks, and runs with what it has chosen.

Run alone: `.venv/bin/python -m pytest -m proof tests/workflow/test_choice_workflow.py`.
"""

import csv
import json
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.data import demo_scenes as demo
from wsgcn.files import write_label

CLASSES = demo.CLASSES[:2]
CHOICE = {"partial.confident_ratio": [0.3, 0.6], "refinement": ["gcn", "none"]}
DATASET = {"name": "mine", "kind": "folder", "root": "photos", "train": "all", "label": "all", "evaluate": "all"}


def draw_folder(root: Path) -> None:
    """Six drawings of either of two classes with their masks."""
    (root / "masks").mkdir(parents=True)
    rows = []
    for k, image in enumerate(demo.plan("train", 6, 3)):
        shown = CLASSES[k % 2]
        pixels, mask = demo.draw(image, (shown,), 3, 72)
        Image.fromarray(pixels).save(root / f"{image}.png")
        write_label(root / f"masks/{image}.png", (mask > 0) * (1 + sorted(CLASSES).index(shown)))
        rows.append((f"{image}.png", shown))
    with open(root / "labels.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("image", "classes"), *rows])


@pytest.mark.proof
def test_settings_are_chosen_and_used(tmp_path):
    copy_workflow(tmp_path)
    draw_folder(tmp_path / "photos")
    write_config(tmp_path, {"dataset": DATASET, "batch_size": 16, "refine": {"epochs": 4}, "choose": CHOICE})
    choice = tmp_path / "results/mine/choice"
    output = snakemake(tmp_path, "choose")
    text = (choice / "choice.txt").read_text()
    assert text in output and "chosen among 0.3, 0.6 by the masks of 6 images: mIoU" in text
    assert "what each rule would choose" in text and not (tmp_path / "results/mine/segmentation").exists()
    judged = json.loads((choice / "labels/confident_ratio-0.6.json").read_text())
    assert {rule: len(scores) for rule, scores in judged.items()} == {
        "crf_agreement": 6,
        "walk_agreement": 6,
        "consistency": 6,
    }
    assert "walk_agreement" not in json.loads((choice / "labels/refinement-none.json").read_text())
    rows = list(csv.DictReader(open(choice / "table.csv")))
    assert [(row["setting"], row["value"]) for row in rows] == [
        ("partial.confident_ratio", "0.3"),
        ("partial.confident_ratio", "0.6"),
        ("refinement", "gcn"),
        ("refinement", "none"),
    ]

    for mask in (tmp_path / "photos/masks").glob("*.png"):
        mask.unlink()
    output = snakemake(tmp_path, "choose")
    text, overlay = (choice / "choice.txt").read_text(), yaml.safe_load((choice / "settings.yaml").read_text())
    assert text in output and "no truth was used" in text and "mIoU" not in text
    assert overlay["chosen"].keys() == CHOICE.keys() and overlay["refinement"] in CHOICE["refinement"]
    assert "refine_" not in output.partition("Job stats")[2].partition("total")[0], "labels were made again"

    by_consistency = snakemake(tmp_path, "--config", "choose_by=consistency", "--", "choose_settings")
    assert "by consistency (how much more" in by_consistency and "judge_" not in by_consistency

    store = json.loads((tmp_path / "results/mine/mlflow/store.json").read_text())
    runs = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db").search_runs(
        [store["experiment_id"]], "tags.stage = 'choice'"
    )
    assert sorted((run.data.params["truth_used"], run.data.tags["current"]) for run in runs) == [
        ("False", "yes"),
        ("True", "no"),
    ]
    (current,) = (run for run in runs if run.data.tags["current"] == "yes")
    assert "no truth was used" in current.data.params["why.refinement"]
    assert current.data.metrics["choice/refinement/refinement-none/crf_agreement"] > 0

    report = "results/mine/report/wsgcn-i.html"
    snakemake(tmp_path, "--configfile", "config.yaml", "results/mine/choice/settings.yaml", "--", report)
    assert "no truth was used" in (tmp_path / report).read_text()
