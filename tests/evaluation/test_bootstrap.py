"""The bootstrap against a naive loop over images, and the coverage of its intervals.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_bootstrap.py`.
"""

import warnings

import numpy as np
import pytest

from wsgcn.evaluation import bootstrap
from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.metrics import confusion, miou


def images(rng, n, right=0.8, classes=3, truths=None):
    """Confusion matrices of n images of 40 pixels, int [n, C + 1, C + 2], and their truths.

    Each image shows the background and one class; its share of right pixels spreads around `right`.
    """
    if truths is None:
        truths = [rng.choice([0, rng.integers(1, classes + 1), 255], 40, p=[0.5, 0.4, 0.1]) for _ in range(n)]
    counts = []
    for truth in truths:
        hit = rng.random(40) < np.clip(rng.normal(right, 0.1), 0, 1)
        counts.append(confusion(truth, np.where(hit, truth, rng.choice([0, 1, classes, 255], 40)), classes))
    return np.stack(counts), truths


def naive_loop(counts, draws, seed):
    """mIoU of resamples that are added up image by image."""
    rng, values = np.random.default_rng(seed), []
    for _ in range(draws):
        total = np.zeros(counts.shape[1:], np.int64)
        for image, repeats in enumerate(rng.multinomial(len(counts), [1 / len(counts)] * len(counts))):
            for _ in range(repeats):
                total += counts[image]
        values.append(miou(total))
    return np.array(values)


@pytest.mark.parametrize("max_weights", [1, 7 * 12, 2**22], ids=["draw by draw", "uneven chunks", "one chunk"])
def test_resampled_miou_matches_naive_loop_for_any_chunk_size(rng, monkeypatch, max_weights):
    monkeypatch.setattr(bootstrap, "MAX_WEIGHTS", max_weights)
    counts, _ = images(rng, 12)
    values = resampled_miou(counts, draws=30, seed=4)
    assert values.shape == (30,) and values.dtype == np.float64
    np.testing.assert_allclose(values, naive_loop(counts, 30, 4), rtol=1e-12)


def test_missing_classes_and_unlabelled_pixels_match_metrics(rng):
    """Class 3 is in one image only, so that about a third of the resamples lack it; class 4 is in none."""
    counts, _ = images(rng, 8, classes=4)
    counts[:, 3:] = 0
    counts[0, 3] = [5, 0, 0, 10, 0, 7]
    values = resampled_miou(counts, draws=60, seed=1)
    np.testing.assert_allclose(values, naive_loop(counts, 60, 1), rtol=1e-12)
    assert np.isfinite(values).all()


def test_class_without_any_labelled_pixel_scores_zero():
    counts = np.array([[[8, 0, 0], [0, 0, 3]]])
    assert resampled_miou(counts, draws=2).tolist() == [miou(counts[0])] * 2 == [0.5, 0.5]


def test_resample_without_truth_is_nan_without_warning(rng):
    counts = np.zeros((3, 2, 3), np.int64)
    counts[0] = [[6, 2, 0], [0, 4, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = resampled_miou(counts, draws=200)
        nothing = resampled_miou(counts[:0], draws=5)
    np.testing.assert_allclose(values, naive_loop(counts, 200, 0))
    assert 0 < np.isnan(values).sum() < 200
    assert np.isnan(nothing).all() and nothing.shape == (5,)


def test_large_counts_are_exact():
    counts = np.array([[[2**45 + 1, 0, 0], [2**45, 1, 0]]])
    assert resampled_miou(counts, draws=2).tolist() == [miou(counts[0])] * 2


def test_resamples_depend_on_the_seed():
    counts, _ = images(np.random.default_rng(1), 20)
    assert (resampled_miou(counts, 50) == resampled_miou(counts, 50)).all()
    assert (resampled_miou(counts, 50) != resampled_miou(counts, 50, seed=1)).any()
    assert (resampled_miou(counts, 20) == resampled_miou(counts, 50)[:20]).all()


def test_interval_covers_its_share_and_ignores_nan():
    values = np.r_[np.nan, np.arange(101.0), np.nan]
    assert interval(values) == pytest.approx((2.5, 97.5))
    assert interval(values, level=0.5) == pytest.approx((25, 75))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(interval([np.nan, np.nan])).all()


def test_difference_of_identical_experiments_is_exactly_zero(rng):
    counts, _ = images(rng, 15)
    assert difference(counts, counts.copy(), draws=100) == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_difference_is_of_the_whole_sets_and_within_its_interval(rng):
    base, truths = images(rng, 60, right=0.6)
    better, _ = images(rng, 60, right=0.85, truths=truths)
    result = difference(better, base, draws=300)
    assert result["difference"] == miou(better.sum(0)) - miou(base.sum(0))
    assert 0 < result["low"] < result["difference"] < result["high"]
    back = difference(base, better, draws=300)
    assert [back[key] for key in ("difference", "low", "high")] == pytest.approx(
        [-result["difference"], -result["high"], -result["low"]]
    )


def test_pairing_reduces_the_variance(rng):
    """An experiment that is wrong where the base is, and in a few pixels more: the difficulty of images cancels out."""
    base, _ = images(rng, 60)
    other = base.copy()
    moved = other[:, 0, 0] // 10
    other[:, 0, 0] -= moved
    other[:, 0, 1] += moved
    paired = resampled_miou(other, 500) - resampled_miou(base, 500)
    apart = resampled_miou(other, 500, seed=1) - resampled_miou(base, 500)
    assert paired.std() < apart.std() / 3
    result = difference(other, base, draws=500)
    assert result["high"] - result["low"] < np.diff(interval(apart))[0] / 3


def test_intervals_cover_the_population_value(rng):
    """About 95 of 100 intervals, for samples of 60 images from a population of 4,000, contain the population's mIoU."""
    population, _ = images(rng, 4000)
    value, covered = miou(population.sum(0)), 0
    for trial in range(100):
        low, high = interval(resampled_miou(population[rng.choice(4000, 60)], draws=200, seed=trial))
        covered += low <= value <= high
    assert 85 <= covered <= 99


def test_different_images_cannot_be_paired(rng):
    counts, _ = images(rng, 6)
    with pytest.raises(ValueError, match="6 images.*base's 5"):
        difference(counts, counts[:5])
    with pytest.raises(ValueError, match="same order"):
        difference(counts, counts[::-1])
