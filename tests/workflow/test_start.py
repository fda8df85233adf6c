"""What is checked before the first job, beside the data."""

import os
from dataclasses import replace

from configs import CONFIG
from plans import BASE, dataset, plan

from wsgcn.workflow.stages import CAM_SOURCES
from wsgcn.workflow.start import class_counts, export_library, networks_to_train, short_trainings

PSA = {"wsgcn-p": {"affinity": "psa", "psa": {"training": {"epochs": 1000}}}}
FILES = ("classifier/model.pt", "irnet/boundary.pt", "psa/affinitynet.pt", f"segmentation/{BASE}/model.pt")
CLASSIFIER, BOUNDARY, AFFINITYNET, SEGMENTATION = (f"results/tiny/{path}" for path in FILES)


def test_networks_that_this_run_trains_are_built_once():
    found = networks_to_train(plan(PSA), {CLASSIFIER, SEGMENTATION, "results/tiny/cam/a.npz"})
    own, deeplab = CONFIG["backbone"], CONFIG["segmentation"]["training"]["backbone"]
    assert found == [("", own, 16), ("segmentation.training.", deeplab, 8)]
    assert networks_to_train(plan(PSA), set()) == []


def test_short_trainings_are_reported_with_their_steps():
    found = short_trainings(plan(PSA), {CLASSIFIER, BOUNDARY, AFFINITYNET, SEGMENTATION})
    epochs, batch = CONFIG["classifier"]["epochs"], CONFIG["classifier"]["batch"]
    assert [line.split(":")[0] for line in found] == ["classifier", "irnet.training"]  # 1000 epochs are enough
    assert found[0].startswith(f"classifier: {epochs} epochs over 3 images are {3 * epochs // batch} steps of {batch} ")
    assert short_trainings(plan(PSA), {BOUNDARY}) == found[1:]


def test_classes_are_counted_over_all_lists():
    assert class_counts(dataset()) == "classes: cat (5 images), dog (0 images)"


def test_jobs_import_the_library_beside_the_rules(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/other")
    export_library("/mine")
    export_library("/mine")
    assert os.environ["PYTHONPATH"] == f"/mine{os.pathsep}/other"


def test_a_training_that_counts_otherwise_is_not_judged(monkeypatch):
    row = CAM_SOURCES["classifier"]
    training = replace(row.training, params={"options": "classifier", "seed": "seed"})
    monkeypatch.setitem(CAM_SOURCES, "classifier", replace(row, training=training))
    assert short_trainings(plan(), {CLASSIFIER}) == []
