"""The start's report on a folder in which much is wrong at once: one list, and nothing runs.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_messy_folder.py`. With `-s` it prints the report.
"""

import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tiny_project import copy_workflow, write_config

from wsgcn.depth import ORIENTATION
from wsgcn.files import write_label

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
TABLE = """\
 Image , Classes
i00.png,cat
i01.png,"cat;dog"
i02.png,Cat
i03.png,cat|dog
i04.png,"['dog', 'owl']"
i05.png,nan
i06.png,“owl”
i07.jpg,owl
i08.png,dog
i09.png,dog
i10.png,dog
i11.png,owl
i12.png,cat;\u200bowl
i13.gif,owl\u00a0
i14.jpg,cat
i15.png,cat
i16.png,dog
i17.png,owl
i18.png,cat
i19.png,owl
"""


def write_folder(root):
    (root / "masks").mkdir(parents=True)
    (root / "more").mkdir()
    (root / "labels.csv").write_text(TABLE)
    for k in range(20):
        Image.fromarray(PIXELS).save(root / f"i{k:02}.png")
    (root / "i07.png").rename(root / "i07.JPG")  # found
    (root / "i08.png").rename(root / "more/i08.png")  # only named
    (root / "i09.png").write_bytes((root / "i09.png").read_bytes()[:200])  # truncated
    (root / "i11.png").write_bytes(imagecodecs.png_encode(PIXELS.astype(np.uint16) << 4))  # 12 bits
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(root / "i13.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(PIXELS).save(root / "i14.jpg", exif=exif)
    for name in ("i14", "i15", "i16", "i17", "i18", "i18_mask"):  # cat 1, dog 2, owl 3
        write_label(root / f"masks/{name}.png", np.full((12, 16), {"i15": 3, "i18": 21}.get(name, 1), np.uint8))
    write_label(root / "masks/i19.png", np.zeros((12, 16), np.uint8))
    (root / "some.txt").write_text("i00 1\ni01 -1\n")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messy")
    copy_workflow(folder)
    write_folder(folder / "photos")
    lists = {"train": "all", "label": "all", "evaluate": "some.txt"}
    write_config(folder, {"dataset": {"name": "messy", "kind": "folder", "root": "photos", **lists}})
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode
    written = {path.relative_to(folder / "results").as_posix() for path in (folder / "results").rglob("*.*")}
    print(done.stdout + done.stderr)
    return done.stdout + done.stderr, written


PROBLEMS = [
    'photos/labels.csv: image i03.png: tag "cat|dog" contains "|": separate classes by ;',
    'photos/labels.csv: image i06.png: tag "“owl”" has a quotation mark',
    "photos/labels.csv: tags cat (6 images) and Cat (1 image) look alike",
    "image list photos/some.txt: 2 of 2 lines have several columns, the first is 'i00 1'",
    "image photos/i08.png does not exist; did you mean photos/more/i08.png?",
    "image photos/i09.png cannot be read",
    "mask photos/masks/i14.png is 16×12, but its image is 12×16, as EXIF turns it (orientation 6)",
    "mask photos/masks/i18.png contains values of no class: 21",
    "4 of 4 masks show none of the classes that their image's tags name",
]
REMARKS = [
    "photos/labels.csv: 'nan' means no class, in 1 image",
    "photos/labels.csv: image i05.png without a tag: taken to show none of the classes",
    "photos/masks: 1 file of no image that is listed, the first i18_mask.png",
    "found under another name: image photos/i07.jpg, which is i07.JPG",
    "dataset.label: 6 of 19 images have a mask; only these are evaluated",
    "image photos/i13.gif: of several frames or pages, only the first is used",
]


@pytest.mark.parametrize("sentence", PROBLEMS)
def test_each_problem_is_listed_once(sentence, report):
    assert report[0].split("worth knowing:")[0].count(sentence) == 1


@pytest.mark.parametrize("sentence", REMARKS)
def test_what_was_read_otherwise_is_listed_below(sentence, report):
    assert report[0].split("worth knowing:")[1].count(f"- {sentence}") == 1


def test_there_is_one_list_and_nothing_ran(report):
    output, written = report
    assert f"{len(PROBLEMS)} problems:" in output and output.count("problems:") == 1
    assert all(len(line) < 300 for line in output.splitlines())
    assert written <= {"messy/data/checked.json", "messy/data/networks.json"}
