"""Scores of labels without truth, each against a slow version of itself.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_review.py`.
"""

import math
import statistics

import numpy as np
import pytest
import yaml
from configs import ROOT

from wsgcn.evaluation.agreement import label_agreement
from wsgcn.evaluation.review import (
    MIN_AREA_SHARE,
    MIN_OTHERS,
    MIN_SPREAD,
    RANKED_SCORES,
    SCORES,
    MeasuredLabels,
    ReviewSettings,
    area_deviations,
    differing_share,
    mean_confidence,
    measure_label,
    review_scores,
    soft_minimum,
    tag_coverage,
    tag_deviations,
)

SETTINGS = ReviewSettings("mean_rank", 0.1, 0.01)


def histogram(confidence):
    return np.bincount(confidence.ravel(), minlength=256)


def slow_soft_minimum(confidence, temperature):
    """The inner product of the confidences with softmax((1 - s) / T), pixel by pixel."""
    scores = [value / 255 for value in confidence.ravel().tolist()]
    powers = [math.exp((1 - s) / temperature) for s in scores]
    return sum(s * power / math.fsum(powers) for s, power in zip(scores, powers, strict=True))


@pytest.mark.parametrize("temperature", [0.02, 0.1, 1, 50])
def test_soft_minimum_weighs_every_pixel(temperature, rng):
    confidence = rng.integers(0, 256, (9, 7)).astype(np.uint8)
    found = soft_minimum(histogram(confidence), temperature)
    assert found == pytest.approx(slow_soft_minimum(confidence, temperature))


def test_soft_minimum_lies_between_minimum_and_mean(rng):
    confidence = rng.integers(90, 250, (20, 20)).astype(np.uint8)
    low, middle, high = (soft_minimum(histogram(confidence), t) for t in (1e-4, 0.1, 1e4))
    assert low == pytest.approx(confidence.min() / 255) and high == pytest.approx(confidence.mean() / 255, abs=1e-4)
    assert low < middle < high
    assert soft_minimum(histogram(np.full((3, 3), 255, np.uint8)), 0.001) == 1


def test_mean_confidence_is_the_mean_over_pixels(rng):
    confidence = rng.integers(0, 256, (9, 7)).astype(np.uint8)
    assert mean_confidence(histogram(confidence)) == pytest.approx(confidence.mean() / 255)


def test_differing_share_counts_pixels(rng):
    first, second = (rng.integers(0, 3, (6, 5)).astype(np.uint8) for _ in range(2))
    count = sum(a != b for a, b in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    assert differing_share(first, second) == pytest.approx(count / 30) and differing_share(first, first) == 0


def test_an_image_is_measured_by_itself(rng):
    label, refined, walked = (rng.choice([0, 2, 5], (8, 6)).astype(np.uint8) for _ in range(3))
    label[label == 5] = 0
    confidence = rng.integers(0, 256, (8, 6)).astype(np.uint8)
    found = measure_label(label, confidence, refined, walked, (2, 5))
    assert found["histogram"].sum() == 48 and found["histogram"][confidence[0, 0]] >= 1
    assert found["areas"].tolist() == [(label == 2).mean(), 0]
    within = [[c / 255 for c, v in zip(confidence.ravel(), label.ravel(), strict=True) if v == k] for k in (0, 2)]
    assert found["class_confidences"].tolist() == pytest.approx([*map(statistics.fmean, within), 0])
    pairs = {"crf": (refined, label), "walk": (walked, label), "refined_walk": (refined, walked)}
    for name, (first, second) in pairs.items():
        assert found[f"{name}_agreement"] == label_agreement(first, second, (2, 5))
        assert found[f"{name}_difference"] == differing_share(first, second)
    assert measure_label(label, confidence, refined, None, (2, 5)).keys() == {
        name for name in found if "walk" not in name
    }


def test_tag_coverage_counts_tags_that_cover_enough():
    assert tag_coverage(np.array([0, 0.0009, 0.001, 0.5]), 0.001) == 0.5
    assert tag_coverage(np.array([0.0]), 0.001) == 0 and tag_coverage(np.array([0.0]), 0) == 1


def slow_deviation(areas, image):
    others = [math.log(max(area, MIN_AREA_SHARE)) for k, area in enumerate(areas) if k != image]
    median = statistics.median(others)
    spread = 1.4826 * statistics.median([abs(value - median) for value in others])
    return abs(math.log(max(areas[image], MIN_AREA_SHARE)) - median) / max(spread, MIN_SPREAD)


@pytest.mark.parametrize("count", [MIN_OTHERS + 1, 12, 13])
def test_area_deviations_leave_the_image_itself_out(count, rng):
    areas = rng.uniform(0.1, 0.3, count)
    areas[0] = 0
    found = area_deviations(areas)
    assert found.tolist() == pytest.approx([slow_deviation(areas.tolist(), k) for k in range(count)])
    assert found.argmax() == 0


def test_areas_are_not_compared_with_few_others():
    assert area_deviations(np.array([0, 0.1, 0.2, 0.3, 0.4])).tolist() == [0] * 5
    assert area_deviations(np.empty(0)).tolist() == []
    same = area_deviations(np.array([0.2] * 7 + [0.4]))
    assert same.tolist() == pytest.approx([0] * 7 + [math.log(2) / MIN_SPREAD])


def measured(rng, count=9, walks=True):
    tags = [(1,) if k % 3 else (2, 1) for k in range(count)]
    measures = []
    for own in tags:
        label, refined, walked = (rng.choice([0, *own], (10, 10)).astype(np.uint8) for _ in range(3))
        confidence = rng.integers(100, 256, (10, 10)).astype(np.uint8)
        measures.append(measure_label(label, confidence, refined, walked if walks else None, own))
    return MeasuredLabels([f"i{k}" for k in range(count)], tags, measures)


def test_each_tag_deviates_within_its_own_class(rng):
    labels = measured(rng, 18)
    found = tag_deviations(labels)
    for index in (1, 2):
        holders = [k for k, tags in enumerate(labels.tags) if index in tags]
        areas = [float(labels.measures[k]["areas"][labels.tags[k].index(index)]) for k in holders]
        own = [found[k][labels.tags[k].index(index)] for k in holders]
        assert own == pytest.approx([slow_deviation(areas, position) for position in range(len(areas))])


def slow_mean_rank(columns, image):
    shares = []
    for values in columns:
        others = [value for k, value in enumerate(values) if k != image]
        beaten = sum(value < values[image] for value in others) + sum(value == values[image] for value in others) / 2
        shares.append(beaten / len(others))
    return statistics.fmean(shares)


def test_scores_of_all_images(rng):
    labels = measured(rng)
    scores = review_scores(labels, SETTINGS)
    assert list(scores) == list(SCORES)
    assert all(own.shape == (9,) and ((own >= 0) & (own <= 1)).all() for own in scores.values())
    for k, own in enumerate(labels.measures):
        assert scores["softmin"][k] == soft_minimum(own["histogram"], 0.1)
        assert scores["confidence"][k] == mean_confidence(own["histogram"])
        assert scores["class_confidence"][k] == pytest.approx(statistics.fmean(own["class_confidences"]))
        assert scores["crf_agreement"][k] == own["crf_agreement"]
        assert scores["walk_agreement"][k] == own["walk_agreement"]
        pairs = [float(own[f"{pair}_agreement"]) for pair in ("crf", "walk", "refined_walk")]
        assert scores["agreement"][k] == pytest.approx(statistics.fmean(pairs))
        assert scores["tag_coverage"][k] == tag_coverage(own["areas"], 0.01)
        assert scores["area"][k] == pytest.approx(1 / (1 + max(tag_deviations(labels)[k])))
        ranked = [scores[name].tolist() for name in RANKED_SCORES]
        assert scores["mean_rank"][k] == pytest.approx(slow_mean_rank(ranked, k))


def test_without_a_walk_the_crf_alone_agrees(rng):
    labels = measured(rng, walks=False)
    scores = review_scores(labels, SETTINGS)
    assert list(scores) == [name for name in SCORES if name != "walk_agreement"]
    assert scores["agreement"].tolist() == scores["crf_agreement"].tolist()


def test_settings_are_read(rng):
    labels = measured(rng)
    base = review_scores(labels, SETTINGS)
    assert (review_scores(labels, ReviewSettings("area", 0.3, 0.01))["softmin"] > base["softmin"]).all()
    assert (review_scores(labels, ReviewSettings("area", 0.1, 0.6))["tag_coverage"] < base["tag_coverage"]).any()


def test_no_images_have_no_scores():
    assert {own.size for own in review_scores(MeasuredLabels([], [], []), SETTINGS).values()} == {0}


def test_the_schema_lists_the_scores():
    schema = yaml.safe_load((ROOT / "rules/schemas/config.yaml").read_text())
    assert schema["properties"]["review"]["properties"]["score"]["enum"] == list(SCORES)
