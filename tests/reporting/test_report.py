"""The report page: numbers, unknown values, escaping, nothing loaded from outside.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_report.py`.
"""

import base64
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wsgcn
from wsgcn.reporting.gallery import GalleryItem
from wsgcn.reporting.report import ReportHeader, write_report


def row(stage, split="train", miou=None, **values):
    defaults = {"protocol": "all pixels", "images": 20, "coverage": None, "precision": None, "skipped": {}}
    return {"stage": stage, "split": split, "miou": miou, "seconds_per_image": None, "iou": {}} | defaults | values


TABLE = [
    row("activation maps", miou=0.5, seconds_per_image=2.3, iou={"background": 0.8, "cat": 0.25}),
    row("partial label", coverage=0.625, precision=0.875),
    row("DeepLab", "val", 0.9),
    row("refined label", miou=0.4567, iou={"background": 0.7, "cat": float("nan"), "dog": 0.5}),
    row("CRF label", miou=0.5),
]

PLACES = {"review": "snakemake review: review.html"}
HEADER = ReportHeader("Cats and dogs", "results/labels", "mlflow ui --port 5000", PLACES)


class Page(HTMLParser):
    """The page's tables as lists of rows of cell texts, its tags, and its text."""

    def __init__(self, source):
        super().__init__()
        self.source, self.tags, self.tables, self.texts, self.cell = source, [], [], [], None
        self.feed(source)
        self.text = " ".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.cell = self.tables[-1][-1]

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        self.texts.append(data)
        if self.cell is not None:
            self.cell[-1] += data.strip()


@pytest.fixture
def write(tmp_path):
    def call(**changes):
        picture = Image.new("RGB", (40, 20), (10, 200, 30))
        arguments = {
            "header": HEADER,
            "evaluations": TABLE,
            "gallery": [GalleryItem("a1", ["cat"], 0.612, picture)],
            "classes": ["cat", "dog"],
            "settings": {"gcn.epochs": 250},
            "chosen": {},
        }
        path = tmp_path / "new" / "report.html"
        write_report(path, **(arguments | changes))
        return Page(path.read_text(encoding="utf-8"))

    return call


def test_stage_table_numbers_and_unknown_values(write):
    stages = write().tables[0]
    assert stages == [
        "stage on protocol images mIoU gain coverage precision s/image".split(),
        ["activation maps", "train", "all pixels", "20", "50.0%", "–", "–", "–", "2.300"],
        ["partial label", "train", "all pixels", "20", "–", "–", "62.5%", "87.5%", "–"],
        ["DeepLab", "val", "all pixels", "20", "90.0%", "–", "–", "–", "–"],
        ["refined label", "train", "all pixels", "20", "45.7%", "-4.3", "–", "–", "–"],
        ["CRF label", "train", "all pixels", "20", "50.0%", "+4.3", "–", "–", "–"],
    ]


def test_class_table_has_background_first_and_only_scored_stages(write):
    assert write().tables[1] == [
        ["class", "activation mapstrain", "refined labeltrain"],
        ["background", "80.0%", "70.0%"],
        ["cat", "25.0%", "–"],
        ["dog", "–", "50.0%"],
    ]


def test_without_masks_one_sentence_replaces_the_scores(write):
    table = [row("activation maps", seconds_per_image=1.0), row("CRF label", iou={"cat": None})]
    page = write(evaluations=table, gallery=[GalleryItem("a1", ["cat"], None, Image.new("RGB", (8, 8)))])
    assert page.text.count("There are no masks") == 1
    assert page.tables[0][0] == ["stage", "on", "protocol", "images", "s/image"]
    assert len(page.tables) == 2, "stages and settings, no table of classes"
    assert page.text.count("mIoU") == 1, "only in the sentence"
    assert "There are no masks" not in write().text


def test_page_without_evaluations_and_gallery(write):
    page = write(evaluations=[], gallery=[], settings={})
    assert "Cats and dogs" in page.text and "Gallery" not in page.text and len(page.tables) == 1


def test_every_text_is_escaped(write):
    evil = """<script>alert("1")</script>'"&"""
    page = write(
        header=ReportHeader(evil, evil, evil, {evil: evil}),
        evaluations=[row(evil, evil, 0.5, protocol=evil, iou={evil: 0.5}, skipped={evil: evil})],
        gallery=[GalleryItem(evil, [evil, "x" + evil], None, Image.new("RGB", (8, 8)))],
        classes=[evil],
        settings={evil: evil},
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script" not in page.source
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"].endswith(evil) and set(image) == {"alt", "src", "width", "height"}
    assert page.text.count(evil) >= 15


def test_pictures_are_embedded_and_nothing_is_loaded(write):
    page = write()
    (source,) = re.findall(r'src="([^"]*)"', page.source)
    head, data = source.split(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (40, 20)
    assert np.abs(np.asarray(picture, int) - (10, 200, 30)).max() < 6
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in page.source and "url(" not in page.source


def test_settings_are_collapsed_and_the_header_is_shown(write):
    page = write()
    assert ["gcn.epochs", "250"] in page.tables[-1]
    assert [attributes for tag, attributes in page.tags if tag == "details"] == [{}]
    assert "mlflow ui --port 5000" in page.text and "results/labels" in page.text
    assert "<p>Review: <code>snakemake review: review.html</code></p>" in page.source


def test_swatches_have_the_colours_of_the_labels(write):
    page = write()
    legend = page.source[page.source.index("Gallery</h2>") :]
    assert re.search(r'--colour: #800000"></i>cat', legend)
    assert re.search(r'--colour: #008000"></i>dog', legend)
    assert "61.2%" in legend


def test_skipped_images_are_listed(write):
    assert "Skipped images" not in write().text
    page = write(evaluations=[*TABLE, row("DeepLab", "val", 0.9, skipped={"a<b": "cam_new_0: cannot & will not"})])
    assert "Skipped images" in page.text and ": cam_new_0: cannot & will not" in page.text
    assert "a&lt;b" in page.source


def test_page_is_found_with_only_the_scripts_on_the_path(tmp_path):
    """As in a script that Snakemake runs, from another working directory."""
    header = "ReportHeader('a title', '', '', {})"
    code = f"from wsgcn.reporting.report import *\nwrite_report('page.html', {header}, [], [], [], {{}}, {{}})"
    environment = os.environ | {"PYTHONPATH": str(Path(wsgcn.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert "<h1>a title</h1>" in (tmp_path / "page.html").read_text()


def test_chosen_settings_are_listed_with_why(write):
    page = write(chosen={"partial.alpha_high": "8, chosen among 2, 8 by mean_rank; no truth was used"})
    text = "".join(page.texts)
    assert "Chosen settings" in text and "8, chosen among 2, 8 by mean_rank; no truth was used" in text
    assert "Chosen settings" not in "".join(write().texts)
