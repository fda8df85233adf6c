"""What is checked before the first job, beside the data."""

import os
from dataclasses import replace

import pytest
from configs import CONFIG
from plans import BASE, dataset, plan

from wsgcn.data.dataset import Dataset, Image
from wsgcn.networks.schedule import MIN_USEFUL_STEPS
from wsgcn.text import printable
from wsgcn.workflow.stages import CAM_SOURCES
from wsgcn.workflow.start import (
    describe_classes,
    export_library,
    hard_classes,
    networks_to_train,
    repeated_experiments,
    short_trainings,
)

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
    steps, batch = 3 * CONFIG["classifier"]["epochs"] // CONFIG["classifier"]["batch"], CONFIG["classifier"]["batch"]
    assert [line.split(":")[0] for line in found] == ["classifier", "irnet.training"]  # 1000 epochs are enough
    assert found[0].startswith(f"classifier: 3 images are trained on for {steps} steps of {batch} images; ")
    assert short_trainings(plan(PSA), {BOUNDARY}) == found[1:]
    enough = {"irnet": {"training": {"min_steps": MIN_USEFUL_STEPS}}}
    job = "results/tiny/irnet/enough/boundary.pt"
    assert short_trainings(plan({"enough": enough}), {job}) == []
    (short,) = short_trainings(plan({"enough": {"irnet": {"training": {"min_steps": 20}}}}), {job})
    assert "for 20 steps of" in short and "a larger min_steps may help" in short


def test_experiments_that_are_others_once_more_are_named():
    walk = {"random_walk": {"steps": 4}}
    network = {"segmentation": {"training": {"iterations": 7}}}
    experiments = {"walk": {"refinement": "random_walk"}, "longer": network, "far": walk, "as-it-is": {}}
    idle = f"experiment far: its results are those of {BASE}, since none of its stages reads random_walk.steps"
    equal = f"experiment as-it-is: its results are those of {BASE}, since it changes nothing"
    assert repeated_experiments(replace(plan(experiments), segmented=[BASE, "longer"])) == [idle, equal]
    (line,) = repeated_experiments(plan({"longer": network}))  # trains no network
    assert line.endswith("none of its stages reads segmentation.training.iterations")
    assert repeated_experiments(replace(plan({"longer": network}), segmented=["longer"])) == []


def test_classes_are_counted_over_all_lists():
    assert describe_classes(dataset()).splitlines() == [
        "images per class, of 5 in all:",
        "       5  cat",
        "       0  dog",
    ]


@pytest.mark.parametrize("name", ["a, b (3 images)", "\u202etac", "猫, dog", "x\ny", "12", "x" * 90])
def test_the_line_of_a_class_is_readable_whatever_it_is_called(name):
    images = {"a": Image("a", "a.png", (1,), None)}
    _, line, other = describe_classes(Dataset((name, "cat"), images, {}, {}, (0,), ())).splitlines()
    assert line == f"       1  {printable(name)}" and other == "       0  cat"


NO = "no image shows these classes, so they cannot be learnt"
EVERY = "every image shows these classes, so nothing tells them from their background"
FEW = "fewer than 5 images show these classes, too few to learn from"


def tagged(*tags):
    images = {str(k): Image(str(k), f"{k}.png", own, None) for k, own in enumerate(tags)}
    return Dataset(("cat", "dog", "owl"), images, {}, {}, (0,), ())


@pytest.mark.parametrize(
    "tags, sentences",
    [
        ([(1,)] * 5 + [(2, 3)] * 5, []),
        ([(1, 2)] * 5 + [(1,)] * 5, [f"{NO}: owl", f"{EVERY}: cat"]),
        ([(1, 2)] * 4 + [(1,)] * 5 + [(3,)] * 9, [f"{FEW}: dog (4)"]),
        ([(1,)], [f"{NO}: dog, owl", f"{EVERY}: cat"]),
        ([(1, 2, 3)] * 9, [f"{EVERY}: cat, dog, owl"]),
    ],
)  # fmt: skip
def test_classes_that_cannot_be_learnt_are_named(tags, sentences):
    assert hard_classes(tagged(*tags)) == [f"dataset.train: {sentence}" for sentence in sentences]


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


def test_images_without_a_class_are_counted():
    images = {str(k): Image(str(k), f"{k}.png", own, None, negative) for k, (own, negative) in enumerate(
        [((1,), False), ((), True), ((), True), ((), False)]
    )}  # fmt: skip
    assert describe_classes(Dataset(("cat",), images, {}, {}, (0,), ())).splitlines() == [
        "images per class, of 4 in all:",
        "       1  cat",
        "       2  (none of them)",
        "       1  (other tags, or none)",
    ]


def test_one_class_can_be_learnt_from_negatives():
    assert hard_classes(replace(tagged(*[(1,)] * 5, *[()] * 5), classes=("cat",))) == []
    assert hard_classes(replace(tagged(*[(1,)] * 5), classes=("cat",))) == [f"dataset.train: {EVERY}: cat"]
