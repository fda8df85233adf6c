"""The page of the review queue: its rows, its pictures, its table of truth, its text; opened in a browser.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_review_page.py`.
"""

import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from wsgcn.evaluation.review import SCORES
from wsgcn.files import voc_palette
from wsgcn.reporting.pictures import heat_map, overlay, panel_strip
from wsgcn.reporting.review_page import (
    PICTURE_HEIGHT_PX,
    ReviewSummary,
    format_review,
    review_picture,
    save_thumbnail,
    write_review_page,
)

CLASSES = ["cat", "<b>dog</b>; wolf"]
TRUTH = [
    {"score": "area", "auroc": 0.75, "low": 0.6, "high": 0.9, "images": 40, "worst": 10},
    {"score": "softmin", "auroc": 0.5, "low": 0.4, "high": 0.6, "images": 40, "worst": 10},
]
ROWS = [
    {
        "rank": 1,
        "image": "b & c/#1",
        "score": 0.125,
        "tags": ["cat", "<b>dog</b>; wolf"],
        "why": "no pixel of cat, which is a tag",
    },
    {"rank": 2, "image": "a", "score": 0.5, "tags": ["cat"], "why": "nothing stands out"},
]
SUMMARY = ReviewSummary("mine on photos", "area", 3, ["x"], TRUTH, {"queue": "results/queue.csv", "page": "here"})


class Page(HTMLParser):
    """The page's pictures with their attributes, and its text."""

    def __init__(self, source):
        super().__init__()
        self.images, self.texts = [], []
        self.feed(source)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def page(tmp_path, rng):
    """The folder of a page with its pictures."""
    pictures = {}
    for row in ROWS:
        image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
        label, confidence = (rng.integers(0, top, (40, 60)).astype(np.uint8) for top in (3, 256))
        pictures[row["image"]] = str(tmp_path / f"pictures/{row['image']}.jpg")
        save_thumbnail(pictures[row["image"]], review_picture(image, label, confidence))
    write_review_page(tmp_path / "review.html", SUMMARY, ROWS, pictures, CLASSES, SCORES)
    return tmp_path / "review.html"


def test_a_picture_has_image_label_and_doubt(rng):
    image = rng.integers(0, 256, (30, 50, 3)).astype(np.uint8)
    label, confidence = (rng.integers(0, top, (30, 50)).astype(np.uint8) for top in (3, 256))
    doubt = np.array([[min(1, 2 * (1 - value / 255)) for value in row] for row in confidence])
    panels = [image, overlay(image, label, voc_palette()), heat_map(image, doubt)]
    expected = panel_strip(list(zip(("image", "label", "doubt"), panels, strict=True)), PICTURE_HEIGHT_PX)
    assert np.array_equal(review_picture(image, label, confidence), expected)


def test_the_page_lists_the_labels_in_order(page):
    found = Page(page.read_text())
    first, second = found.images
    assert first["src"] == "pictures/b%20%26%20c/%231.jpg" and second["src"] == "pictures/a.jpg"
    with Image.open(page.parent / "pictures/b & c/#1.jpg") as picture:
        assert picture.format == "JPEG" and (str(picture.width), str(picture.height)) == (
            first["width"],
            first["height"],
        )
    assert all(image["loading"] == "lazy" and image["alt"].startswith("Image ") for image in found.images)
    assert "1 b & c/#1 cat <b>dog</b>; wolf 0.125 no pixel of cat, which is a tag" in found.text
    assert found.text.index("b & c/#1") < found.text.index("nothing stands out")
    assert "2 labels, the most doubtful first by area : how usual" in found.text
    assert "Not in the queue: 3 images without a class and 1 image that the run skipped." in found.text
    assert "Queue: results/queue.csv" in found.text and "here" not in found.text.split()
    assert "<b>dog</b>" not in page.read_text() and "http" not in page.read_text()


def test_the_table_of_truth_is_there_where_there_are_masks(page, tmp_path):
    found = Page(page.read_text())
    assert "the worst 10 of the 40 labels with masks" in found.text
    assert "area how usual the area of each class is among the class's other images 0.750 0.600 to 0.900" in found.text
    bare = ReviewSummary("mine", "area", 0, [], [], {})
    write_review_page(tmp_path / "bare.html", bare, [], {}, CLASSES, SCORES)
    text = Page((tmp_path / "bare.html").read_text()).text
    assert "AUROC" not in text and "Not in the queue" not in text and "0 labels" in text


def test_corrections_are_said_on_the_page_and_in_the_text(tmp_path):
    summary = ReviewSummary("mine", "area", 3, ["x"], [], {"queue": "q"}, 2, "Before, they had 50 < 60.")
    write_review_page(tmp_path / "corrected.html", summary, [], {}, CLASSES, SCORES)
    left_out = "3 images without a class, 2 images with a correction and 1 image that the run skipped."
    for text in (Page((tmp_path / "corrected.html").read_text()).text, format_review(summary, [])):
        assert f"Not in the queue: {left_out}" in text and "Before, they had 50 < 60." in text


def test_the_text_says_what_is_first_and_what_scores_are_worth():
    text = format_review(SUMMARY, ROWS)
    assert text.splitlines()[:3] == [
        "review of mine on photos: 2 labels, the most doubtful first by area",
        "     1  b & c/#1: no pixel of cat, which is a tag",
        "     2  a: nothing stands out",
    ]
    assert "AUROC of each score for the worst 10 of 40 labels by mIoU (95 %):" in text
    assert "  area              0.750  (0.600 to 0.900)\n  softmin" in text and text.endswith("page   here\n")
    assert "AUROC" not in format_review(ReviewSummary("mine", "area", 0, [], [], {"page": "here"}), ROWS)


SHOWN = """
return [...document.images].map(image => [image.alt, image.complete && image.naturalWidth > 0]);
"""


@pytest.mark.proof
def test_a_browser_shows_every_picture_from_a_file(page, tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("the test of the page needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for switch in ("headless", "no-sandbox", "disable-gpu", f"user-data-dir={tmp_path}/profile"):
        options.add_argument(f"--{switch}")
    browser = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        for width in (1400, 420):
            metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.get(page.as_uri())
            names = [f"Image {row['image']}, its label and where that is doubtful" for row in ROWS]
            assert browser.execute_script(SHOWN) == [[name, True] for name in names]
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.quit()
