"""numba's dense CRF against pydensecrf, bit by bit; skipped where pydensecrf cannot be installed.

Run alone: `.venv/bin/python -m pytest tests/labels/test_crf_backends.py`. Counts over real photographs:
`.venv/bin/python tests/labels/compare_crf.py`.
"""

import os
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgcn.labels import crf as crf_module
from wsgcn.labels import crf_numba
from wsgcn.labels.crf import BACKENDS, CrfSettings, dense_crf, dense_crf_labels, use_backend

if find_spec("pydensecrf"):
    from wsgcn.labels import crf_pydensecrf

SETTINGS = {
    "WSGCN": CrfSettings(10, 1, 3, 67, 3, 4),
    "IRNet": CrfSettings(10, 3, 3, 50, 5, 10),
    "AffinityNet": CrfSettings(10, 3, 3, 80, 13, 10),
    "narrow": CrfSettings(3, 0.1, 2, 0.1, 0.1, 1),  # coordinates beyond 16 bits
    "strong": CrfSettings(5, 2, 300, 20, 10, 900),  # probabilities too small for float32
    "no message": CrfSettings(2, 3, 0, 50, 5, 0),
}
REQUIRED = os.environ.get("WSGCN_REQUIRE_PYDENSECRF") and sys.version_info < (3, 13)
"""Set where comparisons must not be skipped in silence, as in continuous integration."""

needs_pydensecrf = pytest.mark.skipif(
    not REQUIRED and not find_spec("pydensecrf"), reason="pydensecrf is not installed"
)


def image_of(rng, h, w):
    """uint8 [h, w, 3]: smooth colours, an edge, some noise."""
    y, x = np.mgrid[:h, :w]
    image = np.stack([5 * y, 3 * x, 2 * (x + y)], -1) + 80 * (x > w / 2)[..., None] + rng.integers(0, 20, (h, w, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def assert_equal_bits(image, log_scores, section):
    ours = crf_numba.infer(image, log_scores, section)
    theirs = crf_pydensecrf.infer(image, log_scores, section)
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


def log_scores_of(rng, labels, points):
    return np.log(rng.random((labels, points)).clip(1e-5)).astype(np.float32)


@needs_pydensecrf
@pytest.mark.parametrize("section", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("labels", range(1, 22))
def test_bits_are_equal_for_any_number_of_labels(labels, section, rng):
    image = image_of(rng, 22, 31)  # 682 points: two more than a multiple of four
    assert_equal_bits(image, log_scores_of(rng, labels, 682), section)


SIZES = [(1, 1), (1, 2), (1, 3), (1, 7), (7, 1), (1, 640), (2, 2), (3, 5), (13, 17), (20, 20), (129, 1), (40, 65)]


@needs_pydensecrf
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("labels", [1, 2, 3, 4, 5, 13])
def test_bits_are_equal_for_any_size(size, labels, rng):
    for section in SETTINGS.values():
        assert_equal_bits(image_of(rng, *size), log_scores_of(rng, labels, size[0] * size[1]), section)


@needs_pydensecrf
@pytest.mark.parametrize("colour", [0, 255])
def test_bits_are_equal_on_an_image_of_one_colour(colour, rng):
    image = np.full((30, 41, 3), colour, np.uint8)
    assert_equal_bits(image, log_scores_of(rng, 3, 30 * 41), SETTINGS["IRNet"])


@needs_pydensecrf
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(1, 40),
    st.integers(1, 40),
    st.builds(
        CrfSettings,
        st.integers(0, 6),
        st.floats(0.1, 40),
        st.floats(0, 20),
        st.floats(0.1, 200),
        st.floats(0.1, 90),
        st.floats(0, 20),
    ),
    st.integers(0, 2**32 - 1),
)
def test_bits_are_equal_whatever_the_settings(labels, h, w, section, seed):
    rng = np.random.default_rng(seed)
    assert_equal_bits(rng.integers(0, 256, (h, w, 3), np.uint8), log_scores_of(rng, labels, h * w), section)


@needs_pydensecrf
def test_log_scores_are_pydensecrf_s_unaries(picture, rng, monkeypatch, crf_settings):
    from pydensecrf.utils import unary_from_labels, unary_from_softmax

    monkeypatch.setattr(crf_module, "_infer", lambda image, log_scores, section: log_scores)
    for dtype in (np.float16, np.float32, np.float64):
        scores = rng.random((3, *picture.shape[:2])).astype(dtype)
        scores[0, :3] = 0
        expected = -unary_from_softmax(scores / scores.sum(0).clip(1e-5))
        np.testing.assert_array_equal(dense_crf(picture, scores, crf_settings).reshape(3, -1), expected)
    label = rng.integers(0, 4, picture.shape[:2]).astype(np.uint8)
    expected = -unary_from_labels(label.astype(int), 4, 0.7, zero_unsure=False)
    found = dense_crf_labels(picture, label, 4, 0.7, crf_settings).reshape(4, -1)
    np.testing.assert_array_equal(found, expected)


def test_one_image_shares_its_lattices(picture, rng, crf_settings, monkeypatch):
    built = []
    monkeypatch.setattr(
        crf_numba, "build_lattice", lambda features, build=crf_numba.build_lattice: built.append(1) or build(features)
    )
    crf_numba.forget_kernels()
    scores = rng.random((3, *picture.shape[:2]))
    first = dense_crf(picture, scores, crf_settings)
    assert len(built) == 2
    dense_crf(picture.copy(), scores[:2], replace(crf_settings, iterations=2, gaussian_compat=1, bilateral_compat=0))
    assert len(built) == 2
    other = picture.copy()
    other[3, 4, 2] ^= 1
    dense_crf(other, scores, crf_settings)
    assert len(built) == 3  # the grid is the same
    for change in ({"gaussian_sxy": 2}, {"bilateral_sxy": 7}, {"bilateral_srgb": 4}):
        before = len(built)
        dense_crf(other, scores, replace(crf_settings, **change))
        assert len(built) > before, change
    np.testing.assert_array_equal(dense_crf(picture, scores, crf_settings), first)
    crf_numba.forget_kernels()
    before = len(built)
    dense_crf(picture, scores, crf_settings)
    assert len(built) == before + 2


@needs_pydensecrf
def test_the_backend_that_a_process_chose_computes(picture, rng, crf_settings, monkeypatch):
    called = []
    for name, module in (("numba", crf_numba), ("pydensecrf", crf_pydensecrf)):
        monkeypatch.setattr(module, "infer", lambda image, log, section, name=name: called.append(name) or log)
    scores = rng.random((2, *picture.shape[:2]))
    try:
        for name in ("pydensecrf", "numba"):
            use_backend(name)
            dense_crf(picture, scores, crf_settings)
            assert called.pop() == name
    finally:
        use_backend("numba")


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="unknown backend of CRFs cython; choose numba or pydensecrf"):
        use_backend("cython")
    assert list(BACKENDS) == ["numba", "pydensecrf"]


def test_a_backend_that_cannot_be_imported_is_refused_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.delitem(sys.modules, "wsgcn.labels.crf_pydensecrf", raising=False)
    with pytest.raises(ImportError, match="the CRF's backend pydensecrf cannot be imported"):
        use_backend("pydensecrf")


def test_weights_too_large_for_float32_are_reported(picture, rng, crf_settings):
    scores = rng.random((2, *picture.shape[:2]))
    with pytest.raises(FloatingPointError, match="not finite; one of its weights is too large"):
        dense_crf(picture, scores, replace(crf_settings, bilateral_compat=1e300))
