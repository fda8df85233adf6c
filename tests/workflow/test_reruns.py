"""What the workflow plans after a change, and that it leaves one current run per stage."""

import os
import re
import shutil

import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image
from tiny_project import merge, snakemake, write_config
from tiny_voc import AFTER_REFINEMENT, EXPERIMENTS, MORE, NAMED, TRAIN, planned, stages


def test_a_second_run_does_nothing(project):
    assert planned(project, "all", "ablations") == set()


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


def test_a_changed_lambda_reruns_refinement_and_what_follows(project):
    rules = planned(project, "--config", "refine={lambda_ent: 0.123}")
    assert stages(rules) == AFTER_REFINEMENT | {"refine", "pseudo", "experiment"}


def test_a_stage_is_computed_again_by_the_names_of_its_rules(project):
    """As docs/running.md describes for an edited library."""
    names = re.findall(r"^refine_wsgcn-i_\S+", snakemake(project, "--list"), re.MULTILINE)
    found = planned(project, "all", "--forcerun", *names)
    assert set(names) <= found and stages(found) == AFTER_REFINEMENT | {"refine", "pseudo"}
    others = [name for name in EXPERIMENTS if any(rule.endswith(name) or f"_{name}_" in rule for rule in found)]
    assert not others


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
    shared = {f"{s}_new_all" for s in ("cam", "irnet_affinity", "partial", "no_learning")}
    assert batches == shared | {f"{s}_wsgcn-i_new_all" for s in ("refine", "pseudo", "predict")}
    evaluated = {"evaluate_no_learning", "evaluate_cam", "evaluate_partial", "track_cam", "track_partial"}
    per_image = {"no_learning", "cam", "irnet_affinity", "partial", "refine", "pseudo"}
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
    assert stages(rules) == AFTER_REFINEMENT | trained | tracked | {"no_learning", "evaluate_no_learning"}


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


def test_results_survive_scripts_that_an_update_has_changed(project, tmp_path):
    """As docs/reproducibility.md says: for one command, or for good."""
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    for script in (clone / "workflow_scripts").glob("*.py"):
        script.write_text(script.read_text() + "# changed\n")
    assert stages(planned(clone)) >= AFTER_REFINEMENT | {"classifier", "partial"}
    assert planned(clone, "--rerun-triggers", "mtime", "input", "params", "software-env") == set()
    rules = clone / "rules/refine.smk"  # as by an older version, whose scripts had other names
    rules.write_text(rules.read_text().replace("refine_images.py", "refine_labels.py"))
    (clone / "workflow_scripts/refine_images.py").rename(clone / "workflow_scripts/refine_labels.py")
    assert planned(clone, "--rerun-triggers", "mtime", "input", "params", "software-env") == set()
    snakemake(clone, "--touch")
    assert planned(clone) == set()


def test_another_device_reruns_nothing(project):
    assert planned(project, "--config", "device=cpu") == set()


def test_another_tracking_store_gets_runs_of_its_own(project, tmp_path):
    rules = planned(project, uri=f"sqlite:///{tmp_path}/other.db")
    runs = {f"track_{s}" for s in ("classifier", "cam", "boundary", "partial", "refine", "pseudo", "segmentation")}
    assert stages(rules) == runs | {"store", "views", "experiment", "register_model", "report", "summary", "all"}


def test_a_rerun_leaves_one_current_run_a_stage(project, tmp_path):
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    write_config(clone, merge(yaml.safe_load((clone / "config.yaml").read_text()), {"refine": {"lambda_lap": 0.02}}))
    snakemake(clone, "results/tiny/mlflow/wsgcn-i/refine.json", "results/tiny/mlflow/wsgcn-i/parent.json")
    client = MlflowClient(f"sqlite:///{clone}/results/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    current = client.search_runs([experiment], "tags.current = 'yes'")
    names = [run.info.run_name for run in current]
    assert len(set(names)) == len(names)
    assert set(NAMED) <= set(names)
    replaced = client.search_runs([experiment], "tags.current = 'no'")
    assert sorted(run.info.run_name for run in replaced) == ["wsgcn-i", "wsgcn-i/refine"]
    ids = {run.info.run_id for run in current}
    assert all(run.data.tags["replaced_by"] in ids for run in replaced)
