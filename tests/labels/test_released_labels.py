"""Labels as WSGCN's and PSA's released codes make them: against their records and against loops."""

import math
import runpy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from configs import ROOT
from PIL import Image
from released_records import IMAGES, drawn, record
from snakemake.iocontainers import InputFiles, OutputFiles, Params

from wsgcn.data.augment import grid_image
from wsgcn.files import read_label, write_arrays
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.partial import PartialSettings, partial_label, select_confident, select_united
from wsgcn.labels.pseudo import complete_label
from wsgcn.labels.scores import softmax_of_upsampled_logs, upsample

PARTIAL_CRF = CrfSettings(
    iterations=10, gaussian_sxy=4, gaussian_compat=3, bilateral_sxy=20, bilateral_srgb=3, bilateral_compat=10
)
PSEUDO_CRF = replace(PARTIAL_CRF, gaussian_sxy=3, bilateral_sxy=50, bilateral_srgb=5, bilateral_compat=3)
RELEASED = PartialSettings(
    alpha_low=4,
    alpha_high=32,
    confident_ratio=0.3,
    cam_floor=0.1,
    background_score=0.8,
    crf_score=0.8,
    every_class=False,
    crf=PARTIAL_CRF,
    selection="union",
)


@pytest.mark.parametrize("k", IMAGES)
def test_partial_labels_are_those_of_the_released_code(k):
    one, expected = drawn(k), record("wsgcn_partial")[f"label_{k}"]
    cams = one["cam"]
    image = grid_image(one["image"], *cams.shape[1:], "lanczos_bgr")
    np.testing.assert_array_equal(partial_label(image, cams, one["keys"], RELEASED), expected)
    agreement = partial_label(image, cams, one["keys"], replace(RELEASED, selection="agreement"))
    assert 0.9 < (agreement == expected).mean() < (1 if len(one["keys"]) > 1 else 1.01)


def naive_union(cams, low, high, classes, settings):
    h, w = cams.shape[1:]
    points = [(y, x) for y in range(h) for x in range(w)]
    winners = {
        p: max([0, *range(1, len(cams) + 1)], key=lambda c, p=p: (score(cams, c, p, settings), -c)) for p in points
    }
    shown, sure = {int(np.argmax(low[:, *p])) for p in points}, set()
    for c in shown:
        own = [p for p in points if winners[p] == c]
        if c == 0:
            sure |= {p for p in own if score(cams, 0, p, settings) > settings.background_score}
        else:
            values = sorted(float(cams[c - 1, *p]) for p in own if cams[c - 1, *p] > settings.cam_floor)
            if values:
                bound = values[min(len(values) - 1, int(len(values) * (1.0 - settings.confident_ratio)))]
                sure |= {p for p in own if cams[c - 1, *p] > bound}
    label = np.full((h, w), 255, np.uint8)
    for p in sure:
        says = 0 if np.argmax(high[:, *p]) == 0 else int(np.argmax(low[:, *p])) or None
        both = [high[0, *p], *low[1:, *p]]
        if says is not None and max(both) >= settings.crf_score and both.index(max(both)) == says:
            label[p] = [0, *classes][says]
    return label


def score(cams, c, p, settings):
    return (1 - max(map(float, cams[:, *p]))) ** settings.alpha_high if c == 0 else float(cams[c - 1, *p])


def random_inputs(rng, size=(11, 12)):
    cams = rng.random((2, *size)).astype(np.float32) ** 2 * (rng.random(size) < 0.6)
    low, high = np.exp(4 * rng.standard_normal((2, 3, *size)))
    return cams, low / low.sum(0), high / high.sum(0)


CHANGES = [{}, {"confident_ratio": 1}, {"confident_ratio": 0}, {"cam_floor": 0.5}, {"crf_score": 0.99}]
CHANGES += [{"background_score": 0.0}, {"alpha_high": 2}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_union_matches_naive_loop(change, seed):
    settings = replace(RELEASED, **change)
    inputs = random_inputs(np.random.default_rng(seed))
    expected = naive_union(*inputs, (3, 7), settings)
    np.testing.assert_array_equal(select_united(*inputs, (3, 7), settings), expected)
    assert (expected != select_confident(*inputs, (3, 7), settings)).any()


def test_the_union_of_ties_and_plateaus_matches_naive_loop(rng):
    for _ in range(40):
        values = rng.integers(0, 6, (3, 3, 4, 5)) / 5
        cams, low, high = values[0, :2].astype(np.float32), values[1], values[2]
        settings = replace(RELEASED, crf_score=0.6, alpha_high=2, background_score=0.3)
        np.testing.assert_array_equal(
            select_united(cams, low, high, (1, 4), settings), naive_union(cams, low, high, (1, 4), settings)
        )


def test_every_class_has_a_node_in_the_union_too(rng):
    cams, low, high = random_inputs(rng)
    settings = replace(RELEASED, crf_score=1, every_class=True)
    label = select_united(cams, low, high, (3, 7), settings)
    assert set(np.unique(label)) == {3, 7, 255}
    nothing = select_united(0.05 * cams, low, high, (3, 7), settings)  # below the floor
    assert (nothing == 3).sum() == (nothing == 7).sum() == 1


def test_the_image_on_the_grid_is_lanczos_with_blue_first(picture):
    found = grid_image(picture, 6, 8, "lanczos_bgr")
    for channel in range(3):
        plane = Image.fromarray(np.ascontiguousarray(picture[..., 2 - channel]))
        np.testing.assert_array_equal(found[..., channel], plane.resize((8, 6), Image.Resampling.LANCZOS))
    bicubic = np.asarray(Image.fromarray(picture).resize((8, 6), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(grid_image(picture, 6, 8), bicubic)


@pytest.mark.parametrize("params", [{}, {"grid_image": "lanczos_bgr"}])
def test_the_job_of_partial_labels_reads_how_images_are_resized(params, tmp_path, monkeypatch):
    monkeypatch.setenv("WSGCN_UNLOGGED", "1")
    monkeypatch.chdir(tmp_path)
    one = drawn(1)
    Image.fromarray(one["image"]).save("a.png")
    write_arrays("cam.npz", keys=np.array(one["keys"], np.uint8), cam=one["cam"])
    section = {name: value for name, value in vars(RELEASED).items() if name != "crf"} | {"crf": vars(PARTIAL_CRF)}
    job = SimpleNamespace(
        input=InputFiles(fromdict={"images": ["a.png"], "cams": ["cam.npz"]}),
        output=OutputFiles(fromdict={"labels": ["label.png"], "seconds": "seconds.csv"}),
        params=Params(fromdict={"ids": ["a"], "settings": section} | params),
        log=["job.log"], config={"on_error": "stop"}, rule="partial", resources={},
    )  # fmt: skip
    runpy.run_path(str(ROOT / "workflow_scripts/label_partial.py"), {"snakemake": job})
    image = grid_image(one["image"], *one["cam"].shape[1:], params.get("grid_image", "bicubic"))
    np.testing.assert_array_equal(read_label("label.png"), partial_label(image, one["cam"], one["keys"], RELEASED))


# The last CRF


def log_scores(k):
    """What a GCN's scores are in its file, float16, from the released code's log p."""
    return np.exp(record("wsgcn_crf")[f"log_p_{k}"].astype(np.float32)).astype(np.float16)


@pytest.mark.parametrize("k", IMAGES)
def test_the_last_crf_is_that_of_the_released_code(k):
    one, expected = drawn(k), record("wsgcn_crf")[f"label_{k}"]
    label, _ = complete_label(one["image"], log_scores(k), one["keys"], PSEUDO_CRF, crf_input="double_softmax")
    assert (label == expected).mean() > 0.999
    plain, _ = complete_label(one["image"], log_scores(k), one["keys"], PSEUDO_CRF)
    assert (plain == expected).mean() < (label == expected).mean()


def test_the_double_softmax_matches_naive_loop(rng):
    scores = rng.random((3, 4, 5)) ** 3
    scores[:, 1, 2] = 0, 1e-9, 1  # which float16 holds as 0, 0, 1
    found = softmax_of_upsampled_logs(scores.astype(np.float16), 9, 11)
    logs = np.log(np.maximum(scores.astype(np.float16).astype(float), 2**-24))
    enlarged = upsample(logs, 9, 11)
    for y, x in np.ndindex(9, 11):
        p = [math.exp(value) for value in enlarged[:, y, x]]
        twice = [math.exp(value) / sum(map(math.exp, p)) for value in p]
        np.testing.assert_allclose(found[:, y, x], twice, rtol=1e-4)
    assert found.dtype == np.float32 and found.max() < math.e * found.min() + 1e-6


def test_the_label_is_that_of_the_crf_on_the_double_softmax(picture, rng, crf_settings):
    scores = rng.dirichlet([1, 1, 1], (6, 8)).transpose(2, 0, 1)
    label, _ = complete_label(picture, scores, [2, 9], crf_settings, crf_input="double_softmax")
    found = dense_crf(picture, softmax_of_upsampled_logs(scores, 24, 30), crf_settings)
    np.testing.assert_array_equal(label, np.array([0, 2, 9])[found.argmax(0)])


@pytest.mark.parametrize("params", [{}, {"crf_input": "double_softmax"}])
def test_the_job_of_pseudo_labels_reads_what_the_crf_starts_from(params, tmp_path, monkeypatch):
    monkeypatch.setenv("WSGCN_UNLOGGED", "1")
    monkeypatch.chdir(tmp_path)
    one, scores = drawn(2), log_scores(2)
    Image.fromarray(one["image"]).save("a.png")
    write_arrays("refined.npz", keys=np.array(one["keys"], np.uint8), scores=scores)
    job = SimpleNamespace(
        input=InputFiles(fromdict={"images": ["a.png"], "refined": ["refined.npz"]}),
        output=OutputFiles(fromdict={"labels": ["a.png.png"], "confidences": ["c.png"], "seconds": "seconds.csv"}),
        params=Params(fromdict={"ids": ["a.png"], "settings": vars(PSEUDO_CRF)} | params),
        log=["job.log"], config={"on_error": "stop"}, rule="pseudo", resources={},
    )  # fmt: skip
    runpy.run_path(str(ROOT / "workflow_scripts/label_pseudo.py"), {"snakemake": job})
    expected, _ = complete_label(one["image"], scores, one["keys"], PSEUDO_CRF, **params)
    np.testing.assert_array_equal(read_label("a.png.png"), expected)
