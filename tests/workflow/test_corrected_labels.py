"""Corrections: found and checked, the jobs they touch, the labels they make.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_corrected_labels.py`.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from plans import BASE, CLASSES, dataset, plan
from tiny_project import snakemake
from tiny_voc import planned

from wsgcn.evaluation.metrics import confusion
from wsgcn.files import (
    IGNORE,
    read_arrays,
    read_label,
    why_skipped,
    write_arrays,
    write_grey,
    write_label,
    write_skipped,
)
from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.pseudo import complete_label
from wsgcn.refinement.contract import Refined
from wsgcn.sections import from_section
from wsgcn.workflow.correction_job import correct_labels, read_correction
from wsgcn.workflow.corrections import find_corrections, open_corrections
from wsgcn.workflow.directives import correction_inputs, correction_params, training_inputs, training_params
from wsgcn.workflow.flow import dependencies
from wsgcn.workflow.jobs import labelled_indices
from wsgcn.workflow.plan import correction_rule

CORRECTIONS = {"b": "data/corrections/b.png", "c": "data/corrections/c.png"}  # c is trained on, but gets no label

# Finding and checking


def test_corrections_are_found_by_the_names_of_their_images(tmp_path):
    for name in ("b.png", "e.PNG", "x.png", "a.jpg", ".hidden.png"):
        write_label(tmp_path / name, np.zeros((2, 2)))
    (tmp_path / "folder.png").mkdir()
    found = find_corrections(dataset(), str(tmp_path))
    assert found.files == {"b": f"{tmp_path}/b.png", "e": f"{tmp_path}/e.PNG"}
    assert len(found.problems) == 2 and "a.jpg is no PNG" in found.problems[0]
    assert f"correction {tmp_path}/x.png is of no image of the lists" in found.problems[1]
    assert find_corrections(dataset(), str(tmp_path / "none")) == ({}, [])


def test_corrections_are_opened_and_what_they_add_is_said(tmp_path):
    def masked(name: str) -> dict:
        path = tmp_path / f"{name}.jpg"
        Image.new("RGB", (6, 4)).save(path)
        return {"path": str(path)}

    data = dataset().change_lists(lambda own: {i: replace(image, **masked(i)) for i, image in own.items()})
    (tmp_path / "d.jpg").unlink()  # not drawn yet
    values = {"a": np.full((4, 6), IGNORE), "b": np.full((4, 6), 3), "c": np.zeros((6, 4)), "e": np.full((4, 6), 2)}
    values["a"][0, 0] = 1
    for name, own in values.items():
        write_label(tmp_path / f"own/{name}.png", own)
    files = {name: str(tmp_path / f"own/{name}.png") for name in (*values, "d")}
    problems, remarks = open_corrections(data, files, tmp_path, 1)
    assert problems == [
        f"correction {files['b']} contains values of no class: 3",
        f"correction {files['c']} is 4×6, but its image is 6×4",
    ]
    assert "3 labels corrected: 3 images, the first a" in remarks
    assert any("shows dog, no tag of e: it counts in this label alone" in line for line in remarks)
    assert remarks[-1] == "2 corrections of no image to label: 2 images, the first c"
    assert open_corrections(data, {"a": files["a"]}, tmp_path, 1) == ([], ["1 label corrected: image a"])


# Plans


def test_a_corrected_image_is_a_job_of_its_own():
    others = {"walk": {"refinement": "random_walk"}}
    found = plan(others, corrections=CORRECTIONS)
    jobs = {job.name: job for job in found.correction_jobs()}
    assert list(jobs) == [f"correct_{BASE}+b", "correct_walk+b"]
    job = jobs[f"correct_{BASE}+b"]
    assert job.files() == [f"results/tiny/pseudo/{BASE}/b.png"] and job.ids == ["b"]
    assert job.files("before") == [f"results/tiny/corrected/{BASE}/b.npz"]
    assert job.seconds == f"results/tiny/seconds/correct/{BASE}/b.csv"
    inputs = correction_inputs(job)
    assert inputs["corrections"] == ["data/corrections/b.png"] and inputs["labels"] == ["results/tiny/partial/b.png"]
    assert set(inputs) == {"images", "affinities", "labels", "corrections", "refined"}
    assert set(correction_inputs(jobs["correct_walk+b"])) == {"images", "corrections", "refined"}
    assert correction_params(job)["classes"] == [[1]] and correction_params(job)["num_classes"] == len(CLASSES)
    assert not list(plan(others).correction_jobs())
    assert [job.name for job in replace(found, allowed={"correct_walk+b"}).correction_jobs()] == ["correct_walk+b"]


def test_batches_and_trainings_are_as_without_corrections():
    plain, found = plan(), plan(corrections=CORRECTIONS)
    for stage in ("partial", "refined", "pseudo"):
        assert [(job.name, job.ids) for job in found.batch_jobs(stage)] == [
            (job.name, job.ids) for job in plain.batch_jobs(stage)
        ]
    for stage in ("boundary", "segmentation"):
        (own,), (other,) = found.training_jobs(stage), plain.training_jobs(stage)
        assert training_inputs(own) == training_inputs(other) and training_params(own) == training_params(other)


def test_corrections_are_inputs_of_trainings_in_which_they_have_a_weight():
    weights = {"corrections": {"affinity_weight": 3, "segmentation_weight": 0}}
    experiments = {"weighed": weights, "psa": {"affinity": "psa", **weights}}
    found = plan(experiments, corrections=CORRECTIONS)
    own = {
        (stage, job.experiment): job
        for stage in ("classifier", "boundary", "affinitynet", "segmentation")
        for job in found.training_jobs(stage)
    }
    for key in (("boundary", "weighed"), ("affinitynet", "psa")):
        assert training_inputs(own[key])["corrections"] == list(CORRECTIONS.values())
        assert training_params(own[key])["corrected"] == [1, 2] and training_params(own[key])["correction_weight"] == 3
    assert training_inputs(own["segmentation", "weighed"])["corrections"] == ["data/corrections/b.png"]
    assert training_params(own["segmentation", "weighed"])["correction_weight"] == 0
    for key in (("classifier", BASE), ("boundary", BASE), ("segmentation", BASE)):
        assert "corrections" not in training_inputs(own[key]) and "corrected" not in training_params(own[key])
    bare = plan(experiments)
    assert all("corrected" not in training_params(job) for job in bare.training_jobs("boundary"))
    settings = found.experiments
    assert "corrections.affinity_weight" in dependencies(settings["weighed"])["boundary"]
    assert not any("corrections" in key for keys in dependencies(settings[BASE]).values() for key in keys)


def test_names_of_rules_are_safe_and_differ():
    assert correction_rule("mine/", "img_1.a-b") == "correct_mine+img_1.a-b"
    names = [correction_rule("mine/", image) for image in ("a b", "a_b", "a=b", "ä b")]
    assert len(set(names)) == 4 and all(set(name) <= set(names[1]) | set("0123456789abcdef") for name in names)


def test_corrected_labels_are_not_in_the_queue():
    data = dataset()
    found = plan(corrections=CORRECTIONS, reviewed=True)
    assert [job.ids for job in found.review_jobs("review_queue")] == [["a", "d"]]
    assert [job.ids for job in found.measuring_jobs()] == [["a"], ["d"]]
    assert found.uncorrected(data.label) == ["a", "d"] and found.corrected(data.label) == ["b"]


def test_the_images_that_a_batch_labels_are_those_of_its_files():
    assert labelled_indices(["a", "b.1", "c"], ["x/pseudo/a.png", "x/pseudo/c.png"]) == [0, 2]
    assert labelled_indices(["a", "b.1"], ["x/b.1.png"]) == [1] and labelled_indices(["a"], []) == []


# The job


class Named(dict):
    """Snakemake's named lists, also available as attributes."""

    __getattr__ = dict.__getitem__


CRF = dict(iterations=5, gaussian_sxy=1, gaussian_compat=2, bilateral_sxy=5, bilateral_srgb=10, bilateral_compat=4)
SEEN: list = []


def refine_by_partial(images, params, device):
    """Scores that say what the partial label says."""
    SEEN.extend(images)
    return [
        Refined(i.keys, np.stack([0.1 + (i.partial == value) for value in (0, *i.keys)]).astype(np.float32))
        for i in images
    ]


@pytest.fixture
def job_of(tmp_path, picture):
    """job_of(correction, tags, again, **params): the job of one image of 24 × 30 pixels, as Snakemake gives it."""

    def build(correction, tags=(2,), again=True, **params):
        SEEN.clear()
        rng = np.random.default_rng(1)
        Image.fromarray(picture).save(tmp_path / "image.png")
        write_label(tmp_path / "correction.png", correction)
        scores = rng.random((len(tags) + 1, 6, 8)).astype(np.float16)
        write_arrays(tmp_path / "refined.npz", keys=np.array(tags, np.uint8), scores=scores)
        write_arrays(tmp_path / "affinity.npz", features=np.zeros(1))
        write_label(tmp_path / "partial.png", np.full((6, 8), IGNORE if tags else 0))
        names = {"images": "image.png", "corrections": "correction.png", "refined": "refined.npz"}
        names |= {"affinities": "affinity.npz", "labels": "partial.png"} if again else {}
        return SimpleNamespace(
            log=[str(tmp_path / "job.log")],
            params=Named(ids=["a"], classes=[list(tags)], crf=CRF, num_classes=9, **params),
            input=Named({name: [str(tmp_path / file)] for name, file in names.items()}),
            output=Named(
                labels=[str(tmp_path / "label.png")],
                confidences=[str(tmp_path / "confidence.png")],
                before=[str(tmp_path / "before.npz")],
                seconds=str(tmp_path / "seconds.csv"),
            ),
            config={"on_error": "stop"},
            rule="correct",
            resources={},
        )

    return build


def results_of(job, monkeypatch):
    monkeypatch.setenv("WSGCN_UNLOGGED", "1")
    correct_labels(job, f"{__name__}:refine_by_partial")
    return read_label(job.output.labels[0]), read_label(job.output.confidences[0]), read_arrays(job.output.before[0])


def test_a_full_mask_is_the_label(job_of, rng, monkeypatch, picture):
    mask = rng.integers(0, 10, (24, 30)).astype(np.uint8)
    job = job_of(mask)
    label, confidence, before = results_of(job, monkeypatch)
    np.testing.assert_array_equal(label, mask)
    assert (confidence == 255).all() and before["full"] and not SEEN
    refined = read_arrays(job.input.refined[0])
    uncorrected, _ = complete_label(picture, refined["scores"], [2], from_section(CrfSettings, CRF))
    np.testing.assert_array_equal(before["counts"], confusion(mask, uncorrected, 9))
    write_skipped(job.input.refined[0], "cam: too small")
    label, _, before = results_of(job, monkeypatch)
    np.testing.assert_array_equal(label, mask)
    assert not before["counts"].any()


def test_what_the_crf_starts_from_is_read(job_of, rng, monkeypatch, picture):
    """Both for the label before the correction and for the one with it."""
    scribble = np.full((24, 30), IGNORE, np.uint8)
    scribble[5, 3:9] = 2
    job = job_of(scribble, again=False, crf_input="double_softmax")
    label, _, before = results_of(job, monkeypatch)
    scores, crf = read_arrays(job.input.refined[0])["scores"], from_section(CrfSettings, CRF)
    uncorrected, _ = complete_label(picture, scores, [2], crf, crf_input="double_softmax")
    np.testing.assert_array_equal(before["counts"], confusion(scribble, uncorrected, 9))
    corrected, _ = complete_label(picture, scores, [2], crf, scribble, "double_softmax")
    np.testing.assert_array_equal(label, corrected)
    assert (corrected != complete_label(picture, scores, [2], crf, scribble)[0]).any()


def test_scribbles_are_certain_nodes_and_keep_every_pixel(job_of, monkeypatch):
    scribbles = np.full((24, 30), IGNORE, np.uint8)
    scribbles[5, 3:27], scribbles[20, 3:27], scribbles[12, 14] = 2, 0, 7  # 7 is no tag
    label, confidence, before = results_of(job_of(scribbles), monkeypatch)
    known = scribbles != IGNORE
    np.testing.assert_array_equal(label[known], scribbles[known])
    assert (confidence[known] == 255).all() and not before["full"] and before["counts"].sum() == known.sum()
    (seen,) = SEEN
    assert seen.keys == (2, 7)
    assert (seen.partial[1] == 2).any() and (seen.partial[5] == 0).any() and (seen.partial == 7).sum() == 1
    assert set(np.unique(label)) <= {0, 2, 7} and (label == 2).sum() > (scribbles == 2).sum()


@pytest.mark.parametrize(("tags", "again"), [((2,), False), ((), True), ((), False)])
def test_labels_are_corrected_without_a_graph_too(tags, again, job_of, monkeypatch):
    """Of refiners that read no partial label, and of images without a tag."""
    scribbles = np.full((24, 30), IGNORE, np.uint8)
    scribbles[5:7, 3:27] = 4
    label, _, _ = results_of(job_of(scribbles, tags, again), monkeypatch)
    assert (label[5:7, 3:27] == 4).all() and not SEEN and set(np.unique(label)) <= {0, 4, *tags}


def test_corrections_are_of_the_full_size_of_an_image_that_was_made_smaller(job_of, monkeypatch):
    scribbles = np.full((61, 77), IGNORE, np.uint8)
    np.fill_diagonal(scribbles, 2)
    job = job_of(scribbles, full_sizes=[(61, 77)])
    label, confidence, _ = results_of(job, monkeypatch)
    assert label.shape == confidence.shape == (61, 77) and (label[scribbles == 2] == 2).all()
    assert (SEEN[0].partial == 2).sum() >= 6
    write_grey(job.input.corrections[0], np.zeros((24, 30)))
    with pytest.raises(RuntimeError, match="is 30×24, but its image is 77×61"):
        results_of(job, monkeypatch)
    with pytest.raises(ValueError, match="does not exist"):
        read_correction("none.png", (2, 3))


# The workflow


def test_one_corrected_image_reruns_its_own_label_and_what_reads_it(project, tmp_path):
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    pseudo = clone / f"results/tiny/pseudo/{BASE}"
    image, others = "train_0003", [path for path in pseudo.iterdir() if path.stem != "train_0003"]
    before = {path: path.stat().st_mtime_ns for path in [*others, *clone.glob("results/tiny/refined/*/*.npz")]}
    correction = np.full_like(read_label(pseudo / f"{image}.png"), IGNORE)
    correction[20:24, 10:60], correction[50, 5:70] = 1, 0
    write_label(clone / f"data/corrections/{image}.png", correction)
    touched = {
        f"correct_{BASE}+{image}",
        f"segmentation_{BASE}",
        *(f"predict_{BASE}_new_{bits}" for bits in batches_of(clone, "predict")),
        f"evaluate_refined_crf_{BASE}",
        *(f"evaluate_segmentation_{kind}_{BASE}" for kind in ("single", "multi", "multi_crf")),
        f"track_pseudo_{BASE}",
        f"track_segmentation_{BASE}",
        f"register_model_{BASE}",
        f"report_{BASE}",
        f"summary_{BASE}",
        "all",
    }
    assert planned(clone) == touched
    snakemake(clone, "labels")
    label = read_label(pseudo / f"{image}.png")
    known = correction != IGNORE
    np.testing.assert_array_equal(label[known], correction[known])
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert planned(clone, "labels") == set()
    assert planned(clone) == touched - {f"correct_{BASE}+{image}"}
    assert not why_skipped(pseudo / f"{image}.png")
    assert {rule.partition("_")[0] for rule in planned(clone, "--config", "corrections={affinity_weight: 1}")} >= {
        "boundary",
        "refine",
        "pseudo",
    }


def batches_of(clone: Path, stage: str) -> list[str]:
    """The ends of the names of a stage's batch jobs, from the tables of seconds that they have written."""
    tables = (clone / f"results/tiny/seconds/{stage}/{BASE}").glob("*.csv")
    return [path.stem.removeprefix("new_") for path in tables]
