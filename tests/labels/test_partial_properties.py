"""Properties of partial labels, for any CAMs, probabilities and thresholds."""

from dataclasses import replace

import numpy as np
import strategies  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsgcn.files import IGNORE
from wsgcn.labels.partial import PartialSettings, select_confident


@st.composite
def maps(draw):
    """CAMs of up to three classes, and two CRFs' probabilities, on a grid of up to 6 x 6."""
    count, (h, w) = draw(st.integers(1, 3)), draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    values = st.sampled_from(np.linspace(0, 1, 11).astype(np.float32).tolist())  # with many ties
    cams = draw(arrays.arrays(np.float32, (count, h, w), elements=values))
    crfs = [draw(arrays.arrays(np.float32, (count + 1, h, w), elements=values)) for _ in range(2)]
    return cams, *crfs


RULES = st.builds(
    PartialSettings,
    alpha_low=st.just(4),
    alpha_high=st.sampled_from([1, 2, 8]),
    confident_ratio=st.sampled_from([0.1, 0.3, 1]),
    cam_floor=st.sampled_from([0, 0.1, 0.5]),
    background_score=st.sampled_from([0.3, 0.8]),
    crf_score=st.sampled_from([0.3, 0.8]),
    every_class=st.booleans(),
    crf=st.none(),  # the CRFs' probabilities are drawn
)


@settings(max_examples=300)
@given(maps(), RULES)
def test_partial_labels_match_naive_loop(drawn, rules):
    cams, low, high = drawn
    classes = [3, 7, 9][: len(cams)]
    label = select_confident(cams, low, high, classes, replace(rules, every_class=False))
    for y, x in np.ndindex(label.shape):
        cam, probabilities = cams[:, y, x], high[:, y, x]
        k = cam.argmax()
        own = [cams[k][index] for index in np.ndindex(label.shape) if cams[(slice(None), *index)].argmax() == k]
        above = [value for value in own if value > rules.cam_floor]
        among_top = sum(value > cam[k] for value in above) < max(1, round(rules.confident_ratio * len(above)))
        expected = IGNORE
        if probabilities.argmax() == 0 and probabilities[0] >= rules.crf_score:
            if (1 - cam.max()) ** rules.alpha_high > rules.background_score:
                expected = 0
        if cam[k] > rules.cam_floor and among_top:
            if low[:, y, x].argmax() == k + 1 and low[k + 1, y, x] >= rules.crf_score:
                expected = classes[k]
        assert label[y, x] == expected


@given(maps(), RULES)
def test_every_class_only_adds_classes_that_have_no_node(drawn, rules):
    cams, low, high = drawn
    classes = [3, 7, 9][: len(cams)]
    strict = select_confident(cams, low, high, classes, replace(rules, every_class=False))
    label = select_confident(cams, low, high, classes, replace(rules, every_class=True))
    changed = set(label[label != strict].tolist())
    assert changed <= set(classes) - set(strict.ravel().tolist())
    assert all((strict == c).sum() <= (label == c).sum() for c in classes)


@given(maps(), RULES)
def test_partial_labels_do_not_depend_on_class_numbers(drawn, rules):
    cams, low, high = drawn
    label = select_confident(cams, low, high, [1, 2, 3][: len(cams)], rules)
    renamed = select_confident(cams, low, high, [4, 5, 6][: len(cams)], rules)
    assert np.array_equal(np.where((label > 0) & (label < IGNORE), label + 3, label), renamed)
