"""Jobs and files of a plan, without Snakemake. Run alone: `.venv/bin/python -m pytest tests/workflow/test_plan.py`."""

from dataclasses import replace

import pytest
from plans import BASE, dataset, images, plan

from wsgcn.workflow.directives import (
    boundary_files,
    cam_inputs,
    compared_inputs,
    further_places,
    infer_params,
    refiner_inputs,
    refiner_params,
    training_inputs,
    training_params,
    walk_params,
)
from wsgcn.workflow.flow import stages_of
from wsgcn.workflow.layout import evenly_spaced
from wsgcn.workflow.measured import protocol_of
from wsgcn.workflow.plan import Plan, benchmarked_experiment, rule_name
from wsgcn.workflow.request import Request

WALK = {"refinement": "random_walk"}
OTHERS = {"walk": WALK, "wsgcn-p": {"affinity": "psa"}, "no-entropy": {"refine": {"lambda_ent": 0}}}


def names(jobs) -> list[str]:
    return [job.name for job in jobs]


def all_jobs(found: Plan) -> list[str]:
    """The names of all jobs of an experiment's stages."""
    batched = [name for name, stage in found.patterns.items() if stage.images and stage.file] + ["predict"]
    trained = [name for name, stage in found.patterns.items() if stage.history]
    return [
        *(name for stage in batched for name in names(found.batch_jobs(stage))),
        *(name for stage in trained for name in names(found.training_jobs(stage))),
    ]


def test_a_job_knows_its_files():
    job = next(plan(OTHERS).batch_jobs("partial"))
    assert job.name == "partial_train_all" and job.ids == ["a", "b"]
    assert job.files() == ["results/tiny/partial/a.png", "results/tiny/partial/b.png"]
    assert job.files("cam") == ["results/tiny/cam/a.npz", "results/tiny/cam/b.npz"]
    assert job.seconds == "results/tiny/seconds/partial/train_all.csv"
    assert job.log == "results/tiny/logs/partial/train_all.log"
    assert job.benchmark == "results/tiny/benchmarks/partial/train_all.tsv"
    assert job.images == "2 images (train_all)"


def test_images_that_were_trained_on_share_no_batch_with_others():
    assert [job.ids for job in plan().batch_jobs("cam")] == [["a", "b", "c"], ["d"]]
    ids = [f"image-{k}" for k in range(100)]
    jobs = list(plan(data=dataset(ids, ids), batch_size=8).batch_jobs("partial"))
    assert sorted(image for job in jobs for image in job.ids) == sorted(ids)
    assert max(len(job.ids) for job in jobs) <= 12 and len({job.name for job in jobs}) == len(jobs)


@pytest.mark.parametrize("own", [{}, WALK, {"affinity": "psa"}, {"refinement": "none"}, {"cam": {"folder": "npy"}}])
def test_for_labels_alone_only_what_they_come_from_is_stated(own):
    """Found by following the files that each job reads, from the labels back."""
    whole = plan({"mine": own, **OTHERS}).asking(Request(("mine", "labels")), "mine")
    few = plan({"mine": own, **OTHERS}, asked=["mine"], labels_only=True)
    jobs = {name: job for job, name in jobs_with_names(whole)}
    makers = {path: job for job in jobs.values() if job.stage != "predict" for path in written(job)}
    needed, wanted = set(), set(whole.files("mine", "pseudo", whole.data.label))
    while wanted:
        job = makers.get(wanted.pop())
        if job and job.name not in needed:
            needed.add(job.name)
            wanted |= {path for stage in stages_of(job.settings)[job.stage].after for path in whole_files(job, stage)}
    assert needed == {name for _, name in jobs_with_names(few)} and needed < set(jobs)
    for others in (few.evaluation_jobs("cam"), few.tracking_jobs("refine"), few.experiment_jobs("report")):
        assert not list(others)
    assert list(whole.tracking_jobs("refine")) and list(whole.evaluation_jobs("cam"))


def jobs_with_names(found):
    stages = {name: stage for name, stage in found.patterns.items() if stage.file or name == "predict"}
    batched = [job for name, stage in stages.items() if stage.images for job in found.batch_jobs(name)]
    trained = [job for name, stage in stages.items() if stage.history for job in found.training_jobs(name)]
    return [(job, job.name) for job in batched + trained]


def written(job):
    return job.files() if job.table else [job.file()]


def whole_files(job, stage):
    """The files of a stage of all images, or its one file."""
    pattern = job.plan.patterns[stage]
    return job.plan.files(job.experiment, stage, job.plan.data.images) if pattern.images else [job.file(stage)]


def test_an_experiment_of_its_own_has_its_name_in_rules_and_folders():
    found = plan(OTHERS)
    jobs = found.batch_jobs("refined", rule=lambda settings: "refine")
    refined = {job.experiment: job for job in jobs if "a" in job.ids}
    assert refined["no-entropy"].name == "refine_no-entropy_train_all"
    assert refined["no-entropy"].files()[0].startswith("results/tiny/refined/no-entropy/")
    assert found.files("no-entropy", "cam", ["a"]) == ["results/tiny/cam/a.npz"]
    assert found.files("wsgcn-p", "psa_affinity", ["a"]) == ["results/tiny/affinity/psa/a.npz"]
    assert found.files("wsgcn-p", "irnet_affinity", ["a"]) == []


def test_a_training_is_one_job_with_its_history():
    (job,) = plan(OTHERS).training_jobs("boundary")
    assert job.name == "boundary" and job.ids == ["a", "b", "c"]
    assert (job.file(), job.history) == ("results/tiny/irnet/boundary.pt", "results/tiny/irnet/history.csv")
    assert job.seconds == "results/tiny/seconds/boundary.json" and job.log == "results/tiny/logs/boundary.log"
    inputs = training_inputs(job)
    assert inputs["labels"] == [f"results/tiny/irnet/labels/{image}.png" for image in "abc"] and not inputs["weights"]
    assert set(training_params(job)) == {"backbone", "settings", "seed"}


def test_initial_weights_from_a_file_are_an_input():
    (job,) = plan({"mine": {"backbone": {"weights": "mine.pt"}}}, asked=["mine"]).training_jobs("classifier")
    assert training_inputs(job)["weights"] == ["mine.pt"] and job.experiment == "mine"
    assert set(training_params(job)) == {"ids", "labels", "classes", "backbone", "settings", "seed"}


def test_inputs_follow_the_row_of_the_registry():
    found = plan({"elsewhere": {"cam": {"folder": "npy"}}, **OTHERS})
    cams = {job.experiment: cam_inputs(job) for job in found.batch_jobs("cam") if "a" in job.ids}
    assert cams[BASE]["model"] == "results/tiny/classifier/model.pt" and "cams" not in cams[BASE]
    assert cams["elsewhere"]["cams"][0] == "npy/a.npy" and "model" not in cams["elsewhere"]
    refined = {job.experiment: job for job in found.batch_jobs("refined") if "a" in job.ids}
    assert set(refiner_inputs(refined[BASE])) == {"images", "affinities", "labels"}
    assert refiner_inputs(refined["wsgcn-p"])["affinities"] == [f"results/tiny/affinity/psa/{i}.npz" for i in "ab"]
    assert set(refiner_inputs(refined["walk"])) == {"cams", "affinities"}
    assert set(refiner_params(refined["walk"])) == {"ids", "radius", "beta", "settings"}
    assert boundary_files(found, BASE, ["a"]) == ["results/tiny/affinity/irnet/a.npz"]
    assert boundary_files(found, "wsgcn-p", ["a"]) == []


def test_images_without_a_class_are_a_parameter_where_there_are_some():
    data = dataset()
    assert plan().untagged("ab") == plan().known_negatives("ab") == {}
    lists = data.change_lists(lambda own: {i: replace(m, classes=(), negative=i != "e") for i, m in own.items()})
    found = plan(data=lists)
    assert found.untagged("ae") == {"negatives": ["a", "e"]} and found.known_negatives("ae") == {"negatives": ["a"]}
    assert all(infer_params(job, "irnet")["negatives"] == job.ids for job in found.batch_jobs("irnet_affinity"))
    assert not any("negatives" in infer_params(job, "irnet") for job in plan().batch_jobs("irnet_affinity"))


def test_external_cams_of_images_without_a_class_are_no_inputs():
    data = dataset().change_lists(lambda own: {i: replace(m, classes=(1,) if i != "b" else ()) for i, m in own.items()})
    jobs = plan({"elsewhere": {"cam": {"folder": "npy"}}}, data).batch_jobs("cam", rule=lambda settings: "cam")
    found = [path for job in jobs if job.experiment == "elsewhere" for path in cam_inputs(job)["cams"]]
    assert sorted(found) == ["npy/a.npy", "npy/c.npy", "npy/d.npy"]


def test_full_sizes_are_a_parameter_where_images_have_smaller_copies():
    found = plan(large={"b": (900, 1200)})
    assert found.full_sizes(["a", "b"]) == {"full_sizes": [None, (900, 1200)]}
    assert found.full_sizes(["a"]) == {}


@pytest.mark.parametrize(
    ("words", "experiments"),
    [
        ((), {BASE}),
        (("all",), {BASE}),
        (("no-entropy",), {BASE, "no-entropy"}),
        (("results/tiny/pseudo/walk/a.png",), {BASE, "walk", "wsgcn-p"}),  # which has psa's folders without a name
        (("ablations",), {BASE, *OTHERS}),
        (("all", "bench"), {BASE}),
    ],
)
def test_only_what_is_asked_for_is_stated(words, experiments):
    whole = plan(OTHERS)
    asked = whole.asking(Request(words), BASE)
    assert set(asked.stated_experiments) == experiments
    assert asked.states_ablations == ("ablations" in words)
    stated = set(all_jobs(asked))
    assert stated <= set(all_jobs(whole))
    for job in all_jobs(whole):  # of a stage that experiments share, the name says none
        owners = [name for name in OTHERS if f"_{name}" in job]
        if owners and owners[0] not in experiments:
            assert job not in stated
    assert all(not asked.asks_for(name) for name in set(OTHERS) - experiments)


def test_shared_stages_are_stated_for_each_experiment_that_needs_them():
    """The folder of an experiment that is not asked for itself."""
    shared = {"first": {"partial": {"confident_ratio": 0.2}}}
    shared["second"] = shared["first"] | {"refine": {"lambda_ent": 0}}
    found = plan(shared).asking(Request(("second",)), BASE)
    assert [job.name for job in found.batch_jobs("partial") if "first" in job.name] == [
        "partial_first_train_all",
        "partial_first_new_all",
    ]
    assert not [job for job in found.batch_jobs("refined", rule=lambda settings: "refine") if job.experiment == "first"]
    assert [job.name for job in found.experiment_jobs("summary")] == [f"summary_{BASE}", "summary_second"]


def test_the_process_of_a_job_states_its_rule_alone():
    found = plan(OTHERS, allowed={"partial_train_all"})
    assert all_jobs(found) == ["partial_train_all"]
    assert not found.states_ablations and not list(found.experiment_jobs("summary"))


def test_reports_find_what_jobs_measured():
    found = plan(OTHERS)
    assert found.timing_files(BASE, "refined") == [
        f"results/tiny/seconds/{stage}/{batch}.csv"
        for stage, batch in (
            (f"refined/{BASE}", "train_all"),
            (f"refined/{BASE}", "new_all"),
            ("irnet_affinity", "train_all"),
            ("irnet_affinity", "new_all"),
        )
    ]
    records = found.training_records(BASE)
    assert records == [f"results/tiny/seconds/{s}.json" for s in ("classifier", "boundary", f"{BASE}/segmentation")]
    assert found.training_records("walk") == records[:2]  # whose labels train no segmentation network
    assert "results/tiny/evaluation/walk/segmentation_single.json" not in found.evaluations("walk")
    assert found.run_files(BASE, own=False) == [] and "results/tiny/mlflow/cam.json" in found.run_files(BASE, own=True)
    assert "results/tiny/mlflow/cam.json" in found.run_files("walk", own=False)


def test_labels_without_learning_are_only_made_where_there_are_masks():
    masked = plan({"other": {"refine": {"lr": 1}}, "cams": {"refinement": "none"}})
    assert names(masked.evaluation_jobs("no_learning")) == ["evaluate_no_learning"]  # one for all experiments
    assert names(masked.batch_jobs("no_learning")) == ["no_learning_train_all", "no_learning_new_all"]
    files = {name: masked.evaluations(name, wanted=["no_learning"]) for name in ("other", "cams")}
    assert set(map(tuple, files.values())) == {("results/tiny/evaluation/no_learning.json",)}
    data = dataset()
    bare = plan(data=replace(data, label=images(*data.label, masked=False)))
    assert not bare.is_evaluated("no_learning") and bare.is_evaluated("cam")
    assert list(bare.evaluation_jobs("no_learning")) == []
    assert not [path for path in bare.evaluations(BASE) if "no_learning" in path]


def test_names_and_spacing():
    assert rule_name("cam", "", "train_0") == "cam_train_0" and rule_name("cam", "x/", "a") == "cam_x_a"
    assert evenly_spaced("dbca", 2) == ["a", "c"] and evenly_spaced("ab", 5) == ["a", "b"]


def test_the_benchmark_takes_the_first_experiment_with_what_it_needs():
    assert benchmarked_experiment(plan(OTHERS), BASE) == BASE
    config = plan({"gcn": {}})
    experiments = {"walk": config.experiments[BASE] | WALK, "gcn": config.experiments[BASE]}
    assert benchmarked_experiment(Plan(experiments, dataset(), "results", 8), "walk") == "gcn"


# The review of labels


def test_images_with_a_class_are_reviewed_per_folder_of_labels():
    data = dataset()
    data = replace(data, label=data.label | {"n": replace(data.label["a"], id="n", classes=())})
    found = plan(OTHERS, data)
    jobs = {job.name: job for job in found.measuring_jobs()}
    assert jobs.keys() >= {"review_labels_wsgcn-i_train_all", "review_labels_walk_new_all"}
    job = jobs["review_labels_wsgcn-i_train_all"]
    assert job.ids == ["a", "b"] and job.seconds == "results/tiny/seconds/review/wsgcn-i/train_all.csv"
    assert job.files()[0] == "results/tiny/review/wsgcn-i/measures/a.npz"
    assert job.files("thumbnails")[1] == "results/tiny/review/wsgcn-i/pictures/b.jpg"
    assert job.files("confidence")[0] == "results/tiny/confidence/wsgcn-i/a.png"
    assert compared_inputs(job).keys() == {"images", "refined", "labels", "cams", "affinities"}
    assert walk_params(job)["radius"] == job.settings["graph"]["radius"]
    walk = jobs["review_labels_walk_train_all"]
    assert compared_inputs(walk).keys() == {"images", "refined", "labels"} and walk_params(walk) == {}
    queues = {job.experiment: job for job in found.review_jobs("review_queue")}
    assert queues.keys() == {BASE, *OTHERS} and queues["walk"].ids == ["a", "b", "d"]


def test_a_review_is_stated_where_it_is_asked_for():
    found = plan(OTHERS)
    for words, stated in [
        (("review",), [BASE]),
        (("results/tiny/review/walk/queue.csv",), None),
        (("all",), []),
        ((), []),
    ]:
        asking = found.asking(Request(words), BASE)
        experiments = [job.experiment for job in asking.review_jobs("review_queue")]
        assert experiments == stated or (stated is None and {BASE, "walk"} <= set(experiments))
        assert bool(names(asking.measuring_jobs())) == (stated != [])
    job = found.asking(Request(allowed=frozenset(["review_labels_walk_new_all"])), BASE)
    replaced = replace(job, allowed=["review_labels_walk_new_all"])
    assert names(replaced.measuring_jobs()) == ["review_labels_walk_new_all"]


def test_the_summary_says_where_review_exports_model_and_predictions_are():
    assert further_places(plan(), BASE, "tiny") == {
        "review": "snakemake review: results/tiny/review/wsgcn-i/review.html",
        "exports": "snakemake export: results/tiny/export/wsgcn-i/",
        "model": "models:/tiny@current",
        "predict": "make predict IMAGES=folder: results/tiny/predicted/folder/",
    }
    assert list(further_places(replace(plan(), segmented=()), BASE, "tiny")) == ["review", "exports"]


def test_settings_decide_on_the_kind_of_files_of_their_own_experiment_alone():
    means = {"labels": {"on_grid": "mean_scores"}}
    for names in (("near", "mean"), ("mean", "near")):
        own = {"near": {"affinity": "psa"}, "mean": {"affinity": "psa", "psa": means}}
        found = plan({name: own[name] for name in names})
        assert found.files("near", "psa_label", "a")[0].endswith("/a.png")
        assert found.files("mean", "psa_label", "a")[0].endswith("/a.npz")


def test_protocols_say_what_names_of_metrics_do_not():
    settings = plan().experiments[BASE]
    plain = protocol_of("refined_crf", settings, 0)
    assert protocol_of("refined_crf", settings, 2) == f"{plain}, 2 labels corrected"
    assert protocol_of("refined", settings, 2) == protocol_of("refined", settings, 0)
    double = settings | {"pseudo": settings["pseudo"] | {"crf_input": "double_softmax"}}
    assert protocol_of("refined_crf", double, 0) == f"{plain}, double softmax"
    prediction = settings["segmentation"]["prediction"] | {"combine": "max_logits"}
    maximum = settings | {"segmentation": settings["segmentation"] | {"prediction": prediction}}
    assert "maximum of logits" in protocol_of("segmentation_multi", maximum, 0)
    assert "maximum" not in protocol_of("segmentation_multi", settings, 0)
