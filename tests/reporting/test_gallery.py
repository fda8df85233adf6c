"""The gallery of the report and the sheets of overlays: which panels they have, and which images they leave out.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_gallery.py`.
"""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsgcn.evaluation.label_files import label_reader, refined_label
from wsgcn.evaluation.truth import GroundTruth
from wsgcn.files import voc_palette, write_arrays, write_label, write_skipped
from wsgcn.reporting import gallery, overlays
from wsgcn.reporting.gallery import StageFiles, make_gallery
from wsgcn.reporting.overlays import overlay_sheet
from wsgcn.reporting.pictures import overlay, panel_strip

IDS = ("a", "b", "c")
SIZE = (24, 32)


@pytest.fixture
def files(tmp_path, rng):
    """The files of three images of 24×32 pixels on a grid of 6×8."""
    paths = {}
    for kind in ("images", "cams", "boundaries", "partials", "refined", "pseudo"):
        ending = "npz" if kind in ("cams", "boundaries", "refined") else "png"
        paths[kind] = [str(tmp_path / f"{kind}-{image}.{ending}") for image in IDS]
    for k in range(len(IDS)):
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)).save(paths["images"][k])
        keys, maps = np.array([1, 2], np.uint8), rng.random((2, *SIZE)).astype(np.float16)
        write_arrays(paths["cams"][k], high_res=maps, keys=keys)
        write_arrays(paths["boundaries"][k], boundary=rng.random((6, 8)).astype(np.float16))
        write_arrays(paths["refined"][k], scores=rng.random((3, 6, 8)).astype(np.float16), keys=keys)
        write_label(paths["partials"][k], rng.choice([0, 1, 255], (6, 8)).astype(np.uint8))
        write_label(paths["pseudo"][k], rng.choice([0, 1, 2], SIZE).astype(np.uint8))
    return StageFiles(**paths)


@pytest.fixture
def truth(tmp_path, rng):
    masks = [str(tmp_path / f"mask-{image}.png") for image in IDS]
    for mask in masks:
        write_label(mask, rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8))
    return GroundTruth(IDS, [masks[0], None, masks[2]], [0, 1, 2, *[-1] * 252, 255], ["cat", "dog"])


@pytest.fixture
def captions(monkeypatch):
    """The captions of each strip that is drawn."""
    seen = []

    def spy(panels, *arguments):
        seen.append([caption for caption, _ in panels])
        return panel_strip(panels, *arguments)

    for module in (gallery, overlays):
        monkeypatch.setattr(module, "panel_strip", spy)
    return seen


# The gallery

EVALUATIONS = [
    {"stage": "cam", "by_image": [{"image": "a", "miou": 0.1}]},
    {"stage": "refined_crf", "by_image": [{"image": "c", "miou": 0.25}, {"image": "a", "miou": 0.5}]},
]
CLASSES = [[1], [1, 2], [2]]


def test_gallery_has_a_panel_per_stage(files, truth, captions):
    items = make_gallery(files, truth, CLASSES, EVALUATIONS, "GCN")
    assert [(item.image, item.classes, item.miou) for item in items] == [
        ("a", ["cat"], 0.5),
        ("b", ["cat", "dog"], None),
        ("c", ["dog"], 0.25),
    ]
    stages = ["image", "CAM", "boundary", "partial", "GCN", "GCN + CRF"]
    assert captions == [[*stages, "truth"], stages, [*stages, "truth"]]
    assert all(item.strip.mode == "RGB" and item.strip.height > 160 for item in items)


def test_gallery_leaves_out_stages_that_an_experiment_does_not_have(files, truth, captions):
    make_gallery(replace(files, boundaries=[], partials=[]), truth, CLASSES, [], "walk")
    assert captions[1] == ["image", "CAM", "walk", "walk + CRF"]


def test_gallery_leaves_out_skipped_images(files, truth):
    for path in (files.cams[0], files.pseudo[0]):
        write_skipped(path, "cam: no")
    assert [item.image for item in make_gallery(files, truth, CLASSES, EVALUATIONS, "GCN")] == ["b", "c"]


def test_gallery_labels_match_the_files(files, truth, monkeypatch):
    """The last panel but one is the pseudo label over its image."""
    drawn = []
    monkeypatch.setattr(gallery, "panel_strip", lambda panels: drawn.append(panels) or Image.new("RGB", (1, 1)))
    make_gallery(files, truth, CLASSES, [], "GCN")
    pixels = np.asarray(Image.open(files.images[0]))
    expected = {
        "GCN": refined_label(files.refined[0], SIZE),
        "GCN + CRF": np.asarray(Image.open(files.pseudo[0])),
        "truth": np.asarray(Image.open(truth.masks[0])),
    }
    for caption, label in expected.items():
        np.testing.assert_array_equal(dict(drawn[0])[caption], overlay(pixels, label, voc_palette()), caption)


# Sheets of overlays


def test_sheet_has_the_truth_beside_each_label(files, truth, captions, monkeypatch):
    monkeypatch.setattr(overlays, "NUM_PANELS_PER_ROW", 3)
    sheet = overlay_sheet(["c", "a", "b"], files.images, files.pseudo, truth, label_reader("refined_crf"))
    assert captions == [["c", "truth", "a"], ["truth", "b"]]
    rows = [
        overlay_sheet(shown, files.images, files.pseudo, truth, label_reader("refined_crf")) for shown in ("c", "b")
    ]
    assert sheet.height == rows[0].height + rows[1].height and sheet.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(sheet)[: rows[0].height, : rows[0].width], np.asarray(rows[0]))


def test_sheet_reads_labels_as_the_evaluation_does(files, truth):
    """The label on the grid, at the size of the image."""
    label = np.zeros((6, 8), np.uint8)
    label[:3] = 1
    for path, values in ((files.partials[1], label), (files.pseudo[1], label.repeat(4, 0).repeat(4, 1))):
        write_label(path, values)
    grid, full = (
        overlay_sheet("b", files.images, paths, truth, label_reader(stage))
        for paths, stage in ((files.partials, "partial"), (files.pseudo, "refined_crf"))
    )
    np.testing.assert_array_equal(np.asarray(grid), np.asarray(full))


def test_sheet_of_skipped_images_only_is_one_white_pixel(files, truth, captions):
    write_skipped(files.pseudo[0], "cam: no")
    sheet = overlay_sheet(["a"], files.images, files.pseudo, truth, label_reader("refined_crf"))
    assert np.asarray(sheet).tolist() == [[[255] * 3]] and captions == []
    overlay_sheet(["a", "b"], files.images, files.pseudo, truth, label_reader("refined_crf"))
    assert captions == [["b"]]


def test_an_image_without_a_class_has_an_empty_map_and_no_boundary(files, truth, captions):
    nothing = np.array([], np.uint8)
    write_arrays(files.cams[1], high_res=np.zeros((0, *SIZE), np.float16), keys=nothing)
    write_arrays(files.boundaries[1], grid=np.array([6, 8]))
    write_arrays(files.refined[1], scores=np.ones((1, 6, 8), np.float16), keys=nothing)
    found = make_gallery(files, truth, [[1], [], [2]], [], "GCN")
    assert captions[1] == ["image", "CAM", "partial", "GCN", "GCN + CRF"] and found[1].classes == []
