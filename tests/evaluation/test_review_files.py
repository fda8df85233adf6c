"""What full masks say of the labels that they replaced.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_review_files.py`.
"""

import re

import numpy as np
import pytest

from wsgcn.evaluation.metrics import confusion
from wsgcn.evaluation.review_files import MIN_FULL_MASKS, estimate_sentence
from wsgcn.files import IGNORE, write_arrays, write_skipped

CLASSES = 2


def slow_miou(pairs):
    """Over the classes that the masks show, from the pixels of all of them."""
    truth, label = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    return np.mean(
        [((truth == c) & (label == c)).sum() / ((truth == c) | (label == c)).sum() for c in np.unique(truth)]
    )


@pytest.fixture
def corrected(tmp_path, rng):
    """Files of eleven full masks, a scribble, an image skipped, one skipped before; pairs of the eleven."""
    pairs, paths = [], []
    for k in range(12):
        truth, label = rng.integers(0, CLASSES + 1, (2, 6, 8)).astype(np.uint8)
        label = np.where(rng.random(truth.shape) < 0.7, truth, label)
        if k == 11:
            truth[2:] = IGNORE
        else:
            pairs.append((truth, label))
        paths.append(str(tmp_path / f"{k}.npz"))
        write_arrays(paths[-1], counts=confusion(truth, label, CLASSES), full=np.array((truth != IGNORE).all()))
    write_skipped(tmp_path / "skipped.npz", "cam: no")
    write_arrays(tmp_path / "before.npz", counts=np.zeros((CLASSES + 1, CLASSES + 2), int), full=np.array(True))
    return [*paths, str(tmp_path / "skipped.npz"), str(tmp_path / "before.npz")], pairs


def test_the_estimate_is_the_miou_of_labels_that_full_masks_replaced(corrected):
    paths, pairs = corrected
    said = estimate_sentence(paths)
    count, miou, low, high = map(float, re.findall(r"\d+\.?\d*", said.replace("95 %", "")))
    assert count == 11 and miou == pytest.approx(100 * slow_miou(pairs), abs=0.051)
    rng = np.random.default_rng(3)
    drawn = [slow_miou([pairs[k] for k in rng.integers(11, size=11)]) for _ in range(400)]
    assert [low, high] == pytest.approx(100 * np.quantile(drawn, [0.025, 0.975]), abs=1.5)
    assert "worst first, it is too low" in said


def test_few_full_masks_estimate_nothing(corrected):
    paths, _ = corrected
    assert estimate_sentence(paths[: MIN_FULL_MASKS - 1]) == estimate_sentence([]) == ""
    assert estimate_sentence(paths[: MIN_FULL_MASKS - 1] + paths[11:]) == ""
    assert estimate_sentence(paths[:MIN_FULL_MASKS])
