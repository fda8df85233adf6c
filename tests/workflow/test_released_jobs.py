"""What jobs are told, and write, where the released codes' behaviour is set."""

import numpy as np
from configs import BASE, SETTINGS
from test_method_jobs import batch_job, write_cam
from test_sharing import DATA

from wsgcn.affinity.score_labels import read_training_label
from wsgcn.files import read_arrays
from wsgcn.workflow.directives import correction_params, predict_params, refiner_params, served_params
from wsgcn.workflow.experiments import merge
from wsgcn.workflow.flow import stages_of
from wsgcn.workflow.method_jobs import label_images
from wsgcn.workflow.plan import Plan

CRF = {
    "iterations": 2, "gaussian_sxy": 3, "gaussian_compat": 3, "bilateral_sxy": 80, "bilateral_srgb": 13,
    "bilateral_compat": 10,
}  # fmt: skip
SCORES = {"alpha_low": 4, "alpha_high": 32, "crf": CRF, "on_grid": "mean_scores"}


def test_a_job_writes_scores_of_each_image_also_without_a_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cams = [write_cam(tmp_path / f"cam-{n}.npz", key) for n, key in zip("abc", (1, None, 2), strict=True)]
    job = batch_job(tmp_path, {"cams": cams}, "labels", ".npz", settings=SCORES)
    label_images(job, "wsgcn.affinity.training_labels:label_for_affinitynet")
    assert read_arrays(tmp_path / "labels-a.npz")["scores"].shape == (2, 2, 9, 14)
    assert (read_training_label(str(tmp_path / "labels-b.npz")) == np.zeros((9, 14))).all()


def test_the_files_of_labels_are_of_the_kind_that_the_setting_says():
    psa = merge(SETTINGS, {"affinity": "psa"})
    scores = merge(psa, {"psa": {"labels": {"on_grid": "mean_scores"}}})
    assert stages_of(psa)["psa_label"].file.endswith("{image}.png")
    assert stages_of(scores)["psa_label"].file.endswith("{image}.npz")


def test_jobs_and_served_models_are_told_of_the_maximum():
    for combine in ("mean", "max_logits"):
        settings = merge(SETTINGS, {"segmentation": {"prediction": {"combine": combine}}})
        plan = Plan({BASE: settings}, DATA, "results", batch_size=1)
        job = next(plan.batch_jobs("predict"))
        told = {} if combine == "mean" else {"combine": combine}
        params = predict_params(job)
        served = served_params(job, "tiny", 64, None)["settings"]
        assert {k: v for k, v in params.items() if k == "combine"} == told
        assert {k: v for k, v in served["params"].items() if k == "combine"} == told
        assert params["settings"].keys() == served["prediction"].keys() == {"scales", "flip", "crf"}


def test_refiners_are_told_the_number_of_classes_just_where_their_networks_have_all():
    for outputs, told in (("own", {}), ("all", {"num_classes": 1})):
        settings = merge(SETTINGS, {"refine": {"outputs": outputs}})
        job = next(Plan({BASE: settings}, DATA, "results", batch_size=1).batch_jobs("refined"))
        assert {k: v for k, v in refiner_params(job).items() if k == "num_classes"} == told


def test_corrected_labels_start_from_the_same_scores():
    for crf_input in ("probabilities", "double_softmax"):
        settings = merge(SETTINGS, {"pseudo": {"crf_input": crf_input}})
        job = next(Plan({BASE: settings}, DATA, "results", batch_size=1).batch_jobs("pseudo"))
        found = correction_params(job)
        assert found.get("crf_input", "probabilities") == crf_input and found["num_classes"] == 1
        assert found["crf"] == SETTINGS["pseudo"]["crf"]
