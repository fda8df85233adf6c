"""Known bad inputs and their messages, through the checks that the workflow makes before the first job.

This test writes docs/bad-inputs.md: `WSGCN_TABLE=1 pytest tests/workflow/test_bad_inputs.py`.
"""

import os
import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_cases import ACCEPTED, CASES
from small_folder import ROOT, remarks, start, write_folder

from wsgcn.cam.external import read_external_cams
from wsgcn.exporting.contract import Known
from wsgcn.exporting.corrections import import_corrections
from wsgcn.exporting.masks import read_masks
from wsgcn.files import write_json, write_label
from wsgcn.networks.backbone import build_backbone
from wsgcn.workflow.check import format_problems
from wsgcn.workflow.rows import load
from wsgcn.workflow.stages import EXPORTERS

TABLE = ROOT / "docs/bad-inputs.md"


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path)


def backbone_problems(folder: Path) -> dict[str, str]:
    """The message for each unsuitable network or file of weights."""
    torch.save({"conv_stem.weight": torch.zeros(3)}, folder / "shape.pt")
    torch.save({"other": torch.zeros(3)}, folder / "other.pt")
    (folder / "text.pt").write_text("no weights")
    torch.save({"a": Path}, folder / "code.pt")
    not_finite = build_backbone("test_resnet", "random", 16).state_dict()
    next(iter(not_finite.values())).fill_(np.nan)
    torch.save(not_finite, folder / "nan.pt")
    found, lite = {}, "tf_efficientnet_lite0"
    cases = {
        "unknown backbone": ("resnet5", "random"),
        "backbone without an output stride": ("vit_tiny_patch16_224", "random"),
        "wheel of another backbone": ("resnet18", "wheel"),
        "weights that do not exist": (lite, str(folder / "none.pt")),
        "weights of another shape": (lite, str(folder / "shape.pt")),
        "weights of another network": (lite, str(folder / "other.pt")),
        "weights in a text file": (lite, str(folder / "text.pt")),
        "weights that are not finite": ("test_resnet", str(folder / "nan.pt")),
        "weights with pickled code": (lite, str(folder / "code.pt")),
    }
    for name, (network, weights) in cases.items():
        with pytest.raises(ValueError) as error:
            build_backbone(network, weights, 16)
        found[name] = str(error.value)
    return found


def cam_problems(folder: Path) -> dict[str, str]:
    """The message for each unusable file of external CAMs."""
    (folder / "text.npy").write_text("no array")
    np.save(folder / "array.npy", np.zeros((2, 3)))
    np.save(folder / "other.npy", {1: np.zeros((3, 4), np.float32)}, allow_pickle=True)
    np.save(folder / "range.npy", {0: np.full((3, 4), 7, np.float32)}, allow_pickle=True)
    np.save(folder / "code.npy", {0: Fraction(1, 2)}, allow_pickle=True)
    found = {}
    for name, file in {
        "file that is missing": "none", "text": "text", "plain array": "array", "without the image's class": "other",
        "values above one": "range", "pickled objects": "code",
    }.items():  # fmt: skip
        with pytest.raises(ValueError) as error:
            read_external_cams(folder / f"{file}.npy", (3, 4), (0,), 5)
        found[name] = str(error.value)
    return found


def returned_problems(folder: Path) -> dict[str, str]:
    """The message for each file that cannot become corrections of the images a and b."""
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "height": 12, "width": 16}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]]}],
    }
    box = {"type": "rectanglelabels", "id": "r", "original_width": 16, "original_height": 12, "value": {}}
    task = {"id": 3, "data": {"image": "a.png"}, "annotations": [{"result": [box]}]}

    def changed(section: str, **values: object) -> dict:
        return coco | {section: [coco[section][0] | values]}

    cases = {
        "no such file": None,
        "file of another format": {"shapes": []},
        "image that is not to be labelled": changed("images", file_name="c.png"),
        "image of another size": changed("images", height=16, width=12),
        "unknown name of a class": changed("categories", name="cst"),
        "box in place of a mask": changed("annotations", segmentation=[]),
        "run lengths that do not fill the image": changed(
            "annotations", segmentation={"size": [12, 16], "counts": [9]}
        ),
        "rectangle of Label Studio": [task],
        "two annotations of a task": [task | {"annotations": [{"result": []}, {"result": []}]}],
        "mask with a value of no class": np.full((12, 16), 9),
        "another correction is there": np.ones((12, 16)),
        "several problems": coco
        | {key: changed(key, **{name: 2})[key] for key, name in (("images", "height"), ("annotations", "image_id"))},
    }
    readers = {row.title: load(row.read) for row in EXPORTERS.values()} | {"a folder of label PNGs": read_masks}
    write_label(folder / "corrections/a.png", np.zeros((12, 16)))
    found = {}
    for name, content in cases.items():
        shutil.rmtree(folder / "back", ignore_errors=True)
        source = folder / ("back/a.png" if isinstance(content, np.ndarray) else "back/tool.json")
        if isinstance(content, np.ndarray):
            write_label(source, content)
        elif content is not None:
            write_json(source, content)
        known = Known({"a": (12, 16), "b": (12, 16)}, ("cat", "dog"))
        try:
            done = import_corrections(str(source), known, f"{folder}/corrections", readers, [], False, False)
            found[name] = format_problems(done.problems)
        except ValueError as error:
            found[name] = str(error)
    return found


def cell(message: str, root: Path) -> str:
    """A message as a cell of the table: line breaks as <br>, the test's folder as `data`, long lines cut."""
    lines = [line.replace(str(root), "data") for line in message.splitlines()]
    lines = [re.sub(r"\s+", " ", line if len(line) < 300 else line[:290] + " …") for line in lines]
    return "<br>".join(line.replace("|", "\\|").replace("<", "&lt;") for line in lines)


@pytest.fixture(scope="module")
def rows():
    """The rows of the table by section, which the tests fill."""
    found = {}
    yield found
    if os.environ.get("WSGCN_TABLE"):
        lines = ["# Bad inputs and their messages", ""]
        lines += [
            "Written by `tests/workflow/test_bad_inputs.py`, which tries all of them. The messages appear before the",
            "first job, except for those about external CAMs and about files that come back, which appear when these",
            "are read.",
            "",
        ]
        for section, cases in found.items():
            lines += [f"## {section}", "", "| input | message |", "| --- | --- |"]
            lines += [f"| {name} | {message} |" for name, message in cases.items()] + [""]
        TABLE.write_text("\n".join(lines))


def check_row(rows: dict, section: str, name: str, message: str, root: Path) -> None:
    text = cell(message, root)
    rows.setdefault(section, {})[name] = text
    assert text and len(text) < 1500 and "Traceback" not in text
    if not os.environ.get("WSGCN_TABLE"):
        assert f"| {name} | {text} |" in TABLE.read_text(), f"docs/bad-inputs.md is out of date: {text}"


@pytest.mark.parametrize("section, name", [(section, name) for section, cases in CASES.items() for name in cases])
def test_messages_before_the_first_job(section, name, root, rows):
    check_row(rows, section, name, start(root, CASES[section][name]), root)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_read_otherwise_is_said(name, root, rows):
    data, said = remarks(root, ACCEPTED[name])
    assert said and data.train
    check_row(rows, "Accepted, and said at the start", name, "\n".join(said), root)


def test_messages_about_networks(rows, tmp_path):
    for name, message in backbone_problems(tmp_path).items():
        assert message.startswith("backbone.")
        check_row(rows, "Networks", name, message, tmp_path)


def test_messages_about_external_cams(rows, tmp_path):
    for name, message in cam_problems(tmp_path).items():
        check_row(rows, "External CAMs", name, message, tmp_path)


def test_messages_about_files_that_come_back(rows, tmp_path):
    for name, message in returned_problems(tmp_path).items():
        check_row(rows, "Files that come back", name, message, tmp_path)
