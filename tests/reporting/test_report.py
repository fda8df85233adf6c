"""The page and the terminal's table: numbers, gaps, escaping, nothing from outside."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from wsgcn.reporting import report

PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[1] = (64, 0, 0)
PALETTE[2] = (64, 0, 128)


def row(stage, split="train", miou=None, **values):
    defaults = {"protocol": "all pixels", "images": 20, "coverage": None, "precision": None}
    return {"stage": stage, "split": split, "miou": miou, "seconds_per_image": None, "iou": {}} | defaults | values


TABLE = [
    row("activation maps", miou=0.5, seconds_per_image=2.3, iou={"background": 0.8, "cat": 0.25}),
    row("partial label", coverage=0.625, precision=0.875),
    row("DeepLab", "val", 0.9),
    row("refined label", miou=0.4567, iou={"background": 0.7, "cat": float("nan"), "dog": 0.5}),
    row("CRF label", miou=0.5),
]


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
            "title": "Cats and dogs",
            "table": TABLE,
            "gallery": [{"image": "a1", "classes": ["cat"], "miou": 0.612, "strip": picture}],
            "classes": ["cat", "dog"],
            "palette": PALETTE,
            "ui_command": "mlflow ui --port 5000",
            "labels_folder": "results/labels",
            "settings": {"gcn.epochs": 250},
            "skipped": {},
        }
        path = tmp_path / "new" / "report.html"
        report.write_report(path, **(arguments | changes))
        return Page(path.read_text(encoding="utf-8"))

    return call


def test_stage_table_numbers_and_gaps(write):
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


def test_without_masks_one_sentence_stands_for_the_scores(write):
    table = [row("activation maps", seconds_per_image=1.0), row("CRF label", iou={"cat": None})]
    page = write(table=table, gallery=[{"image": "a1", "classes": ["cat"], "miou": None,
                                        "strip": Image.new("RGB", (8, 8))}])  # fmt: skip
    assert page.text.count("There are no masks") == 1
    assert page.tables[0][0] == ["stage", "on", "protocol", "images", "s/image"]
    assert len(page.tables) == 2, "stages and settings, no table of classes"
    assert page.text.count("mIoU") == 1, "only in the sentence"
    assert "There are no masks" not in write().text


def test_empty_run_still_makes_a_page(write):
    page = write(table=[], gallery=[], settings={})
    assert "Cats and dogs" in page.text and "Gallery" not in page.text and len(page.tables) == 1


def test_every_text_is_escaped(write):
    evil = """<script>alert("1")</script>'"&"""
    page = write(
        title=evil,
        table=[row(evil, evil, 0.5, protocol=evil, iou={evil: 0.5})],
        gallery=[{"image": evil, "classes": [evil, "x" + evil], "miou": None,
                  "strip": Image.new("RGB", (8, 8))}],
        classes=[evil],
        ui_command=evil,
        labels_folder=evil,
        settings={evil: evil},
    )  # fmt: skip
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script" not in page.source
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"].endswith(evil) and set(image) == {"alt", "src", "width", "height"}
    assert page.text.count(evil) >= 12


def test_pictures_are_inside_the_page_and_nothing_comes_from_outside(write):
    page = write()
    (source,) = re.findall(r'src="([^"]*)"', page.source)
    head, data = source.split(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (40, 20)
    assert np.abs(np.asarray(picture, int) - (10, 200, 30)).max() < 6
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in page.source and "url(" not in page.source


def test_settings_are_collapsed_and_the_way_on_is_named(write):
    page = write()
    assert ["gcn.epochs", "250"] in page.tables[-1]
    assert [attributes for tag, attributes in page.tags if tag == "details"] == [{}]
    assert "mlflow ui --port 5000" in page.text and "results/labels" in page.text


def test_swatches_carry_the_palette_of_the_labels(write):
    page = write()
    legend = page.source[page.source.index("Gallery</h2>") :]
    assert re.search(r'--colour: #400000"></i>cat', legend)
    assert re.search(r'--colour: #400080"></i>dog', legend)
    assert "61.2%" in legend


def test_format_table_is_aligned():
    lines = report.format_table(TABLE).split("\n")
    assert lines == [
        "stage            on      mIoU  gain  coverage  s/image",
        "activation maps  train  50.0%     –         –    2.300",
        "partial label    train      –     –     62.5%        –",
        "DeepLab          val    90.0%     –         –        –",
        "refined label    train  45.7%  -4.3         –        –",
        "CRF label        train  50.0%  +4.3         –        –",
    ]


def test_format_table_without_rows_is_its_headings():
    assert report.format_table([]) == "stage  on  mIoU  gain  coverage  s/image"


# Experiments side by side


def experiment(name, no_crf=None, miou=None, difference=None, low=None, high=None, segmentation=None):
    return {"experiment": name, "miou_no_crf": no_crf, "miou": miou, "difference": difference, "low": low, "high": high,
            "segmentation_miou": segmentation}  # fmt: skip


EXPERIMENTS = [
    experiment("base", 0.61, 0.6449, segmentation=0.7),
    experiment("cam", 0.5, 0.5251, -0.1198, -0.14, -0.10049),
    experiment("best-of-all", 0.655, 0.66, 0.0151, -0.0004, 0.03, float("nan")),
    experiment("no masks"),
]


def test_format_ablations_has_the_best_first_and_a_dash_for_what_is_not_known():
    text = report.format_ablations(EXPERIMENTS, [], "base", "cats")
    assert text == (
        "experiments on cats, mIoU of the pseudo labels; difference to base in points, with CRF\n"
        "\n"
        "experiment   no CRF  with CRF  difference            95 %  segmentation\n"
        "best-of-all   65.5%     66.0%        +1.5    +0.0 to +3.0             –\n"
        "base          61.0%     64.5%           –               –         70.0%\n"
        "cam           50.0%     52.5%       -12.0  -14.0 to -10.0             –\n"
        "no masks          –         –           –               –             –\n"
    )
    assert [row["experiment"] for row in EXPERIMENTS] == ["base", "cam", "best-of-all", "no masks"]  # as they were


def test_format_ablations_lists_further_comparisons_below():
    pair = {"experiment": "best-of-all", "against": "cam"}
    further = [
        pair | {"stage": "refined", "difference": 0.155, "low": 0.1, "high": 0.2},
        pair | {"stage": "refined_crf", "difference": None, "low": None, "high": None},
    ]
    plain = report.format_ablations(EXPERIMENTS, [], "base", "cats")
    assert report.format_ablations(EXPERIMENTS, further, "base", "cats") == plain + (
        "\nbest-of-all against cam, refined: +15.5 (+10.0 to +20.0)\nbest-of-all against cam, refined_crf: – (– to –)\n"
    )


def test_format_ablations_of_the_base_alone():
    lines = report.format_ablations([experiment("base")], [], "base", "cats").splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["experiment", "base"]


def test_skipped_images_are_told(write):
    assert "Skipped images" not in write().text
    page = write(skipped={"a<b": "cam_new_0: cannot & will not"})
    assert "Skipped images" in page.text and ": cam_new_0: cannot & will not" in page.text
    assert "a&lt;b" in page.source
