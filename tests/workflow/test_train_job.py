"""A training as a job: its key, its images and targets, its checkpoint, its files."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from wsgcn.files import read_json, write_arrays, write_label, write_skipped
from wsgcn.networks.training import fit
from wsgcn.workflow.train_job import train_job, training_key


class Named(dict):
    """Snakemake's lists of files: by name, as attributes and as a list."""

    __getattr__ = dict.__getitem__

    def __iter__(self):
        return iter([path for files in self.values() for path in ([files] if isinstance(files, str) else files)])


class Killed(BaseException):
    """Stands for a signal."""


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = [], []
    for k in range(4):
        images.append(str(tmp_path / f"{k}.png"))
        labels.append(str(tmp_path / f"label{k}.png"))
        Image.new("RGB", (5, 4)).save(images[-1])
        write_label(labels[-1], np.zeros((4, 5), np.uint8))
    return SimpleNamespace(
        input=Named(images=images, labels=labels),
        output=Named(
            model=str(tmp_path / "model.pt"),
            history=str(tmp_path / "history.csv"),
            seconds=str(tmp_path / "seconds.json"),
        ),
        params=Named(seed=0, settings={"lr": 1}, labels=[[k + 1] for k in range(4)]),
        config={"training_threads": 1, "checkpoint_seconds": 0, "on_error": "stop", "on_flat_affinity": "stop"},
        resources=Named(device="cpu"),
        threads=1,
        log=[str(tmp_path / "job.log")],
    )


def trainer(kill=None, steps=None):
    """A training of a few steps, which records its batches in `steps` and is killed at one of them."""
    steps = [] if steps is None else steps

    def train(images, targets, params, context):
        torch.manual_seed(context.seed)
        numbers = [int(Path(path).stem) for path in images]
        for k, target in zip(numbers, targets, strict=True):
            assert not isinstance(target, str) and k + 1 in target or Path(target).name == f"label{k}.png"
        assert params["settings"]["lr"] in (1, 2)
        model = nn.Linear(1, 1)

        def loss(batch):
            steps.append(batch.tolist())
            if len(steps) == kill:
                raise Killed
            return {"loss": ((model(batch.float()[:, None]) - batch[:, None]) ** 2).mean()}

        def sample(index, rng):
            return (np.float32(numbers[index] + rng.random()),)

        groups = [{"params": list(model.parameters()), "lr": 0.01}]
        return model, fit(model, groups, loss, len(numbers), sample, context, batch=2, iterations=12)

    return train


def test_a_killed_job_resumes_from_its_checkpoint(job, tmp_path):
    train_job(job, trainer())
    expected = [(tmp_path / name).read_bytes() for name in ("model.pt", "history.csv")]
    for name in ("model.pt", "history.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(Killed):
        train_job(job, trainer(kill=8))
    checkpoint = tmp_path / "model.pt.checkpoint"
    assert not (tmp_path / "model.pt").exists()
    state = torch.load(checkpoint, weights_only=True)
    torch.save(state | {"seconds": state["seconds"] + 1000}, checkpoint)  # as of a slow training
    steps = []
    train_job(job, trainer(steps=steps))
    assert len(steps) == 12 - 7 and "resumes after step 7/12" in (tmp_path / "job.log").read_text()
    assert [(tmp_path / name).read_bytes() for name in ("model.pt", "history.csv")] == expected
    assert 1000 < read_json(tmp_path / "seconds.json")["seconds"] < 1100 and not checkpoint.exists()


@pytest.mark.parametrize("changed", ["settings", "threads", "image", "label"])
def test_another_training_starts_over(changed, job, tmp_path):
    with pytest.raises(Killed):
        train_job(job, trainer(kill=8))
    if changed == "settings":
        job.params["settings"] = {"lr": 2}
    elif changed == "threads":
        job.config["training_threads"] = 2
    else:
        os.utime(job.input[f"{changed}s"][2], ns=(1, 1))
    steps = []
    train_job(job, trainer(steps=steps))
    assert len(steps) == 12 and "starts over" in (tmp_path / "job.log").read_text()


def test_the_key_of_a_training_is_the_same_in_every_process(job):
    keys = {training_key({"a": [1, 0.5]}, list(job.input)) for _ in range(2)}
    assert len(keys) == 1 and keys != {training_key({"a": [1, 0.25]}, list(job.input))}


def test_skipped_images_are_not_trained_on(job, tmp_path):
    write_skipped(job.input.labels[1], "cam: no")
    steps = []
    train_job(job, trainer(steps=steps))
    assert {int(value) for step in steps for value in step} == {0, 2, 3}
    assert "trains on 3 of 4 images" in (tmp_path / "job.log").read_text()
    for path in job.input.labels:
        write_skipped(path, "cam: no")
    with pytest.raises(SystemExit, match="all of its images were skipped"):
        train_job(job, trainer())


def test_features_keep_to_their_images_where_one_was_skipped(job, tmp_path):
    files = [str(tmp_path / f"{k}.npz") for k in range(4)]
    for k, path in enumerate(files):
        write_arrays(path, pooled=np.full(2, k))
    write_skipped(files[1], "unreadable")
    job.input = Named(features=files)
    job.params |= {"ids": list("abcd"), "groups": list("ppqr"), "labels": [[1], [3], [3], [4]]}
    seen = []

    def train(sources, targets, params, context):
        seen.append((sources, targets, params["ids"], params["groups"]))
        history = pd.DataFrame({"loss": [0.5]}, index=pd.Index([1], name="step"))
        history.attrs["seconds"] = 0.1
        return nn.Linear(1, 1), history

    train_job(job, train)
    assert seen == [([files[k] for k in (0, 2, 3)], [[1], [3], [4]], list("acd"), list("pqr"))]
    job.params["labels"] = [[1], [2, 5], [3], [5]]
    with pytest.raises(SystemExit, match="all images that show class 2 of dataset.classes were skipped"):
        train_job(job, train)
    for path in files:
        write_skipped(path, "unreadable")
    with pytest.raises(SystemExit, match="all of its images were skipped"):
        train_job(job, train)


def test_without_label_files_unreadable_images_are_left_out_where_bad_ones_are_skipped(job, tmp_path):
    del job.input["labels"]
    job.params["labels"] = [[1], [2], [3, 2], [4]]
    (tmp_path / "1.png").write_text("no image")
    for on_error, expected in (("stop", {0, 1, 2, 3}), ("skip", {0, 2, 3})):
        job.config["on_error"], steps = on_error, []
        train_job(job, trainer(steps=steps))
        assert {int(value) for step in steps for value in step} == expected


def test_a_history_is_a_table_by_step(job, tmp_path):
    train_job(job, trainer())
    history = pd.read_csv(tmp_path / "history.csv", index_col="step")
    assert list(history.index) == list(range(1, 13)) and list(history.columns) == ["loss"]
    assert set(torch.load(tmp_path / "model.pt", weights_only=True)) == {"weight", "bias"}


@pytest.mark.parametrize("gain, choice, stops", [(0.01, "stop", True), (0.01, "report", False), (0.5, "stop", False)])
def test_a_network_that_learnt_nothing_is_not_handed_on(gain, choice, stops, job, tmp_path):
    job.config["on_flat_affinity"], learnt = choice, {"section": "irnet.training", "gain": gain}

    def train(*given):
        model, history = trainer()(*given)
        history.attrs["learnt"] = learnt
        return model, history

    if stops:
        with pytest.raises(
            SystemExit, match=r"irnet\.training: .*irnet\.training\.min_steps.*on_flat_affinity: report"
        ):
            train_job(job, train)
        assert not (tmp_path / "model.pt").exists()
        return
    train_job(job, train)
    assert read_json(tmp_path / "seconds.json")["learnt"] == learnt
    assert f"{gain:.1%} below" in (tmp_path / "job.log").read_text()


@pytest.mark.parametrize("label_files", [True, False])
def test_targets_are_label_files_or_else_the_labels_of_the_parameters(label_files, job):
    if not label_files:
        del job.input["labels"]
    given = []

    def train(images, targets, params, context):
        given.append((images, targets, params["seed"], context.seed))
        return trainer()(images, targets, params, context)

    train_job(job, train)
    targets = job.input.labels if label_files else job.params.labels
    assert given == [(job.input.images, targets, 0, 0)]


def test_corrections_are_told_by_image_even_where_some_were_skipped(job, tmp_path):
    job.params |= {"corrected": [1, 3], "correction_weight": 5}
    job.input["corrections"] = ["one.png", "three.png"]
    for name in job.input["corrections"]:
        (tmp_path / name).write_text("")  # it is part of the training's key
    write_skipped(job.input.labels[0], "too small")
    seen = {}

    def train(images, targets, params, context):
        seen.update(params)
        return trainer()(images, targets, params, context)

    train_job(job, train)
    assert seen["corrections"] == ["one.png", None, "three.png"] and seen["correction_weight"] == 5
    assert "corrected" not in seen
