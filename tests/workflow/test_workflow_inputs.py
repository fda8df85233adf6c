"""The real workflow on data as users have them: photos of every kind, and what is wrong with them."""

import re
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image
from tiny_project import ROOT, copy_workflow, merge, snakemake, write_config

from wsgcn.data import demo_scenes as demo
from wsgcn.files import read_label, why_skipped

NAMES = ["my cät", "$(touch ran)", "`touch ran`", "-c", "a'b", "a&touch ran;c"]
"""Of images; some would be commands if a shell saw them."""


def test_a_folder_of_photos(tmp_path):
    """Without masks, in a read-only folder with a blank in its path; some are odd, one cannot be read."""
    copy_workflow(tmp_path)
    root = tmp_path / "my photos"
    root.mkdir()
    rows = ["image,classes"]
    for (image, classes), name in zip(demo.plan("train", 6, 1).items(), NAMES, strict=True):
        pixels, _ = demo.draw(image, classes, 1, 72)
        file = f"{name}.png"
        Image.fromarray(pixels).save(root / file)
        rows.append(f"{file},{';'.join(classes)}")
    Image.fromarray(pixels).resize((300, 200)).save(root / "large.jpg")
    Image.new("CMYK", (30, 20)).save(root / "print.tif")
    Image.new("L", (1, 1)).save(root / "dot.png")
    with Image.open(root / "my cät.png") as first:
        deep = np.asarray(first).astype(np.uint16) << 4
    deep[:3, :20], deep[3:6, :20] = 0, 4095  # black and white, as photographs have
    Image.fromarray((deep >> 4).astype(np.uint8)).save(root / "my cät.png")
    (root / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    (root / "broken.jpg").write_bytes((root / "large.jpg").read_bytes()[:5000])  # too large as well
    rows += [f"{file},{classes[0]}" for file in ("large.jpg", "print.tif", "dot.png", "deep.png", "broken.jpg")]
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    root.chmod(0o555)  # root may write nevertheless, so compare times:
    before = [(path.name, path.stat().st_mtime_ns) for path in [root, *sorted(root.iterdir())]]
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    dataset = {"name": "mine", "kind": "folder", "root": "my photos", "longest_side": 100, **lists}
    few = {"experiments": {"cam-only": {"refinement": "none"}}}
    write_config(tmp_path, {"dataset": dataset, "on_error": "skip", **few})
    output = snakemake(tmp_path, "labels", "--cores", "8")
    assert "labels    results/mine/pseudo/wsgcn-i/" in output
    output += snakemake(tmp_path, "all", "ablations", "--cores", "8")
    assert [(path.name, path.stat().st_mtime_ns) for path in [root, *sorted(root.iterdir())]] == before
    root.chmod(0o755)
    results = tmp_path / "results/mine"
    assert "will be skipped: image my photos/broken.jpg cannot be read" in output
    tags = sum(row.rsplit(",", 1)[1].count(";") + 1 for row in rows[1:])
    lines = re.search(r"^images per class, of 11 in all:\n((?: +\d+  \w+\n)+)", output, re.MULTILINE)[1]
    shown = {name: int(count) for count, name in map(str.split, lines.splitlines())}
    assert list(shown) == sorted(shown) and sum(shown.values()) == tags
    assert "1 of 11 images hold 16 bits: their values 0 to 4095 become 0 to 255" in output
    with Image.open(root / "my cät.png") as first, Image.open(results / "data/images/deep.png") as copy:
        assert copy.mode == "RGB" and np.abs(np.asarray(copy).astype(int) - np.asarray(first)).max() <= 1
    assert "classifier: 11 images are trained on for 2 steps of 4 images; a network hardly learns" in output

    labels = {path.stem: path for path in (results / "pseudo/wsgcn-i").glob("*.png")}
    assert labels.keys() >= set(NAMES) and not list(tmp_path.rglob("ran"))
    assert len(labels) == 11 and {name for name, path in labels.items() if why_skipped(path)} == {"broken"}
    assert read_label(labels["dot"]).shape == (1, 1) and read_label(labels["print"]).shape == (20, 30)
    assert read_label(labels["large"]).shape == (200, 300)
    assert read_label(results / "partial/large.png").shape == (17, 25)  # of 67 x 100 pixels
    assert read_label(labels["my cät"]).shape == np.array(Image.open(root / "my cät.png")).shape[:2]
    assert "broken.jpg cannot be read" in why_skipped(results / "segmentation/wsgcn-i/multi_crf/broken.png")
    text = (results / "summary/wsgcn-i.txt").read_text()
    assert "skipped 1 image(s)\nbroken: " in text
    page = (results / "report/wsgcn-i.html").read_text()
    assert "no masks" in page and "Skipped images" in page

    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert not any("miou" in name or "difference" in name for run in runs for name in run.data.metrics)
    assert {run.data.metrics.get("skipped_images") for run in runs if run.data.tags["stage"] == "experiment"} == {1}
    assert "cam-only" in (results / "ablations/summary.txt").read_text()


def failing(folder: Path) -> str:
    """The output of a Snakemake that must fail in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_bad_images_end_before_anything_runs(tmp_path):
    copy_workflow(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (40, 30)).save(images / "a.png")
    (images / "b.png").write_bytes((images / "a.png").read_bytes()[:60])
    (images / "c.png").write_text("not an image")
    (images / "labels.csv").write_text("image,classes\na.png,x\nb.png,x\nc.png,y\n")
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    write_config(tmp_path, {"dataset": {"name": "bad", "kind": "folder", "root": "images", **lists}})
    output = failing(tmp_path)
    assert "2 problems:" in output
    assert all(f"image images/{name}.png cannot be read" in output for name in "bc")
    assert "Traceback" not in output
    assert not list((tmp_path / "results/bad").glob("*/*.pt"))


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ({"refine": {"lambda_entt": 1}}, "config: unknown key refine.lambda_entt; did you mean lambda_ent?"),
        ({"dataset": {"kind": "voc", "root": "nowhere"}}, "nowhere has no readable JPEGImages folder"),
    ],
)
def test_a_bad_config_ends_before_anything_runs(tmp_path, overlay, sentence):
    copy_workflow(tmp_path)
    config = merge(yaml.safe_load((ROOT / "config.yaml").read_text()), {})
    for section, values in overlay.items():
        config[section] |= values
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    assert sentence in failing(tmp_path)
    written = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert {path.parent.name for path in written} <= {"data"}  # caches of the checks
