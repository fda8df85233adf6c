"""Batch jobs of the registries' methods, without Snakemake."""

from types import SimpleNamespace

import numpy as np
import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, ResourceList

from wsgcn.files import why_skipped, write_arrays, write_skipped
from wsgcn.workflow.method_jobs import refine_images
from wsgcn.workflow.stages import REFINERS


def job_of(folder, on_error: str, **inputs):
    """A refiner's job on one image, as Snakemake would give it to the script."""
    given = {name: [str(folder / path)] for name, path in inputs.items()}
    out = {"refined": [str(folder / "refined.npz")], "seconds": str(folder / "seconds.csv")}
    params = {"ids": ["a"], "classes": [[1]], "background_score": 0.4}
    return SimpleNamespace(
        input=InputFiles(fromdict=given),
        output=OutputFiles(fromdict=out),
        params=Params(fromdict=params),
        resources=ResourceList(fromdict={}),
        log=[str(folder / "job.log")],
        config={"on_error": on_error},
        rule="refine_train_all",
    )


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_an_image_that_an_earlier_stage_skipped_keeps_its_reason(on_error, tmp_path, monkeypatch):
    """Also where it cannot be read, which is why it was skipped."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_text("no image")
    write_skipped(tmp_path / "affinity.npz", "cam_train_all: image a.jpg cannot be read")
    write_skipped(tmp_path / "partial.png", "cam_train_all: image a.jpg cannot be read")
    job = job_of(tmp_path, on_error, images="a.jpg", affinities="affinity.npz", labels="partial.png")
    refine_images(job, REFINERS["gcn"].refine)
    assert why_skipped(tmp_path / "refined.npz") == "cam_train_all: image a.jpg cannot be read"


def test_scores_are_written_with_the_classes_of_the_cams(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cam = np.linspace(0, 1, 12, dtype=np.float16).reshape(1, 3, 4)
    write_arrays(tmp_path / "cam.npz", keys=np.array([3], np.uint8), cam=cam, high_res=cam)
    refine_images(job_of(tmp_path, "stop", cams="cam.npz"), REFINERS["none"].refine)
    with np.load(tmp_path / "refined.npz") as found:
        assert sorted(found) == ["keys", "scores"] and found["keys"].tolist() == [3]
        assert found["scores"].dtype == np.float16 and np.array_equal(found["scores"][1:], cam)
    assert (tmp_path / "seconds.csv").read_text().startswith("image,seconds")
