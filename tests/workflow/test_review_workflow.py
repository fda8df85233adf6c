"""The real workflow queues labels for review, with and without masks, and reruns no more than it must.

Run alone: `.venv/bin/python -m pytest -m proof tests/workflow/test_review_workflow.py`.
"""

import csv
import json
import re

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from test_choice_workflow import DATASET, draw_folder
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.evaluation.review import SCORES
from wsgcn.files import read_label


def rules(output: str) -> set[str]:
    """The rules that Snakemake lists as planned."""
    table = output.partition("Job stats")[2].partition("total")[0]
    return set(re.findall(r"^(\S+) +\d+$", table, re.MULTILINE))


@pytest.mark.proof
def test_labels_are_queued_for_review(tmp_path):
    copy_workflow(tmp_path)
    root, results = tmp_path / "photos", tmp_path / "results/mine"
    draw_folder(root)
    Image.fromarray(np.full((60, 72, 3), 90, np.uint8)).save(root / "nothing.png")
    with open(root / "labels.csv", "a") as stream:
        stream.write("nothing.png,\n")
    settings = {"dataset": DATASET | {"longest_side": 48}, "batch_size": 16, "refine": {"epochs": 4}}
    write_config(tmp_path, settings)
    output = snakemake(tmp_path, "review")
    review = results / "review/wsgcn-i"
    assert (review / "review.txt").read_text() in output and "AUROC of each score for the worst 2 of 6" in output
    assert "Not in the queue: 1 image without a class." in output and not (results / "segmentation").exists()

    rows = list(csv.DictReader(open(review / "queue.csv")))
    assert len(rows) == 6 and list(rows[0]) == ["rank", "image", "score", *SCORES, "tags", "why"]
    assert [row["score"] for row in rows] == [row["mean_rank"] for row in rows]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores) and {row["score"] for row in csv.DictReader(open(review / "auroc.csv"))} == {
        *SCORES
    }
    page = (review / "review.html").read_text()
    assert all(f'src="pictures/{row["image"]}.jpg"' in page for row in rows) and "nothing.png" not in page
    for path in (results / "pseudo/wsgcn-i").glob("*.png"):
        confidence = read_label(results / "confidence/wsgcn-i" / path.name)
        assert confidence.shape == read_label(path).shape == size_of(root / path.name)
        assert (confidence == 255).all() == (path.stem == "nothing")
    store = json.loads((results / "mlflow/store.json").read_text())
    (run,) = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db").search_runs(
        [store["experiment_id"]], "tags.stage = 'review'"
    )
    assert {f"review/auroc/{name}" for name in SCORES} <= {name.partition("/")[2] for name in run.data.metrics}

    assert "Nothing to be done" in snakemake(tmp_path, "-n", "review")
    again = rules(snakemake(tmp_path, "-n", "--config", "review={score: area}", "--", "review"))
    assert again == {"review_queue_wsgcn-i", "review_run_wsgcn-i", "review"}
    walk = rules(snakemake(tmp_path, "-n", "--config", "random_walk={steps: 8}", "--", "review"))
    assert walk == again | {"review_labels_wsgcn-i_train_all"}
    assert not any("review" in rule for rule in rules(snakemake(tmp_path, "-n", "all")))

    for mask in (root / "masks").glob("*.png"):
        mask.unlink()
    output = snakemake(tmp_path, "review")
    assert "AUROC" not in (review / "review.txt").read_text() and "refine_" not in rules(output)
    assert "AUROC" not in (review / "review.html").read_text()


def size_of(path) -> tuple[int, int]:
    """(height, width) of an image."""
    with Image.open(path) as image:
        return image.height, image.width
