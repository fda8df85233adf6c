"""Logs, errors in one sentence, seconds per image, skipped images."""

import csv
import errno
import importlib.metadata
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from wsgcn.files import Skipped, read_arrays, read_label, why_skipped, write_arrays, write_label, write_skipped
from wsgcn.workflow.jobs import each_group, each_image, logged
from wsgcn.workflow.provenance import source_hash

ROOT = Path(__file__).parents[2]


def test_prints_go_to_the_log(tmp_path, capsys):
    with logged(tmp_path / "job.log"):
        print("to stdout")
        print("to stderr", file=sys.stderr)
    assert (tmp_path / "job.log").read_text() == "to stdout\nto stderr\n"
    assert capsys.readouterr() == ("", "")


def test_an_error_ends_the_process_with_one_sentence(tmp_path):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as ended, logged(log):
        print("before")
        raise ValueError("mask a.png is broken")
    assert ended.value.code == f"mask a.png is broken (more in {log})"
    text = log.read_text()
    assert text.startswith("before\nTraceback") and "ValueError: mask a.png is broken" in text


def test_an_error_without_a_message_is_shown_by_its_type(tmp_path):
    with pytest.raises(SystemExit, match="^MemoryError "), logged(tmp_path / "job.log"):
        raise MemoryError


def test_streams_are_restored_after_an_error(tmp_path):
    streams = sys.stdout, sys.stderr
    with pytest.raises(SystemExit), logged(tmp_path / "job.log"):
        raise ValueError("no")
    assert (sys.stdout, sys.stderr) == streams


class Named(dict):
    """Snakemake's named lists of files, also available as attributes."""

    __getattr__ = dict.__getitem__


def job_of(folder, ids, on_error="stop", **outputs):
    """The part of Snakemake's job that `each_image` reads."""
    return SimpleNamespace(
        params=SimpleNamespace(ids=ids),
        output=Named(seconds=folder / "new" / "seconds.csv", **outputs),
        config={"on_error": on_error},
        rule="refine_train_01",
        resources={"device": "cpu"},
    )


def test_each_image_calls_in_turn_and_writes_seconds(tmp_path):
    called, job = [], job_of(tmp_path, ["a", "b,c", "d"])
    each_image(job, called.append)
    assert called == [0, 1, 2]
    with open(job.output.seconds, newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["image", "seconds", "code", "torch", "device"]
    assert [image for image, *_ in rows] == ["a", "b,c", "d"]
    assert all(0 <= float(seconds) < 1 for _, seconds, *_ in rows)
    assert {tuple(row[2:]) for row in rows} == {(source_hash(), importlib.metadata.version("torch"), "cpu")}


def test_an_error_names_its_image_and_writes_no_table(tmp_path):
    def work(index):
        if index == 1:
            raise ValueError("the CRF is unhappy")

    with pytest.raises(RuntimeError, match="^image b: the CRF is unhappy$") as failed:
        each_image(job_of(tmp_path, ["a", "b"]), work)
    assert isinstance(failed.value.__cause__, ValueError)
    assert not list(tmp_path.iterdir())


def test_an_error_without_a_message_is_shown_by_its_type_and_image(tmp_path):
    def work(index):
        raise MemoryError

    with pytest.raises(RuntimeError, match="^image a: MemoryError"):
        each_image(job_of(tmp_path, ["a"]), work)


def test_images_of_a_group_share_its_seconds(tmp_path):
    called, job = [], job_of(tmp_path, list("abcde"))
    each_group(job, 2, lambda indices: called.append(list(indices)))
    assert called == [[0, 1], [2, 3], [4]]
    with open(job.output.seconds, newline="") as stream:
        _, *rows = csv.reader(stream)
    assert [image for image, *_ in rows] == list("abcde")
    assert rows[0][1] == rows[1][1]


def test_an_error_in_a_group_names_its_images(tmp_path):
    def work(indices):
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="^image a, b: no$"):
        each_group(job_of(tmp_path, ["a", "b", "c"]), 2, work)


def outputs(folder, ids):
    return {
        "labels": [folder / f"{name}.png" for name in ids],
        "scores": [folder / f"{name}.npz" for name in ids],
    }


def test_only_the_bad_image_is_skipped(tmp_path, capsys):
    job = job_of(tmp_path, ["a", "b", "c"], "skip", **outputs(tmp_path, "abc"))

    def work(k):
        if k == 1:
            raise FloatingPointError("the GCN's scores are not finite")
        write_label(job.output.labels[k], np.full((3, 4), k, np.uint8))
        write_arrays(job.output.scores[k], scores=np.ones(k))

    each_image(job, work)
    assert read_label(tmp_path / "c.png")[0, 0] == 2 and why_skipped(tmp_path / "a.png") is None
    why = "refine_train_01: the GCN's scores are not finite"
    assert why_skipped(tmp_path / "b.png") == why_skipped(tmp_path / "b.npz") == why
    assert capsys.readouterr().out == f"skipped image b ({why})\n"
    assert pd.read_csv(job.output.seconds)["image"].tolist() == ["a", "c"]  # only those with a result
    for read, file in ((read_label, "b.png"), (read_arrays, "b.npz")):
        with pytest.raises(Skipped, match="not finite"):
            read(tmp_path / file)


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_images_skipped_by_an_earlier_stage_stay_skipped(on_error, tmp_path):
    job = job_of(tmp_path, ["a", "b"], on_error, **outputs(tmp_path, "ab"))
    write_skipped(tmp_path / "cam.npz", "cam_new_0: too small")
    done = []
    each_image(job, lambda k: done.append(k) if k else read_arrays(tmp_path / "cam.npz"))
    assert done == [1] and why_skipped(tmp_path / "a.png") == "cam_new_0: too small"


def test_a_bad_image_does_not_skip_its_group(tmp_path):
    job, done = job_of(tmp_path, list("abcde"), "skip", **outputs(tmp_path, "abcde")), []

    def work(indices):
        if 1 in indices:
            raise ValueError("no")
        done.extend(indices)

    each_group(job, 3, work)
    assert done == [0, 2, 3, 4] and why_skipped(tmp_path / "b.png") == "refine_train_01: no"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        MemoryError(),
        RuntimeError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("Unable to find an engine to execute this computation"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
    ],
)
def test_errors_of_the_machine_are_not_skipped(error, tmp_path):
    def work(k):
        raise error

    with pytest.raises(RuntimeError, match="^image a: "):
        each_image(job_of(tmp_path, ["a"], "skip", **outputs(tmp_path, "a")), work)
    assert not list(tmp_path.iterdir())


def test_a_file_named_like_an_error_of_the_machine_is_skipped(tmp_path):
    def work(k):
        raise ValueError("image photos/CUDA error.png cannot be read")

    each_image(job_of(tmp_path, ["a"], "skip", **outputs(tmp_path, "a")), work)
    assert all("CUDA error.png" in why_skipped(files[0]) for files in outputs(tmp_path, "a").values())


def test_torch_running_out_of_memory_is_not_skipped(tmp_path):
    with pytest.raises(RuntimeError, match="^image a: .*memory"):
        each_image(job_of(tmp_path, ["a"], "skip", **outputs(tmp_path, "a")), lambda k: torch.empty(10**15))
    assert not list(tmp_path.iterdir())


def test_crfs_are_computed_by_the_backend_of_the_job(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr("wsgcn.workflow.jobs.use_backend", chosen.append)
    job = job_of(tmp_path, ["a", "b"], labels=[])
    each_image(job, lambda k: None)
    assert chosen == []
    job.resources["crf_backend"] = "pydensecrf"
    each_image(job, lambda k: chosen.append(k))
    assert chosen == ["pydensecrf", 0, 1]
    assert next(csv.DictReader(job.output.seconds.open()))["crf"] == "pydensecrf"


def test_every_rule_with_dense_crfs_says_which_backend_computes_them():
    scripts = ("label_partial", "label_pseudo", "label_affinity", "predict_images")
    rules = [text for path in (ROOT / "rules").glob("*.smk") for text in re.split(r"\n +rule:\n", path.read_text())]
    for script in scripts:
        [stated] = [text for text in rules if f"{script}.py" in text]
        assert "**CRF," in stated, script
