"""The real workflow on a tiny VOC tree: its files, its MLflow store, and what it plans after a change."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image
from tiny_project import copy_workflow, merge, snakemake, write_config

from wsgcn import demo, metrics
from wsgcn.dataset import read_truth
from wsgcn.files import read_arrays, read_label, write_label
from wsgcn.readers import VOC_CLASSES, read_dataset

# Replaces those of config.yaml: one of each kind.
EXPERIMENTS = {
    "wsgcn-p": {"affinity": "psa"},
    "walk": {"refinement": "random_walk"},
    "psa-walk": {"affinity": "psa", "refinement": "random_walk", "random_walk": {"background": "channel"}},
    "cam-only": {"refinement": "none"},
    "no-entropy": {"refine": {"lambda_ent": 0}},
}
WITHOUT_NETWORKS = ("walk", "psa-walk", "cam-only")
SWEEPS = {"partial.confident_ratio": [0.3, 0.6]}  # the first is the base's
AGAINST = {"wsgcn-p": "psa-walk"}
NAMED = ["wsgcn-i", *EXPERIMENTS, "confident_ratio-0.6"]

AFTER_REFINEMENT = {
    "evaluate_refined",
    "evaluate_refined_crf",
    "segmentation",
    "predict",
    "evaluate_segmentation_single",
    "evaluate_segmentation_multi",
    "evaluate_segmentation_multi_crf",
    "track_refine",
    "track_pseudo",
    "track_segmentation",
    "report",
    "summary",
    "all",
}


def planned(folder: Path, *arguments: str, uri: str | None = None) -> set[str]:
    """The names of the rules that a dry run would execute."""
    output = snakemake(folder, "--dry-run", *arguments, uri=uri)
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", output, re.DOTALL)
    return {line.split()[0] for line in table[1].splitlines()} if table else set()


def stages(rules: set[str]) -> set[str]:
    """Rules without their experiment and batch: refine_walk_train_01 and refine_train_1 are both refine."""
    names = "|".join([*NAMED, "no-laplacian"])
    return {re.sub(rf"(_with)?_({names})(?=_|$)|_(train|new)_(all|[01]+)$", "", rule) for rule in rules}


# The demo's classes under names of VOC's.
NAMES = dict(zip(demo.CLASSES, ("boat", "car", "cat", "chair", "person"), strict=True))
IDS = list(demo.plan("train", 13, 0))
TRAIN, LABEL, MORE = IDS[:10], IDS[:12], IDS[12:]


def draw_voc(root: Path) -> None:
    """A VOC tree of drawn images: ten to train on, two more to label, one in no list yet, four to evaluate."""
    values = np.arange(256, dtype=np.uint8)
    for k, name in enumerate(demo.CLASSES, start=1):
        values[k] = 1 + VOC_CLASSES.index(NAMES[name])
    val = demo.plan("val", 4, 0)
    for image, classes in (demo.plan("train", 13, 0) | val).items():
        demo.write(root, image, classes, seed=0, size=80)
        mask, annotation = root / f"SegmentationClass/{image}.png", root / f"Annotations/{image}.xml"
        write_label(mask, values[read_label(mask)])
        annotation.write_text(
            re.sub(r"<name>(\w+)</name>", lambda m: f"<name>{NAMES[m[1]]}</name>", annotation.read_text())
        )
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, ids in (("train", TRAIN), ("label", LABEL), ("val", val)):
        (lists / f"{name}.txt").write_text("\n".join(ids) + "\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone in which all experiments have run once on a tiny VOC tree; tests leave it as they find it."""
    folder = tmp_path_factory.mktemp("project")
    copy_workflow(folder)
    draw_voc(folder / "data")
    dataset = {"name": "tiny", "kind": "voc", "root": "data", "classes": list(NAMES.values()), "label": "label"}
    write_config(folder, {"dataset": dataset, "experiments": EXPERIMENTS, "sweeps": SWEEPS, "against": AGAINST})
    snakemake(folder, "all", "ablations")
    return folder


@pytest.fixture
def results(project) -> Path:
    return project / "results/tiny"


def test_a_second_run_does_nothing(project):
    assert planned(project, "all", "ablations") == set()


def test_every_image_has_every_file(project, results):
    for image in LABEL:
        height, width = np.array(Image.open(project / f"data/JPEGImages/{image}.jpg")).shape[:2]
        grid = (-(-height // 4), -(-width // 4))
        cam = read_arrays(results / f"cam/{image}.npz")
        assert cam["cam"].shape == (len(cam["keys"]), *grid)
        assert cam["high_res"].shape == (len(cam["keys"]), height, width)
        learnt = read_arrays(results / f"affinity/irnet/{image}.npz")
        assert learnt["boundary"].shape == grid
        assert learnt["features"].shape == (160, *grid)
        assert read_arrays(results / f"affinity/psa/{image}.npz")["features"].shape[0] == 448
        for experiment in NAMED:
            refined = read_arrays(results / f"refined/{experiment}/{image}.npz")
            assert refined["scores"].shape == (len(cam["keys"]) + 1, *grid)
            if experiment not in WITHOUT_NETWORKS:
                np.testing.assert_allclose(refined["scores"].sum(0, dtype=float), 1, atol=2e-3)
        for label, size in ((f"partial/{image}.png", grid), (f"pseudo/wsgcn-i/{image}.png", (height, width))):
            with Image.open(results / label) as png:
                assert png.mode == "P"
                assert png.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
            values = read_label(results / label)
            assert values.shape == size
            assert set(np.unique(values)) <= {0, 255, *cam["keys"].tolist()}
        assert 255 not in read_label(results / f"pseudo/wsgcn-i/{image}.png")


def test_mlflow_holds_the_experiment(project, results):
    client = MlflowClient(f"sqlite:///{project}/results/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = client.search_runs([experiment])
    parents = {run.info.run_name: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert set(parents) == set(NAMED)
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = parents["wsgcn-i"]
    params = parent.data.params
    assert params["sigma1"] == "1.7320508"
    assert {"sigma2", "window", "lambda_ent", "lambda_lap", "seed", "graph.steps", "backbone.name"} <= set(params)

    # mIoU in the run table is what the files say, counted here by hand
    config = yaml.safe_load((project / "config.yaml").read_text())
    data = read_dataset(config["dataset"] | {"root": str(project / "data")}, 0, results)
    counts = sum(
        metrics.confusion(
            read_truth(image.mask, data.mask_values), read_label(results / f"pseudo/wsgcn-i/{image.id}.png"), 5
        )
        for image in data.label.values()
    )
    assert parent.data.metrics["label/refined_crf/miou"] == pytest.approx(metrics.miou(counts), rel=1e-3)
    expected = {f"label/{s}/miou" for s in ("cam", "partial", "refined", "refined_crf")}
    expected |= {f"val/segmentation_{s}/miou" for s in ("single", "multi", "multi_crf")}
    expected |= {"label/partial/coverage", "label/refined_crf/iou/person"}
    assert expected <= set(parent.data.metrics)

    children = {run.info.run_name: run for run in runs if run.info.run_name not in parents}
    stages = ("classifier", "cam", "boundary", "partial", "refine", "pseudo", "segmentation")
    own = {"wsgcn-i": stages, "wsgcn-p": ("affinitynet", "refine", "pseudo")}
    own |= {name: ("refine", "pseudo") for name in (*WITHOUT_NETWORKS, "no-entropy")}
    own["confident_ratio-0.6"] = ("partial", "refine", "pseudo")
    assert set(children) == {f"{name}/{stage}" for name, found in own.items() for stage in found}
    for name, run in children.items():
        assert run.data.tags["mlflow.parentRunId"] == parents[name.split("/")[0]].info.run_id
    refine = children["wsgcn-i/refine"].info.run_id
    for loss in ("loss", "loss_fg", "loss_bg", "loss_ent", "loss_lap"):
        history = client.get_metric_history(refine, loss)
        assert [point.step for point in history] == list(range(1, 13))
    losses = [read_arrays(results / f"refined/wsgcn-i/{image}.npz")["losses"] for image in data.label]
    mean = np.mean(losses, axis=0)[:, 0]
    np.testing.assert_allclose([p.value for p in client.get_metric_history(refine, "loss")], mean, rtol=1e-5)
    assert {"images.json", "refined.png"} <= {file.path for file in client.list_artifacts(refine)}


def test_the_run_table_compares_experiments(project, results):
    client = MlflowClient(f"sqlite:///{project}/results/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    query = "tags.stage = 'experiment' and tags.current = 'yes'"
    rows = {run.info.run_name: run for run in client.search_runs([experiment], query)}
    assert rows["no-entropy"].data.params["lambda_ent"] == "0"
    assert "lambda_ent 0 instead of" in rows["no-entropy"].data.tags["mlflow.note.content"]
    counts = {name: read_arrays(results / f"evaluation/{name}/refined_crf.npz")["counts"] for name in rows}
    table = pd.read_csv(results / "ablations/table.csv", index_col="experiment")
    assert set(table.index) == set(rows)
    for name, run in rows.items():
        miou = {n: metrics.miou(c.sum(0)) for n, c in counts.items()}
        assert run.data.metrics["label/refined_crf/miou"] == pytest.approx(miou[name], rel=1e-3)
        assert table.miou[name] == pytest.approx(miou[name], abs=1e-4)
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert ("lambda_ent" in run.data.params) == (name not in WITHOUT_NETWORKS)  # else it has no such setting
        if name == "wsgcn-i":
            assert {"chart.png", "table.csv", "pairs.csv"} <= files
            continue
        difference = run.data.metrics["label/refined_crf/difference_to_base"]
        assert difference == pytest.approx(miou[name] - miou["wsgcn-i"], rel=1e-3)
        assert [f.path for f in client.list_artifacts(run.info.run_id, "disagreement")] == [f"disagreement/{name}.png"]
    assert "label/refined_crf/difference_to_base" not in rows["wsgcn-i"].data.metrics
    pairs = pd.read_csv(results / "ablations/pairs.csv").set_index("stage")
    assert pairs.difference["refined_crf"] == pytest.approx(miou["wsgcn-p"] - miou["psa-walk"], abs=1e-4)
    for name in ("no-entropy", "confident_ratio-0.6"):  # the same names and steps, so that charts overlay
        (run,) = client.search_runs([experiment], f"tags.experiment = '{name}' and tags.stage = 'refine'")
        history = client.get_metric_history(run.info.run_id, "loss_fg")
        assert [point.step for point in history] == list(range(1, 13))


def test_experiments_share_what_they_agree_on(results):
    """One CAM, one affinity of each network; partial labels of their own only where their settings differ."""
    assert sorted(path.name for path in (results / "cam").iterdir() if path.is_dir()) == []
    assert sorted(path.name for path in (results / "partial").iterdir() if path.is_dir()) == ["confident_ratio-0.6"]
    assert sorted(path.name for path in (results / "refined").iterdir()) == sorted(NAMED)
    assert sorted(path.name for path in (results / "segmentation").iterdir()) == ["wsgcn-i"]


def test_a_new_ablation_plans_its_refinement_and_what_follows(project):
    before = (project / "config.yaml").read_text()
    more = {**EXPERIMENTS, "no-laplacian": {"refine": {"lambda_lap": 0}}}
    write_config(project, yaml.safe_load(before) | {"experiments": more})
    try:
        one, every = planned(project, "no-laplacian"), planned(project, "ablations")
    finally:
        (project / "config.yaml").write_text(before)
    own = {"refine", "pseudo", "evaluate_refined", "evaluate_refined_crf", "track_refine", "track_pseudo", "experiment"}
    assert stages(one) == own | {"report", "summary", "no-laplacian"}
    assert stages(every) == own | {"report", "summary", "compare", "ablations"}


@pytest.mark.parametrize(("chosen", "count"), [("none", 0), ("all", 6), (["walk", "no-entropy"], 2)])
def test_which_segmentation_networks_are_trained_is_a_setting(project, chosen, count):
    before = (project / "config.yaml").read_text()
    write_config(project, yaml.safe_load(before) | {"segmentation_for": chosen})
    try:
        output = snakemake(project, "--dry-run", "ablations")
    finally:
        (project / "config.yaml").write_text(before)
    assert len(set(re.findall(r"^segmentation_\S+(?= +1$)", output, re.MULTILINE))) == count


def test_the_same_cams_from_elsewhere_give_the_same_labels(project, results, tmp_path):
    """Ours as IRN writes them: another source of CAMs, and all that follows."""
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    (clone / "cams").mkdir()
    for image in LABEL:
        own = read_arrays(results / f"cam/{image}.npz")
        keys = np.array([VOC_CLASSES.index(list(NAMES.values())[k - 1]) for k in own["keys"]])
        held = {"keys": keys, "cam": own["cam"].astype(np.float32), "high_res": own["high_res"].astype(np.float32)}
        np.save(clone / f"cams/{image}.npy", held)
    foreign = {"elsewhere": {"cam": {"folder": "cams"}}}
    changed = {"experiments": foreign, "sweeps": {}, "against": {}}
    write_config(clone, yaml.safe_load((clone / "config.yaml").read_text()) | changed)
    rules = planned(clone, "elsewhere")
    assert "foreign_cam_elsewhere_new_all" in rules
    assert "classifier" not in rules
    snakemake(clone, "elsewhere")
    for image in LABEL:
        name = f"results/tiny/pseudo/{{}}/{image}.png"
        assert (clone / name.format("elsewhere")).read_bytes() == (project / name.format("wsgcn-i")).read_bytes()


def test_snakemake_s_report_holds_the_comparison(project, tmp_path):
    snakemake(project, "ablations", "--report", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    for shown in ("Ablations", "difference to the base", "table of experiments", "disagreement", "Losses", "Galleries"):
        assert shown in page


def test_the_table_and_the_report_are_there(results):
    summary = (results / "summary/wsgcn-i.txt").read_text()
    for stage in ("cam", "partial", "refined", "refined_crf", "segmentation_multi_crf"):
        assert stage in summary
    page = (results / "report/wsgcn-i.html").read_text()
    assert page.count("<figure") == 3
    assert "http" not in re.sub(r"https?://www\.w3\.org\S*", "", page)


def test_a_changed_lambda_reruns_refinement_and_what_follows(project):
    before = (project / "config.yaml").read_text()
    write_config(project, merge(yaml.safe_load(before), {"refine": {"lambda_ent": 0.123}}))
    try:
        rules = planned(project)
    finally:
        (project / "config.yaml").write_text(before)
    assert stages(rules) == AFTER_REFINEMENT | {"refine", "pseudo", "experiment"}


def test_a_touched_image_reruns_nothing(project):
    image = next((project / "data/JPEGImages").glob("train_0000.jpg"))
    times = os.stat(image)
    os.utime(image)
    try:
        assert planned(project) == set()
    finally:
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_deleted_label_reruns_its_batch_and_what_follows(project, results):
    label = results / "pseudo/wsgcn-i/train_0003.png"
    away = label.with_suffix(".away")
    label.rename(away)
    try:
        rules = planned(project)
    finally:
        away.rename(label)
    pseudo = {rule for rule in rules if rule.startswith("pseudo_wsgcn-i_")}
    assert len(pseudo) == 1
    assert stages(rules) == AFTER_REFINEMENT - {"evaluate_refined", "track_refine"} | {"pseudo"}


def test_more_images_to_label_rerun_their_batches_and_what_follows(project):
    label_list = project / "data/ImageSets/Segmentation/label.txt"
    before = label_list.read_text()
    label_list.write_text(before + "\n".join(MORE) + "\n")
    try:
        rules = planned(project)
    finally:
        label_list.write_text(before)
    batches = {rule for rule in rules if re.search("_(train|new)_[01a-z]+$", rule)}
    shared = {f"{s}_new_all" for s in ("cam", "irnet_affinity", "partial")}
    assert batches == shared | {f"{s}_wsgcn-i_new_all" for s in ("refine", "pseudo", "predict")}
    evaluated = {"evaluate_cam", "evaluate_partial", "track_cam", "track_partial"}
    per_image = {"cam", "irnet_affinity", "partial", "refine", "pseudo"}
    assert stages(rules) == AFTER_REFINEMENT | evaluated | per_image


def test_a_changed_training_image_reruns_the_trainings_that_saw_it(project):
    image = project / "data/JPEGImages/train_0002.jpg"
    before, times = image.read_bytes(), os.stat(image)
    Image.open(image).rotate(180).save(image, quality=90)
    try:
        rules = planned(project)
    finally:
        image.write_bytes(before)
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    trained = {"classifier", "cam", "irnet_label", "boundary", "irnet_affinity", "partial", "refine", "pseudo"}
    tracked = {"evaluate_cam", "evaluate_partial", "track_classifier", "track_cam", "track_boundary", "track_partial"}
    assert stages(rules) == AFTER_REFINEMENT | trained | tracked


def test_two_images_that_swap_their_tags_rerun_the_classifier(project):
    """Their paths and their classes are the same sets as before."""
    annotations = [project / f"data/Annotations/{image}.xml" for image in TRAIN]
    texts = [path.read_text() for path in annotations]
    other = next(k for k, text in enumerate(texts) if re.findall("<name>.*", text) != re.findall("<name>.*", texts[0]))
    annotations[0].write_text(texts[other])
    annotations[other].write_text(texts[0])
    try:
        rules = planned(project)
    finally:
        annotations[0].write_text(texts[0])
        annotations[other].write_text(texts[other])
    assert "classifier" in rules


def test_another_device_reruns_nothing(project):
    assert planned(project, "--config", "device=cpu") == set()


def test_another_tracking_store_gets_runs_of_its_own(project, tmp_path):
    rules = planned(project, uri=f"sqlite:///{tmp_path}/other.db")
    runs = {f"track_{s}" for s in ("classifier", "cam", "boundary", "partial", "refine", "pseudo", "segmentation")}
    assert stages(rules) == runs | {"store", "views", "experiment", "report", "summary", "all"}


def test_labels_do_not_depend_on_the_batch(project, results, tmp_path):
    """One image alone, in a job of its own, gets the very label that it got in a batch."""
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    label = f"results/tiny/pseudo/wsgcn-i/{LABEL[4]}.png"
    for stale in (label, f"results/tiny/refined/wsgcn-i/{LABEL[4]}.npz", f"results/tiny/partial/{LABEL[4]}.png"):
        (clone / stale).unlink()
    write_config(clone, merge(yaml.safe_load((clone / "config.yaml").read_text()), {"batch_size": 1}))
    snakemake(clone, label, "--rerun-triggers", "mtime")
    assert (clone / label).read_bytes() == (project / label).read_bytes()


# The last test of this project: it changes the store.
def test_a_rerun_leaves_one_current_run_a_stage(project):
    before = (project / "config.yaml").read_text()
    write_config(project, merge(yaml.safe_load(before), {"refine": {"lambda_lap": 0.02}}))
    try:
        snakemake(project, "results/tiny/mlflow/wsgcn-i/refine.json", "results/tiny/mlflow/wsgcn-i/parent.json")
    finally:
        (project / "config.yaml").write_text(before)
    client = MlflowClient(f"sqlite:///{project}/results/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    current = client.search_runs([experiment], "tags.current = 'yes'")
    names = [run.info.run_name for run in current]
    assert len(set(names)) == len(names)
    assert set(NAMED) <= set(names)
    replaced = client.search_runs([experiment], "tags.current = 'no'")
    assert sorted(run.info.run_name for run in replaced) == ["wsgcn-i", "wsgcn-i/refine"]
    ids = {run.info.run_id for run in current}
    assert all(run.data.tags["replaced_by"] in ids for run in replaced)
