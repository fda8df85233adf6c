"""Export and import as far as they are planned, and both by Snakemake on a folder whose labels are there.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_exchange.py`.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from configs import CONFIG, ROOT, SCHEMA, config_with
from PIL import Image
from plans import dataset
from tiny_project import write_config

from wsgcn.files import read_label, write_label, write_skipped
from wsgcn.workflow.exchange import (
    class_problems,
    corrections_folder,
    export_records,
    exported_files,
    labelled_images,
    request_problem,
)
from wsgcn.workflow.request import read_request
from wsgcn.workflow.settings import problems_of
from wsgcn.workflow.stages import EXPORTERS


def exchange(**changed):
    return config_with(exchange=CONFIG["exchange"] | changed)


def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path):
    assert request_problem(CONFIG, ("all",)) is None
    assert request_problem(CONFIG, ("export",)) == (
        "config: export: lists no format; set it to some of coco, cvat, label-studio, yolo, such as [coco]"
    )
    assert request_problem(config_with(export=["coco"]), ("export",)) is None
    words = ("all", "import_corrections")
    assert request_problem(CONFIG, words) == (
        "config: exchange.returned: is empty; set it to the file or folder that came back"
    )
    assert request_problem(exchange(returned="no.zip"), words) == "config: exchange.returned: no.zip does not exist"
    assert request_problem(exchange(returned=str(tmp_path)), words) is None


def test_names_that_a_format_cannot_hold():
    assert class_problems(["coco", "yolo"], ["a:b"]) == []
    assert class_problems(["coco", "cvat"], ["a:b", "cat", "#1"]) == [
        "export: cvat: class a:b has a colon or starts with #, which CVAT's labelmap.txt cannot hold",
        "export: cvat: class #1 has a colon or starts with #, which CVAT's labelmap.txt cannot hold",
    ]


def test_where_files_are():
    section = CONFIG["dataset"] | {"kind": "folder", "root": "photos"}
    assert corrections_folder(section, "results/x") == "photos/corrections"
    assert corrections_folder(section | {"corrections": "mended"}, "results/x") == "photos/mended"
    assert corrections_folder(CONFIG["dataset"], "results/demo") == "results/demo/corrections"
    assert exported_files(dataset(), "data", ["a", "d"]) == ["data/a.jpg", "data/d.jpg"]
    assert exported_files(dataset(), ".", ["a"]) == [f"{Path.cwd().name}/data/a.jpg"]


def test_the_folder_of_corrections_is_none_of_the_data_s_own():
    for name in ("masks", "JPEGImages"):
        config = CONFIG | {"dataset": CONFIG["dataset"] | {"corrections": name}}
        [problem] = problems_of(config, SCHEMA)
        assert problem == f'dataset.corrections: "{name}" is the name of something else in a data set'


def test_skipped_images_are_left_out(tmp_path, capsys):
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    write_label(files[0], np.zeros((2, 2), np.uint8))
    write_skipped(files[1], "no pixels")
    write_label(files[2], np.zeros((2, 2), np.uint8))
    confidences = [str(tmp_path / f"confidence/{name}.png") for name in "abc"]
    found = labelled_images(list("abc"), ["d/a", "d/b", "d/c"], files, confidences)
    assert [(image.id, str(image.confidence)) for image in found] == [("a", confidences[0]), ("c", confidences[2])]
    assert capsys.readouterr().out == "left out b (no pixels)\n"


def test_exports_of_every_experiment_are_known(tmp_path):
    for name in ("unchanged/coco.json", "other/unchanged/coco.json", "other/label-studio.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = [f"{tmp_path}/other/unchanged/coco.json", f"{tmp_path}/unchanged/coco.json"]
    assert export_records(str(tmp_path)) == found
    assert export_records(f"{tmp_path}/none") == []


def test_neither_target_needs_mlflow_s_store():
    for word in ("export", "import_corrections"):
        assert not read_request(["snakemake", "--cores", "1", "--", word]).needs_store


# By Snakemake

FORMATS = list(EXPORTERS)
RULES = ["export", "import_corrections", *(f"export_{name}" for name in FORMATS)]
LABEL = np.zeros((24, 40), np.uint8)
LABEL[4:12, 6:20] = 1
LABEL[6:8, 8:10] = 0
LABEL[15:20, 22:30] = 2


@pytest.fixture
def folder(tmp_path):
    """A data set of two images whose labels are there, of images larger than what is processed."""
    (tmp_path / "photos").mkdir()
    for name in "ab":
        Image.fromarray(np.zeros((24, 40, 3), np.uint8)).save(tmp_path / f"photos/{name}.png")
        write_label(tmp_path / f"results/tiny/pseudo/base/{name}.png", LABEL)
        write_label(tmp_path / f"results/tiny/confidence/base/{name}.png", np.full_like(LABEL, 51))
    (tmp_path / "photos/labels.csv").write_text("image,classes\na.png,cat;dog\nb.png,cat;dog\n")
    lists = dict.fromkeys(("train", "label", "evaluate"), "all")
    data = {"name": "tiny", "kind": "folder", "root": "photos", "longest_side": 32} | lists
    write_config(tmp_path, {"dataset": data, "experiment": "base", "export": FORMATS})
    return tmp_path


def run(folder, target, *config, fails=False):
    """Snakemake's output. Only the rules of this test are stated, so that the labels count as given."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--allowed-rules", *RULES, *(["--config", *config] if config else []), "--", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def test_labels_go_out_and_corrections_come_back(folder):
    exports = folder / "results/tiny/export/base"
    assert f"exported  {exports.relative_to(folder)}" in run(folder, "export")
    assert sorted(path.name for path in exports.iterdir() if path.is_file()) == sorted(
        file for row in EXPORTERS.values() for file in row.files
    )
    tasks = json.loads((exports / "label-studio.json").read_text())
    assert {task["predictions"][0]["score"] for task in tasks} == {0.2}
    assert [task["data"]["image"] for task in tasks] == [f"/data/local-files/?d=photos/{n}.png" for n in "ab"]

    changed = LABEL.copy()
    changed[0, 0] = 2
    with zipfile.ZipFile(exports / "yolo.zip") as archive:
        archive.extractall(folder / "back")
    with open(folder / "back/labels/train/b.txt", "a") as stream:
        stream.write(f"1 0 0 {1 / 40} 0 {1 / 40} {1 / 24} 0 {1 / 24}\n")
    output = run(folder, "import_corrections", "exchange={returned: back}")
    assert "1 image written to photos/corrections: b" in output and "1 image came back as exported" in output
    assert [path.name for path in (folder / "photos/corrections").iterdir()] == ["b.png"]
    np.testing.assert_array_equal(read_label(folder / "photos/corrections/b.png"), changed)

    write_label(folder / "masks/b.png", LABEL)
    (folder / "masks/x.png").write_bytes((folder / "masks/b.png").read_bytes())
    output = run(folder, "import_corrections", "exchange={returned: masks, keep_unchanged: true}", fails=True)
    assert "2 problems:" in output and "masks: x.png: no image to label is named x" in output
    assert "photos/corrections/b.png is another correction of b" in output
    (folder / "masks/x.png").unlink()
    settings = "exchange={returned: masks, keep_unchanged: true, overwrite: true}"
    assert "1 image written" in run(folder, "import_corrections", settings)
    assert "1 image already in photos/corrections: b" in run(folder, "import_corrections", settings)  # it runs again
    assert "is empty; set it to the file" in run(folder, "import_corrections", fails=True)
