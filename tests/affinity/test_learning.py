"""Whether an affinity network has learnt anything: its loss against that of one affinity for all pairs.

Run alone: `.venv/bin/python -m pytest tests/affinity/test_learning.py`.
"""

import numpy as np
import pytest
import torch
from pair_losses import naive_losses

from wsgcn.affinity.irnet import affinity_loss
from wsgcn.affinity.learning import (
    MAX_IMAGES,
    MIN_GAIN,
    describe_gain,
    gain_over_constant,
    measured_images,
    why_flat,
)
from wsgcn.affinity.pair_loss import measure_gain, pair_costs
from wsgcn.files import write_label
from wsgcn.graph.grid import path_maximum

LABELS = pytest.mark.parametrize("labels", [(0, 1, 2, 255), (0, 1, 1, 255), (1, 2)], ids=str)


def costs_of(boundary: np.ndarray, label: np.ndarray, radius: int):
    values = torch.tensor(boundary)
    return pair_costs(lambda dy, dx: 1 - path_maximum(values, dy, dx), torch.tensor(label), radius)


@LABELS
def test_gain_is_against_the_best_of_many_constants(labels, rng, pairs, points_between):
    """The best constant by trying: 999 of them through the naive loss."""
    boundary, label = rng.random((2, 5, 6)), rng.choice(labels, (2, 5, 6)).astype(np.uint8)
    near = list(pairs(5, 6, 4))
    own = naive_losses(lambda b, p, q: 1 - max(boundary[b][point] for point in points_between(p, q)), label, near)[0]
    kinds = [naive_losses(lambda *_, a=a: a, label, near)[0] for a in np.linspace(0.001, 0.999, 999)]
    found = measure_gain([costs_of(boundary[k : k + 1], label[k : k + 1], 4) for k in range(2)])
    assert found == pytest.approx(1 - own / min(kinds), abs=1e-4)


@pytest.mark.parametrize("value", [0.1, 0.4, 0.5, 0.9])
def test_flat_boundaries_gain_nothing(value, rng):
    label = rng.choice((0, 1, 2), (1, 8, 9)).astype(np.uint8)
    gain = measure_gain([costs_of(np.full((1, 8, 9), value), label, 5)])
    assert gain < 1e-4 and why_flat({"section": "irnet.training", "gain": gain})


def test_perfect_boundaries_gain_everything():
    boundary, label = np.zeros((1, 6, 7)), np.zeros((1, 6, 7), np.uint8)
    boundary[..., 3], label[..., 3], label[..., 4:] = 1, 255, 2
    gain = measure_gain([costs_of(boundary, label, 5)])
    assert gain > 0.99 and why_flat({"section": "irnet.training", "gain": gain}) is None


@pytest.mark.parametrize("counts", [(5, 0, 0), (5, 3, 0), (0, 0, 4), (0, 0, 0)])
def test_of_pairs_of_one_kind_nothing_is_measured(counts):
    gain = gain_over_constant([0.01] * 3, counts)
    assert gain is None and why_flat({"section": "irnet.training", "gain": gain}) is None
    assert "cannot be measured" in describe_gain({"section": "irnet.training", "gain": gain})


def test_the_costs_make_the_loss(rng):
    boundary, label = rng.random((2, 5, 6)), rng.choice((0, 1, 255), (2, 5, 6)).astype(np.uint8)
    sums, counts = costs_of(boundary, label, 3)
    background, foreground, differing = (float(s) / int(c) for s, c in zip(sums, counts, strict=True))
    expected = affinity_loss(torch.tensor(boundary), torch.tensor(label), 3)["loss"].item()
    assert (background / 2 + foreground / 2 + differing) / 2 == pytest.approx(expected)


@pytest.fixture(scope="module")
def labels_of(tmp_path_factory):
    """Paths of so many labels, of which every `period`-th shows a class, from the second on."""
    folder = tmp_path_factory.mktemp("labels")
    write_label(folder / "none.png", np.array([[0, 255]], np.uint8))
    write_label(folder / "some.png", np.array([[0, 3]], np.uint8))
    return lambda count, period: [str(folder / ("some.png" if k % period == 1 else "none.png")) for k in range(count)]


@pytest.mark.parametrize("count", [2, 3, 2 * MAX_IMAGES, 2 * MAX_IMAGES + 2, 300])
def test_some_images_that_show_a_class_are_measured(count, labels_of):
    found = measured_images(labels_of(count, 2))
    assert 0 < len(found) <= MAX_IMAGES and all(k % 2 == 1 for k in found) and found[-1] < count
    assert len(found) == count // 2 or len(found) > MAX_IMAGES / 2
    assert measured_images(labels_of(count, count + 2)[:1] * count)[0] == 0  # none shows a class


def test_the_sentence_names_the_keys():
    assert why_flat(None) is None and why_flat({"section": "psa.training", "gain": MIN_GAIN}) is None
    why = why_flat({"section": "psa.training", "gain": 0.012})
    assert why.startswith("psa.training: ") and "1.2%" in why
    assert "psa.training.min_steps" in why and "psa.labels" in why
