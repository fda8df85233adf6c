"""The real workflow on one class and images that do not show it, some of them held out."""

import csv
import json

import numpy as np
from PIL import Image
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.data import demo_scenes as demo
from wsgcn.files import read_arrays, read_label, write_label

CLASS, OTHER = demo.CLASSES[:2]


def draw_folder(root) -> dict[str, str]:
    """Six drawings of one class and six of another thing, two to a group; {image: tag}. Half of all have a mask.

    The last drawing is that of the tenth, in another group.
    """
    (root / "masks").mkdir(parents=True)
    rows = []
    for k, image in enumerate(demo.plan("train", 12, 3)):
        shown = k % 2 == 0
        drawn = "train_0009" if k == 11 else image
        pixels, mask = demo.draw(drawn, (CLASS if shown else OTHER,), 3, 72)
        Image.fromarray(pixels).save(root / f"{image}.png")
        if k % 4 < 2:
            write_label(root / f"masks/{image}.png", mask * shown)
        rows.append((f"{image}.png", CLASS if shown else ("normal", "")[k % 3 == 0], k // 2))
    with open(root / "labels.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("image", "classes", "group"), *rows])
    return {file.removesuffix(".png"): tag for file, tag, _ in rows}


def test_one_class_and_negatives(tmp_path):
    copy_workflow(tmp_path)
    tags = draw_folder(tmp_path / "photos")
    dataset = {"name": "mine", "kind": "folder", "root": "photos", "train": "all", "label": "all"}
    dataset |= {"evaluate": "33%", "negative": "normal"}
    write_config(tmp_path, {"dataset": dataset, "batch_size": 16, "refine": {"epochs": 2}})
    output = snakemake(tmp_path, "all")
    results = tmp_path / "results/mine"
    assert "dataset.evaluate: 33% drawn with seed 0: 4 of 12 images (2 of 6 groups) are held out" in output
    assert f"       6  {CLASS}\n       6  (none of them)\n" in output and "every image shows" not in output

    assert (
        "1 image nearly the same as one that is trained on" in output
        and "train_0011.png and photos/train_0009" in output
    )

    negatives = [image for image, tag in tags.items() if tag != CLASS]
    labels = {path.stem: path for path in (results / "pseudo/wsgcn-i").glob("*.png")}
    assert len(labels) == 8
    for image in labels.keys() & set(negatives):
        with Image.open(tmp_path / f"photos/{image}.png") as picture:
            width, height = picture.size
        cam, refined = read_arrays(results / f"cam/{image}.npz"), read_arrays(results / f"refined/wsgcn-i/{image}.npz")
        assert cam["keys"].size == 0 and cam["high_res"].shape == (0, height, width)
        h, w = cam["cam"].shape[1:]
        assert list(read_arrays(results / f"affinity/irnet/{image}.npz")["grid"]) == [h, w]
        assert refined["keys"].size == 0 and refined["scores"].shape == (1, h, w) and (refined["scores"] == 1).all()
        for path in (f"irnet/labels/{image}.png", f"partial/{image}.png"):
            assert not read_label(results / path).any()
        assert read_label(labels[image]).shape == (height, width) and not read_label(labels[image]).any()

    single = json.loads((results / "evaluation/wsgcn-i/segmentation_single.json").read_text())
    paths = [
        results / f"segmentation/wsgcn-i/single/{row}.png" for row in tags if row in negatives and row not in labels
    ]
    shares = [read_label(path) for path in paths]
    expected = sum(int((label > 0).sum()) for label in shares) / sum(label.size for label in shares)
    assert paths and np.isclose(single["false_foreground"], expected) and single["split"] == "held_out"
    assert "false foreground" in (results / "summary/wsgcn-i.txt").read_text()
    assert "false_foreground" not in json.loads((results / "evaluation/wsgcn-i/refined_crf.json").read_text())
