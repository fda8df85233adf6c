"""Batch jobs of the registries' methods, without Snakemake."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from snakemake.iocontainers import InputFiles, OutputFiles, Params, ResourceList

from wsgcn.files import read_arrays, read_label, why_skipped, write_arrays, write_label, write_skipped
from wsgcn.graph.grid import grid_size
from wsgcn.workflow.method_jobs import infer_affinities, label_images, make_cams, refine_images
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


def batch_job(folder, inputs: dict, output: str, suffix: str, **params):
    """A job on the images a, b, which has no class, and c, of 9 × 14 pixels each."""
    for name in "abc":
        Image.new("RGB", (14, 9), (200, 30, 30)).save(folder / f"{name}.png")
    given = {"images": [str(folder / f"{name}.png") for name in "abc"]} | inputs
    out = {output: [str(folder / f"{output}-{name}{suffix}") for name in "abc"], "seconds": str(folder / "seconds.csv")}
    return SimpleNamespace(
        input=InputFiles(fromdict=given),
        output=OutputFiles(fromdict=out),
        params=Params(fromdict={"ids": list("abc")} | params),
        resources=ResourceList(fromdict={}),
        log=[str(folder / "job.log")],
        config={"on_error": "stop"},
        rule="rule",
    )


SEEN: list = []
"""What the methods below were asked for."""


def open_source(params, model, device):
    """A source of CAMs that notes the keys and the file of each image."""

    def cams(given):
        SEEN.append((given.keys, given.file))
        return np.full((1, *grid_size(*given.image.shape[:2])), 0.5), np.full((1, *given.image.shape[:2]), 0.5)

    return cams


def label_all(image, cams, keys, settings):
    SEEN.append(list(keys))
    return np.full(image.shape[:2], keys[0], np.uint8)


def open_network(params, model, device):
    SEEN.append("opened")
    return lambda image: {"boundary": np.zeros(grid_size(*image.shape[:2]))}


def refine_all(images, params, device):
    from wsgcn.refinement.contract import Refined

    SEEN.append([image.id for image in images])
    return [Refined(image.keys, np.full((2, 3, 4), 0.5), np.zeros((2, 5), np.float32)) for image in images]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SEEN.clear()
    return tmp_path


def test_a_source_of_cams_never_sees_an_image_without_a_class(here):
    job = batch_job(here, {"cams": ["a.npy", "c.npy"]}, "cams", ".npz", labels=[[1], [], [2]])
    make_cams(job, f"{__name__}:open_source")
    assert SEEN == [((1,), "a.npy"), ((2,), "c.npy")]
    found = read_arrays(here / "cams-b.npz")
    assert found["keys"].shape == (0,) and found["cam"].shape == (0, 3, 4) and found["high_res"].shape == (0, 9, 14)
    assert found["cam"].dtype == np.float16


def test_a_job_of_negatives_alone_opens_no_network(here):
    job = batch_job(here, {"model": "none.pt"}, "affinities", ".npz", negatives=list("abc"))
    infer_affinities(job, f"{__name__}:open_network")
    assert not SEEN and read_arrays(here / "affinities-c.npz")["grid"].tolist() == [3, 4]
    job = batch_job(here, {"model": "none.pt"}, "affinities", ".npz", negatives=["b"])
    infer_affinities(job, f"{__name__}:open_network")
    assert SEEN == ["opened"] and list(read_arrays(here / "affinities-a.npz")) == ["boundary"]
    assert list(read_arrays(here / "affinities-b.npz")) == ["grid"]


def write_cam(path, key: int | None) -> str:
    maps = np.zeros((0 if key is None else 1, 3, 4), np.float16)
    full = np.zeros((len(maps), 9, 14), np.float16)
    write_arrays(path, keys=np.array([] if key is None else [key], np.uint8), cam=maps, high_res=full)
    return str(path)


def test_an_affinity_network_learns_background_from_negatives(here):
    cams = [write_cam(here / f"{name}.npz", key) for name, key in zip("abc", (1, None, 2), strict=True)]
    label_images(batch_job(here, {"cams": cams}, "labels", ".png", settings={}), f"{__name__}:label_all")
    assert SEEN == [[1], [2]] and (read_label(here / "labels-b.png") == np.zeros((9, 14))).all()
    assert (read_label(here / "labels-c.png") == 2).all()


@pytest.mark.parametrize("reads", ["cams", "labels", "affinities", "images"])
def test_refiners_never_see_negatives(reads, here):
    inputs = {}
    if reads == "cams":
        inputs = {"cams": [write_cam(here / f"{n}.npz", k) for n, k in zip("abc", (1, None, 2), strict=True)]}
    elif reads == "labels":
        for name in "abc":
            write_label(here / f"partial-{name}.png", np.zeros((3, 4), np.uint8))
        inputs = {"labels": [str(here / f"partial-{name}.png") for name in "abc"]}
    elif reads == "affinities":
        for name in "abc":
            write_arrays(here / f"affinity-{name}.npz", grid=np.array([3, 4]))
        inputs = {"affinities": [str(here / f"affinity-{name}.npz") for name in "abc"]}
    refine_images(batch_job(here, inputs, "refined", ".npz", classes=[[1], [], [2]]), f"{__name__}:refine_all")
    assert SEEN == [["a"], ["c"]]
    found = read_arrays(here / "refined-b.npz")
    assert found["keys"].shape == (0,) and np.array_equal(found["scores"], np.ones((1, 3, 4))) and "losses" not in found
    assert read_arrays(here / "refined-c.npz")["keys"].tolist() == [2]
