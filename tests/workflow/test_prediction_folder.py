"""A folder of any images: what of it is segmented, and what is wrong with it.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_prediction_folder.py`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plans import dataset, plan

from wsgcn.workflow.prediction_folder import PredictionFolder, plan_folder

SNAKEMAKE = """#!{python}
import sys
from snakemake.cli import parse_config
[setting] = [after for before, after in zip(sys.argv, sys.argv[1:]) if before == "--config"]
print(parse_config([setting])["predict"], sys.argv[-2:], end="")
"""
"""Prints the setting as Snakemake reads it, and the targets."""


@pytest.fixture
def folder(tmp_path):
    """folder(*names): a PredictionFolder that holds files of these names, pictures by their extension."""

    def make(*names, under="photos"):
        root = tmp_path / under
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.endswith((".txt", ".csv")):
                (root / name).write_text("words")
            else:
                form = {".jpg": "JPEG", ".TIF": "TIFF"}.get(os.path.splitext(name)[1], "PNG")
                Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(root / name, format=form)
        return PredictionFolder(str(root), str(tmp_path / "results"))

    return make


def test_its_images_are_the_files_that_pillow_reads_by_their_names(folder):
    found = folder("b.jpg", "a.png", "c.TIF", "notes.txt", ".hidden.png")
    os.mkdir(f"{found.path}/more.png")
    assert found.problems() == []
    assert found.images == {"a": f"{found.path}/a.png", "b": f"{found.path}/b.jpg", "c": f"{found.path}/c.TIF"}
    assert found.remarks() == ["predict: no image by its name, so left out: file notes.txt"]
    assert (found.name, found.labels) == ("photos", f"{found.results}/predicted/photos")


def test_a_slash_at_the_end_and_a_relative_path_change_no_name(folder, monkeypatch):
    found = folder("a.png")
    assert PredictionFolder(f"{found.path}/", found.results).images == found.images
    monkeypatch.chdir(found.path)
    here = PredictionFolder(".", found.results)
    assert (here.name, here.images) == ("photos", {"a": "a.png"})


def problems(found, root=None):
    return [problem.replace(str(root), "…") if root else problem for problem in found.problems()]


def test_what_is_wrong_with_the_folder(folder, tmp_path):
    results = str(tmp_path / "results")
    (tmp_path / "file").write_text("")
    assert problems(PredictionFolder(f"{tmp_path}/none", results), tmp_path) == ["predict: …/none does not exist"]
    assert problems(PredictionFolder(f"{tmp_path}/file", results), tmp_path) == ["predict: …/file is not a folder"]
    [line] = problems(folder("labels.csv", under="empty"), tmp_path)
    assert line == "predict: …/empty holds no image among its 1 file; subfolders are not read"
    [line] = problems(folder(under="bare"), tmp_path)
    assert line == "predict: …/bare holds no image; subfolders are not read"
    [line] = problems(folder("a.png", under="a:b"), tmp_path)
    assert line.startswith("predict: folder …/a:b has ':' in its name")


def test_what_is_wrong_with_its_names_is_said_of_each(folder):
    found = folder("a.png", "a.jpg", "b.png", "c?.png")
    assert problems(found)[0] == (
        "predict: images a.jpg and a.png have the same name without extension, which must be unique"
    )
    assert problems(found)[1].startswith("predict: image c?.png has '?' in its name") and len(problems(found)) == 2


def test_labels_of_two_folders_of_one_name_are_not_mixed(folder, tmp_path):
    first, second = folder("a.png", under="x/photos"), folder("a.png", under="y/photos")
    first.remember()
    assert problems(second) == []  # as long as there is no label
    os.makedirs(first.labels)
    assert problems(first) == []
    assert problems(second, tmp_path) == [
        "predict: …/results/predicted/photos holds the labels of …/x/photos; rename either folder, or delete "
        "…/results/predicted/photos"
    ]
    shutil.rmtree(first.path)  # moved, with the project
    assert problems(second) == []


def test_broken_images_are_problems_or_skipped(folder):
    found = folder("a.png", "b.png")
    with open(f"{found.path}/b.png", "wb") as stream:
        stream.write(b"no picture")
    [broken], skipped = found.open(1, skips=False)
    assert broken.startswith(f"image {found.path}/b.png cannot be read") and skipped == []
    assert found.open(1, skips=True) == ([], [broken])
    os.unlink(f"{found.path}/a.png")
    only = PredictionFolder(found.path, found.results)
    assert only.open(1, skips=True)[0] == [f"predict: none of the images in {found.path} can be read"]


def test_its_plan_has_its_images_alone_and_copies_of_large_and_deep_ones(folder):
    found = folder("a.png", "large.jpg", "deep.png")
    Image.new("RGB", (300, 200)).save(f"{found.path}/large.jpg")
    Image.fromarray(np.full((8, 12), 900, np.uint16)).save(f"{found.path}/deep.png")
    base = plan(data=dataset())
    own, copied, deep = plan_folder(base, found, longest=100)
    assert own.paths(["a", "large", "deep"]) == [
        f"{found.path}/a.png",
        f"{found.own}/images/large.jpg",
        f"{found.own}/images/deep.png",
    ]
    assert copied == {"large": f"{found.path}/large.jpg", "deep": f"{found.path}/deep.png"}
    assert deep == {"deep"}
    assert own.full_sizes(["a", "large"]) == {"full_sizes": [None, (200, 300)]}
    [job] = own.data_jobs("predict_folder", own.data.evaluate, f"{found.name}/")
    assert job.ids == ["a", "deep", "large"]
    assert (job.name, job.seconds) == (
        "predict_folder_new_all",
        "results/tiny/seconds/predict_folder/photos/new_all.csv",
    )
    assert job.file("segmentation") == base.file("wsgcn-i", "segmentation")
    assert own.data.classes == base.data.classes


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", ["2024", "007", "1e5", "true", "it's mine", 'a "b" c', "photos/new/"])
def test_make_hands_on_the_very_name_of_a_folder(tmp_path, name):
    shutil.copy(Path(__file__).parents[2] / "Makefile", tmp_path)
    program = tmp_path / ".venv/bin/snakemake"
    program.parent.mkdir(parents=True)
    program.write_text(SNAKEMAKE.format(python=sys.executable))
    program.chmod(0o755)
    for path, wanted in ((name, f"./{name}"), (f"/data/{name}", f"/data/{name}"), (f"~/{name}", f"~/{name}")):
        command = ["make", "--silent", "--old-file=.venv/installed", "predict", f"IMAGES={path}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == f"{wanted} ['--', 'predict']", done.stderr
