"""The real workflow on a tiny VOC tree: its files and its MLflow store."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image
from tiny_project import merge, snakemake, write_config
from tiny_voc import LABEL, NAMED, NAMES, WITHOUT_NETWORKS, planned

from wsgcn.affinity.learning import why_flat
from wsgcn.data.dataset import read_truth
from wsgcn.data.readers.voc import VOC_CLASSES
from wsgcn.evaluation import metrics
from wsgcn.files import read_arrays, read_image, read_json, read_label
from wsgcn.labels.no_learning import no_learning_label
from wsgcn.workflow.inputs import read_dataset


def test_every_image_has_every_file(project, results):
    for image in LABEL:
        height, width = np.array(Image.open(project / f"data/JPEGImages/{image}.jpg")).shape[:2]
        grid = (-(-height // 4), -(-width // 4))
        cam = read_arrays(results / f"cam/{image}.npz")
        assert cam["cam"].shape == (len(cam["keys"]), *grid)
        assert cam["high_res"].shape == (len(cam["keys"]), height, width)
        network_output = read_arrays(results / f"affinity/irnet/{image}.npz")
        assert network_output["boundary"].shape == grid
        assert network_output["features"].shape == (160, *grid)
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
    expected |= {"label/no_learning/miou", "label/no_learning/iou/background"}
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
    for name, record in (("wsgcn-i/boundary", "boundary"), ("wsgcn-p/affinitynet", "affinitynet")):
        gain = read_json(results / f"seconds/{record}.json")["learnt"]["gain"]
        assert children[name].data.metrics["gain_over_constant"] == pytest.approx(gain, rel=1e-3)
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


@pytest.mark.proof
def test_the_same_cams_as_external_files_give_the_same_labels(project, results, tmp_path):
    """The workflow's own CAMs in IRN's format, and all stages that follow."""
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    (clone / "cams").mkdir()
    for image in LABEL:
        own = read_arrays(results / f"cam/{image}.npz")
        keys = np.array([VOC_CLASSES.index(list(NAMES.values())[k - 1]) for k in own["keys"]])
        content = {"keys": keys, "cam": own["cam"].astype(np.float32), "high_res": own["high_res"].astype(np.float32)}
        np.save(clone / f"cams/{image}.npy", content)
    experiments = {"elsewhere": {"cam": {"folder": "cams"}}}
    changed = {"experiments": experiments, "sweeps": {}, "against": {}}
    write_config(clone, yaml.safe_load((clone / "config.yaml").read_text()) | changed)
    rules = planned(clone, "elsewhere")
    assert "foreign_cam_elsewhere_new_all" in rules
    assert "classifier" not in rules
    snakemake(clone, "elsewhere")
    for image in LABEL:
        name = f"results/tiny/pseudo/{{}}/{image}.png"
        assert (clone / name.format("elsewhere")).read_bytes() == (project / name.format("wsgcn-i")).read_bytes()


def test_the_snakemake_report_contains_the_comparison(project, tmp_path):
    snakemake(project, "ablations", "--report", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    for shown in ("Ablations", "difference to the base", "table of experiments", "disagreement", "Losses", "Galleries"):
        assert shown in page


def test_labels_without_learning_are_scored_beside_the_stages(project, results):
    config = yaml.safe_load((project / "config.yaml").read_text())
    data = read_dataset(config["dataset"] | {"root": str(project / "data")}, 0, results)
    counts = 0
    for image in data.label.values():
        label = read_label(results / f"no_learning/{image.id}.png")
        np.testing.assert_array_equal(label, no_learning_label(read_image(image.path), image.classes))
        counts = counts + metrics.confusion(read_truth(image.mask, data.mask_values), label, 5)
    miou = read_json(results / "evaluation/no_learning.json")["miou"]
    assert miou == pytest.approx(metrics.miou(counts))
    final = read_json(results / "evaluation/wsgcn-i/refined_crf.json")["miou"]
    summary = (results / "summary/wsgcn-i.txt").read_text()
    assert f"The labels are {100 * abs(final - miou):.1f} points {'BELOW' if final < miou else 'above'}" in summary
    assert "no_learning" in (results / "report/wsgcn-i.html").read_text()


def test_a_network_that_learnt_nothing_is_named_in_the_summary(results):
    for experiment, record in (("wsgcn-i", "boundary"), ("wsgcn-p", "affinitynet"), ("cam-only", None)):
        why = why_flat(read_json(results / f"seconds/{record}.json")["learnt"]) if record else None
        summary = (results / f"summary/{experiment}.txt").read_text()
        assert why in summary if why else "has learnt nothing" not in summary


def test_the_table_and_the_report_are_there(results):
    summary = (results / "summary/wsgcn-i.txt").read_text()
    for stage in ("no_learning", "cam", "partial", "refined", "refined_crf", "segmentation_multi_crf"):
        assert stage in summary
    page = (results / "report/wsgcn-i.html").read_text()
    assert page.count("<figure") == 3
    assert "http" not in re.sub(r"https?://www\.w3\.org\S*", "", page)


def test_labels_do_not_depend_on_the_batch(project, results, tmp_path):
    """One image alone, in a job of its own, gets the very label that it got in a batch."""
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    label = f"results/tiny/pseudo/wsgcn-i/{LABEL[4]}.png"
    for stale in (label, f"results/tiny/refined/wsgcn-i/{LABEL[4]}.npz", f"results/tiny/partial/{LABEL[4]}.png"):
        (clone / stale).unlink()
    write_config(clone, merge(yaml.safe_load((clone / "config.yaml").read_text()), {"batch_size": 1}))
    snakemake(clone, label, "--rerun-triggers", "mtime")
    assert (clone / label).read_bytes() == (project / label).read_bytes()
