"""Photographs of 12 bits give the labels of their 8-bit versions.

Run alone: `.venv/bin/python -m pytest -m proof tests/workflow/test_deep_images.py`.
"""

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tiny_project import copy_workflow, snakemake, write_config

from wsgcn.data import demo_scenes as demo
from wsgcn.files import read_label

MIN_EQUAL_SHARE = 0.99


def write_photos(folder, bits, kind):
    """Six drawings with noise in the bits that 8 do not hold."""
    rows, rng = ["image,classes"], np.random.default_rng(0)
    folder.mkdir()
    for image, classes in demo.plan("train", 6, 1).items():
        pixels, _ = demo.draw(image, classes, 1, 96)
        pixels[0, :20], pixels[0, 20:40] = 0, 255  # more than dataset.grey_percentiles leave out
        if bits == 8:
            Image.fromarray(pixels).save(folder / f"{image}.{kind}")
        else:
            noise = rng.integers(-9, 10, pixels.shape)  # a step of 8 bits is 16 of 12
            deep = (np.round(pixels * (4095 / 255)) + noise).clip(0, 4095).astype(np.uint16)
            encode = {"png": imagecodecs.png_encode, "tif": imagecodecs.tiff_encode}[kind]
            (folder / f"{image}.{kind}").write_bytes(encode(deep))
        rows.append(f"{image}.{kind},{';'.join(classes)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def labels_of(folder, bits, kind):
    copy_workflow(folder)
    write_photos(folder / "photos", bits, kind)
    lists = {"train": "all", "label": "all", "evaluate": "all"}
    dataset = {"name": "deep", "kind": "folder", "root": "photos", **lists}
    write_config(folder, {"dataset": dataset, "classifier": {"train": "head"}})  # few steps of `all` give empty CAMs
    output = snakemake(folder, "labels")
    assert ("6 of 6 images hold 16 bits: their values 0 to 4095 become 0 to 255" in output) == (bits > 8)
    return {path.stem: read_label(path) for path in (folder / "results/deep/pseudo/wsgcn-i").glob("*.png")}


@pytest.mark.proof
def test_12_bits_give_the_labels_of_8(tmp_path):
    expected = labels_of(tmp_path / "shallow", 8, "png")
    assert sum(len(np.unique(label)) > 1 for label in expected.values()) >= 2, "labels that can differ"
    for kind in ("png", "tif"):
        found = labels_of(tmp_path / kind, 12, kind)
        shares = {image: (found[image] == label).mean() for image, label in expected.items()}
        print(kind, shares)
        assert len(shares) == 6 and min(shares.values()) >= MIN_EQUAL_SHARE
