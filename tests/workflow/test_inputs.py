"""What is read before anything is planned; all problems are reported in one list."""

import numpy as np
import pytest
from configs import SCHEMA, config_with
from PIL import Image

from wsgcn.files import write_label
from wsgcn.workflow.images import open_images
from wsgcn.workflow.inputs import read_inputs

LONG = "x" * 300  # more than file systems take


@pytest.fixture
def config(tmp_path):
    """Settings for a folder of three images, all of which are fine."""
    (tmp_path / "labels.csv").write_text("image,classes\na.png,cat\nb.png,cat\nc.png,cat\n")
    (tmp_path / "masks").mkdir()
    for name in "abc":
        Image.new("RGB", (5, 4)).save(tmp_path / f"{name}.png")
    config = config_with()
    config["dataset"] |= {"kind": "folder", "root": str(tmp_path), "train": "all", "label": "all", "evaluate": "all"}
    return config


def problems(config, tmp_path):
    with pytest.raises(ValueError) as caught:
        read_inputs(config, SCHEMA, tmp_path / "results")
    lines = str(caught.value).replace(f"{tmp_path}/", "").partition("\n\n")[0].splitlines()
    return lines[1:] if lines[0] == f"{len(lines) - 1} problems:" else lines


def test_what_is_fine_is_read(config, tmp_path):
    experiments, data, missing, *_ = read_inputs(config, SCHEMA, tmp_path / "results")
    assert list(experiments) == [config["experiment"]] and list(data.images) == ["a", "b", "c"] and missing == {}
    assert not (tmp_path / "results").exists()  # nothing was opened


def test_a_crf_backend_that_is_not_installed_is_a_problem(config, tmp_path, monkeypatch):
    config["crf_backend"] = "pydensecrf"
    monkeypatch.setattr("wsgcn.workflow.inputs.find_spec", lambda name: True)
    read_inputs(config, SCHEMA, tmp_path / "results")
    monkeypatch.setattr("wsgcn.workflow.inputs.find_spec", lambda name: None)
    how = {
        (3, 12): "`.venv/bin/pip install -e '.[pydensecrf]'`, with a C++ compiler",
        (3, 13): "it needs Python 3.11 or 3.12",
    }
    for version, advice in how.items():
        monkeypatch.setattr("wsgcn.workflow.inputs.sys.version_info", version)
        [found] = problems(config, tmp_path)
        assert found == f"crf_backend: pydensecrf is not installed: {advice}, or take numba"


def test_missing_images_stop_all_or_are_left_out(config, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "c.png").unlink()
    missing, broken = problems(config, tmp_path)
    assert missing == "image c.png does not exist" and broken.startswith("image b.png cannot be read")
    config["on_error"] = "skip"
    _, data, missing, *_ = read_inputs(config, SCHEMA, tmp_path / "results")
    assert list(data.images) == ["a", "b"] and missing == {"c": f"image {tmp_path}/c.png does not exist"}
    wrong, skipped, _ = open_images(data, tmp_path / "results", 1, skips=True)
    assert not wrong and len(skipped) == 1 and "b.png cannot be read" in skipped[0]


def test_problems_of_settings_lists_images_masks_weights_and_networks_are_reported_together(config, tmp_path):
    (tmp_path / "labels.csv").write_text("image,classes\na.png,cat\nb.png,\nc.png,cat\n")
    (tmp_path / "a.png").unlink()
    (tmp_path / "c.png").write_bytes(b"no image")
    write_label(tmp_path / "masks/b.png", np.resize(np.array([0, 255], np.uint8), (4, 5)))
    config["cam"]["folder"], config["backbone"]["weights"] = f"{tmp_path}/cams", "none.pt"
    config["segmentation"]["training"]["backbone"]["name"] = "resnet5"
    config["dataset"]["negative"] = "normal"
    found = problems(config, tmp_path)
    broken, unknown = found.pop(-3), found.pop(-1)
    assert broken.startswith("image c.png cannot be read")
    assert unknown.startswith("segmentation.training.backbone.name: timm knows no resnet5; near are")
    assert found == [
        "dataset.negative: no image of labels.csv has the tag normal",
        "backbone.weights: none.pt is neither wheel, hub, random nor a file",
        "image a.png does not exist",
        *(f"cam.folder: cams/{name}.npy does not exist" for name in "ac"),
        "all 1 masks contain only 0 and 255, and 255 is ignored; write classes as 1, 2, …",
    ]
    config["refine"]["lr"] = "high"
    also = problems(config, tmp_path)
    assert also[0] == 'config: refine.lr: "high" is not a number' and also[1:] == [
        *found[:-1],
        broken,
        found[-1],
        unknown,
    ]
    config["segmentation"]["training"]["backbone"] = 3  # then the networks are not checked
    also = problems(config, tmp_path)
    assert also[2:] == [found[0], "image a.png does not exist", broken, found[-1]]
    assert also[1] == "config: segmentation.training.backbone: 3 is not a section of keys"


def test_without_a_table_other_problems_are_still_reported(config, tmp_path):
    (tmp_path / "labels.csv").write_text("file,tags\n")
    config["backbone"]["weights"] = "none.pt"
    table, weights = problems(config, tmp_path)
    assert table.startswith("labels.csv: the header must name") and weights.startswith("backbone.weights: none.pt")


def test_problems_of_settings_that_the_data_depend_on_are_reported_without_the_data(config, tmp_path):
    (tmp_path / "a.png").unlink()
    config["refine"]["lr"], config["backbone"]["weights"] = 0, "none.pt"
    config["dataset"] |= {"longest_side": 1, "kinds": "voc"}
    config["seeds"] = 3  # these three say nothing of the data
    found = problems(config, tmp_path)
    assert len(found) == 6 and "backbone.weights" in found[-2] and found[-1] == "image a.png does not exist"
    config["dataset"]["kind"] = "folders"
    found = problems(config, tmp_path)
    assert len(found) == 6 and "dataset.kind: folders must be one of" in found[0] and "backbone.weights" in found[-1]


@pytest.mark.parametrize("key", "segmentation_for experiment cam backbone on_error experiments dataset seed".split())
def test_a_missing_key_is_reported(key, config, tmp_path):
    (tmp_path / "a.png").unlink()
    del config[key]
    assert f"config: {key}: is missing" in problems(config, tmp_path)


@pytest.mark.parametrize("trained", [False, True])
def test_networks_that_are_not_trained_are_not_checked(trained, config, tmp_path):
    (tmp_path / "a.png").unlink()
    config["segmentation"]["training"]["backbone"]["name"] = config["backbone"]["name"] = "resnet5"
    if not trained:
        (tmp_path / "cams").mkdir()
        for name in "abc":
            (tmp_path / f"cams/{name}.npy").write_text("")
        config["cam"]["folder"], config["refinement"] = f"{tmp_path}/cams", "none"
        config["segmentation_for"] = "none"
    found = problems(config, tmp_path)
    assert found[0] == "image a.png does not exist" and len(found) == 1 + 2 * trained


def test_images_that_are_left_out_need_no_cams(config, tmp_path):
    (tmp_path / "a.png").unlink()
    (tmp_path / "cams").mkdir()
    for name in "bc":
        (tmp_path / f"cams/{name}.npy").write_text("")
    config["cam"]["folder"], config["on_error"] = f"{tmp_path}/cams", "skip"
    assert list(read_inputs(config, SCHEMA, tmp_path / "results").data.images) == ["b", "c"]
    (tmp_path / "cams/b.npy").unlink()
    assert problems(config, tmp_path) == ["cam.folder: cams/b.npy does not exist"]


def test_images_without_a_class_need_no_cams(config, tmp_path):
    (tmp_path / "labels.csv").write_text("image,classes\na.png,cat\nb.png,\nc.png,cat\n")
    (tmp_path / "cams").mkdir()
    (tmp_path / "cams/a.npy").write_text("")
    config["cam"]["folder"] = f"{tmp_path}/cams"
    assert problems(config, tmp_path) == ["cam.folder: cams/c.npy does not exist"]


def test_where_all_images_are_lost_nothing_is_left_to_skip(config, tmp_path):
    config["on_error"], config["backbone"]["weights"] = "skip", "none.pt"
    for name in "abc":
        (tmp_path / f"{name}.png").unlink()
    lost = [f"dataset.{name}: none of its images exists" for name in ("train", "label", "evaluate")]
    assert problems(config, tmp_path) == ["backbone.weights: none.pt is neither wheel, hub, random nor a file", *lost]
    config["backbone"]["weights"] = "wheel"
    for name in "abc":
        (tmp_path / f"{name}.png").write_text("no image")
    data = read_inputs(config, SCHEMA, tmp_path / "results").data
    wrong, skipped, _ = open_images(data, tmp_path / "results", 1, skips=True)
    assert wrong == [line.replace("exists", "can be read") for line in lost] and len(skipped) == 3


@pytest.mark.parametrize(
    "key, path, sentence",
    [
        (
            "root",
            LONG,
            f"dataset.root: {LONG}/labels.csv cannot be read: File name too long; a folder data set needs it",
        ),
        ("label", f"{LONG}/a.txt", f"image list {LONG}/a.txt cannot be read: File name too long"),
        ("evaluate", "masks", "image list masks is not a file"),
        ("root", "a\0b", "dataset.root: a\\x00b/labels.csv is not a path; a folder data set needs it"),
    ],
)
def test_unreadable_paths_are_reported(key, path, sentence, config, tmp_path):
    config["dataset"][key] = path
    assert sentence in problems(config, tmp_path)


@pytest.mark.parametrize("section", ["backbone", "cam"])
def test_unreadable_paths_of_weights_and_cams_are_reported(section, config, tmp_path):
    config[section]["weights" if section == "backbone" else "folder"] = LONG
    assert any("cannot be read: File name too long" in line for line in problems(config, tmp_path))


def test_unreadable_images_and_masks_are_reported(config, tmp_path):
    (tmp_path / "labels.csv").write_text(f"image,classes\n{LONG}/a.png,cat\nb.png,cat\n")
    (tmp_path / "masks/b.png").mkdir()
    first, second = problems(config, tmp_path)
    assert first == f"image {LONG}/a.png cannot be read: File name too long"
    assert second.startswith("label masks/b.png cannot be read")


def test_a_review_by_a_walk_needs_affinities(config, tmp_path):
    config["review"]["score"] = "walk_agreement"
    read_inputs(config, SCHEMA, tmp_path / "results")
    config["refinement"] = "none"
    assert problems(config, tmp_path) == [
        f"review.score: walk_agreement needs a GCN's affinities, which {config['experiment']} does not read"
    ]
