"""Settings that are `auto`, from the images in a folder to what a dry-run says and jobs are told.

Run it alone: `.venv/bin/python -m pytest tests/workflow/test_fitted_data.py`.
"""

import json
import subprocess
import sys

import pytest
from configs import CONFIG, ROOT, SCHEMA, config_with
from PIL import Image
from test_fitted import AUTO_KEYS, FOLDER
from tiny_project import copy_workflow, merge, snakemake

from wsgcn.workflow.inputs import read_inputs


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve grey images, of which only four show something, and settings for it."""
    root = tmp_path / "photos"
    root.mkdir()
    rows = [f"{name}.png,{'crack' if name in 'abcd' else ''}" for name in "abcdefghijkl"]
    (root / "labels.csv").write_text("\n".join(["image,classes", *rows]))
    for name in "abcdefghijkl":
        Image.new("L", (300, 200), ord(name)).save(root / f"{name}.png")
    return merge(config_with(), FOLDER) | {"dataset": CONFIG["dataset"] | FOLDER["dataset"] | {"root": str(root)}}


def test_values_are_chosen_where_inputs_are_read(photos, tmp_path):
    experiments, _, _, reasons, _ = read_inputs(photos, SCHEMA, tmp_path / "results")
    base = photos["experiment"]
    assert experiments[base]["cam_source"] == "mil" and experiments[base]["irnet"]["training"]["crop"] == 128
    assert reasons[base].keys() == set(AUTO_KEYS) and "about 300 pixels" in reasons[base]["mil.scale"]
    photos["dataset"]["longest_side"] = 100
    assert "about 100 pixels" in read_inputs(photos, SCHEMA, tmp_path / "results").reasons[base]["mil.scale"]


def test_what_images_decide_is_known_where_choices_and_classes_are_checked(photos, tmp_path):
    """Most of these images show nothing, so that `cam_source` is `mil`: its settings are read, the head's are not."""
    photos |= {"choose": {"mil.l2": [0.1]}}
    assert list(read_inputs(photos, SCHEMA, tmp_path / "results").experiments) == [photos["experiment"], "l2-0.1"]
    photos |= {"choose": {"classifier.folds": [4]}, "mil": photos["mil"] | {"top_of": {"crak": 0.1}}}
    with pytest.raises(ValueError, match="mil.top_of: unknown class crak; did you mean crack"):
        read_inputs(photos, SCHEMA, tmp_path / "results")
    photos["mil"]["top_of"] = {}
    with pytest.raises(ValueError, match="choose.classifier.folds: no label of .* depends on it"):
        read_inputs(photos, SCHEMA, tmp_path / "results")


def test_problems_of_data_and_settings_are_reported_as_without_auto(photos, tmp_path):
    (tmp_path / "photos/b.png").unlink()
    photos["refine"] = photos["refine"] | {"lr": 0}
    with pytest.raises(ValueError) as caught:
        read_inputs(photos, SCHEMA, tmp_path / "results")
    lines = str(caught.value).partition("\n\n")[0].splitlines()[1:]
    assert lines == ["config: refine.lr: 0 is not above 0", f"image {tmp_path}/photos/b.png does not exist"]
    photos["dataset"]["root"] = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        read_inputs(photos, SCHEMA, tmp_path / "results")


def test_the_demo_counts_as_large_as_it_will_be_drawn(tmp_path):
    config = merge(config_with(), {"mil": {"scale": "auto"}})
    config["dataset"] = config["dataset"] | {"demo_size": 200}
    found = read_inputs(config, SCHEMA, tmp_path / "results")
    assert found.reasons[config["experiment"]] == {"mil.scale": "longer sides of about 200 pixels"}
    assert found.experiments[config["experiment"]]["mil"]["scale"] == 2


def test_a_dry_run_says_what_was_chosen_and_read_and_no_job_knows_auto(photos, tmp_path):
    copy_workflow(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    (tmp_path / "photos.yaml").write_text((ROOT / "configs/folder.yaml").read_text())
    options = ("--configfile", "photos.yaml", "--config", "irnet={training: {crop: 96}}")
    output = " ".join(snakemake(tmp_path, "-n", "-q", *options).split())
    assert "mil.scale 2 longer sides of about 300 pixels" in output
    assert "cam_source mil 8 of 12 images to train on show no class" in output
    assert "irnet.training.batch" in output and "irnet.training.crop" not in output  # which was given
    assert "segmentation.training.crop" in output
    assert "images per class, of 12 in all: 4 crack 8 (none of them)" in output
    assert "fewer than 5 images show these classes, too few to learn from: crack (4)" in output
    assert "segmentation.training.crop" not in snakemake(tmp_path, "-n", "-q", *options, "--", "labels")
    command = [sys.executable, str(ROOT / "tests/workflow/dump_rules.py"), "dump", "rules.json", "ablations"]
    subprocess.run([*command, "--configfile", "photos.yaml"], cwd=tmp_path, check=True, capture_output=True)
    rules = json.loads((tmp_path / "rules.json").read_text())
    assert "'mil'" in rules["classifier"]["params"]["method"] and len(rules) > 100
    assert not [name for name, rule in rules.items() if "auto" in str(rule["params"])]
    said = {rule["message"].split()[0] for name, rule in rules.items() if name.startswith("evaluate_")}
    assert said == {"describing"}, "there are no masks"
