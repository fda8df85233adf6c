"""Rules, decisions and regrets against slow versions of themselves.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_choice.py`.
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsgcn.evaluation.choice import (
    AUTO,
    DEFAULT_RULE,
    RULES,
    Candidate,
    Decision,
    best,
    mean_rank,
    read_decisions,
    regret_of_few,
    rule_scores,
    summarise,
    why_chosen,
)
from wsgcn.evaluation.metrics import confusion, miou
from wsgcn.evaluation.names import MIN_MASKS
from wsgcn.files import write_arrays, write_json

ROOT = Path(__file__).parents[2]
EMPTY = np.zeros((0, 3, 4), np.int64)


def counts(rng, right, n=12):
    """Confusions of n images of 60 pixels, of which a share `right` has its true class, int [n, 3, 4]; one truth."""
    found = []
    for _ in range(n):
        truth = np.arange(60) % 3
        found.append(confusion(truth, np.where(rng.random(60) < right, truth, (truth + 1) % 3), 2))
    return np.stack(found)


def candidate(value, own=EMPTY, **scores):
    """Of an experiment of the value's name; scores: those of the images a, b, … by rule."""
    return Candidate(value, f"x-{value}", {rule: dict(zip("abc", s, strict=False)) for rule, s in scores.items()}, own)


def decide(candidates, choose_by=AUTO, images=12):
    return Decision("section.x", candidates, choose_by, images)


# Ranks


def slow_rank(scores):
    """How many of the others each candidate beats, one by one; an equal one counts half."""
    found = []
    for k in range(len(scores[0])):
        shares = []
        for own in scores:
            wins = [1 if own[k] > other else 0.5 if own[k] == other else 0 for j, other in enumerate(own) if j != k]
            shares.append(sum(wins) / len(wins))
        found.append(sum(shares) / len(shares))
    return found


@pytest.mark.parametrize(
    "scores", list(itertools.product([(1.0, 2.0, 3.0), (2.0, 2.0, 1.0), (5.0, 5.0, 5.0)], repeat=2))
)
def test_ranks_are_shares_of_the_others_that_are_beaten(scores):
    np.testing.assert_allclose(mean_rank(scores), slow_rank(scores))


def test_a_candidate_alone_has_the_highest_rank_and_rounding_decides_nothing():
    assert mean_rank([[0.3], [0.1]]) == [1]
    assert mean_rank([[0.1 + 0.2, 0.3]]) == [0.5, 0.5] and best([0.3, 0.1 + 0.2]) == 0
    assert best([float("nan"), -3, float("nan"), -1]) == 3


# Scores


def test_scores_are_means_over_the_images_that_all_values_have_a_label_of():
    found = rule_scores([candidate(1, crf_agreement=[0.2, 0.4, 0.9]), candidate(2, crf_agreement=[0.6, 0.8])])
    np.testing.assert_allclose(found["crf_agreement"], [0.3, 0.7])
    assert found["mean_rank"] == [0, 1] and found.keys() == {"crf_agreement", "mean_rank"}


def test_a_rule_that_is_not_defined_for_some_value_judges_none():
    known, unknown = candidate(1, walk_agreement=[0.2]), candidate(2, consistency=[1.0])
    assert rule_scores([known, unknown]) == {}
    assert decide([known, unknown]).rule is None and decide([known, unknown]).chosen is known


def test_truth_needs_enough_masks_and_is_the_miou_of_the_whole_set(rng):
    few, enough = (counts(rng, 0.8, n) for n in (MIN_MASKS - 1, MIN_MASKS))
    assert "truth" not in rule_scores([candidate(1, few), candidate(2, few)])
    assert rule_scores([candidate(1, enough)])["truth"] == [miou(enough.sum(0))]


# Decisions


def test_truth_decides_where_there_are_masks_and_the_default_rule_where_there_are_none(rng):
    good, bad = counts(rng, 0.9), counts(rng, 0.6)
    scores = {"crf_agreement": [0.1, 0.1], "consistency": [1.0, 1.0]}
    better = {"crf_agreement": [0.7, 0.7], "consistency": [3.0, 3.0]}
    masked = [candidate(1, bad, **better), candidate(2, good, **scores)]
    bare = [candidate(1, **better), candidate(2, **scores)]
    assert (decide(masked).rule, decide(masked).chosen.value) == ("truth", 2)
    assert (decide(bare).rule, decide(bare).chosen.value) == (DEFAULT_RULE, 1)
    assert decide(masked, "consistency").chosen.value == 1
    assert decide(bare, "truth").rule is None


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ("truth", "mean_rank")])
def test_each_rule_decides_by_its_own_scores(rule):
    others = {name: [0.5] for name in RULES if name not in (rule, "truth", "mean_rank")}
    values = [candidate(k, **{rule: [score]}, **others) for k, score in enumerate([0.1, 0.8, 0.8, 0.3])]
    assert decide(values, rule).chosen.value == 1
    assert decide(values[:1] + values[2:] + values[1:2], rule).chosen.value == 2


def test_the_agreement_with_the_last_crf_cannot_judge_its_settings(rng):
    """The value that makes the CRF do nothing would always win; here it is the base's, which consistency does not."""
    nothing = candidate(0, counts(rng, 0.5), crf_agreement=[1.0, 1.0], consistency=[1.0, 1.0])
    much = candidate(3, counts(rng, 0.9), crf_agreement=[0.8, 0.8], consistency=[2.0, 2.0])
    other = replace(decide([nothing, much], "mean_rank"), setting="partial.crf.bilateral_compat")
    assert other.scores["mean_rank"] == [0.5, 0.5] and other.chosen is nothing
    own = replace(other, setting="pseudo.crf.bilateral_compat")
    assert "crf_agreement" not in own.scores and own.scores["mean_rank"] == [0, 1] and own.chosen is much
    assert why_chosen(own) == "chosen among 0, 3 by mean_rank of consistency; no truth was used"
    circular = replace(own, choose_by="crf_agreement")
    assert circular.rule is None and circular.chosen is nothing
    assert why_chosen(circular) == "kept, since crf_agreement cannot judge settings of the last CRF; no truth was used"
    chosen, regret = own.regrets()["crf_agreement"]
    assert chosen is nothing and regret == much.miou - nothing.miou, "the base's value stays, so its regret counts"


def test_of_equal_values_the_base_s_is_kept():
    assert decide([candidate(k, crf_agreement=[0.4]) for k in (3, 1, 2)]).chosen.value == 3


def test_the_schema_allows_the_rules():
    schema = yaml.safe_load((ROOT / "rules/schemas/config.yaml").read_text())["properties"]["choose_by"]
    assert schema["enum"] == [AUTO, *RULES]
    for number in (f"truth where {MIN_MASKS} images", f"else {DEFAULT_RULE}"):
        assert number in schema["description"]


# Regret


def test_regret_is_what_the_best_value_would_have_been_better_by(rng):
    values = [
        candidate(1, counts(rng, 0.5), crf_agreement=[0.9], consistency=[1.0]),
        candidate(2, counts(rng, 0.9), crf_agreement=[0.5], consistency=[3.0]),
        candidate(3, counts(rng, 0.7), crf_agreement=[0.1], consistency=[2.0]),
    ]
    mious = {value.value: miou(sum(value.counts)) for value in values}
    found = {rule: (own.value, regret) for rule, (own, regret) in decide(values).regrets().items()}
    kept = [found.pop(rule) for rule in ("no choice", "crf_agreement", "walk_agreement")]  # the last knows no walk
    assert kept == 3 * [(1, pytest.approx(mious[2] - mious[1]))]
    assert found == {"consistency": (2, 0), "mean_rank": (2, 0)}
    assert decide(values, images=13).regrets() == {}, "an image has no mask"


def test_the_regret_of_few_masks_is_the_mean_over_all_draws_of_them(rng):
    """Against every subset of so many images: a mean over draws comes near it, and no draw needs all images."""
    shares = rng.uniform(0.3, 1, (3, 7))
    values = [candidate(k, np.concatenate([counts(rng, share, 1) for share in own])) for k, own in enumerate(shares)]
    known = [miou(value.counts.sum(0)) for value in values]
    regrets = []
    for subset in itertools.combinations(range(7), 2):
        scores = [miou(value.counts[list(subset)].sum(0)) for value in values]
        regrets.append(max(known) - known[scores.index(max(scores))])
    assert regret_of_few(values, 2, draws=4000) == pytest.approx(np.mean(regrets), abs=0.004)
    assert regret_of_few(values, 7) == pytest.approx(0, abs=1e-12) and np.mean(regrets) > 0.005


# What is written


def test_summaries_hold_what_files_say(tmp_path, rng):
    files = {}
    for name, share, score in (("base", 0.6, 0.2), ("x-8", 0.9, 0.1)):
        files[name] = (tmp_path / f"{name}.json", tmp_path / f"{name}.npz")
        write_json(files[name][0], {"crf_agreement": {"a": score, "b": score}, "consistency": {}})
        write_arrays(files[name][1], counts=counts(rng, share))
    (decision,) = read_decisions({"section.x": {"base": 2, "x-8": 8}}, files, AUTO, 12)
    found = json.loads(json.dumps(summarise(decision)))
    assert (found["value"], found["experiment"], found["rule"], found["masks"]) == (8, "x-8", "truth", 12)
    assert [row["scores"] for row in found["candidates"]] == [
        {"crf_agreement": 0.2, "mean_rank": 1},
        {"crf_agreement": 0.1, "mean_rank": 0},
    ]
    assert found["regrets"]["crf_agreement"]["value"] == 2 and found["regrets"]["crf_agreement"]["regret"] > 0
    assert found["regrets_of_few"].keys() == {"5", "10"}
    assert found["why"].startswith("chosen among 2, 8 by the masks of 12 images: mIoU 8")
    assert " points (+" in found["why"] and found["why"].endswith("over 2")


def test_without_masks_a_summary_says_that_no_truth_was_used():
    found = summarise(decide([candidate(2, crf_agreement=[0.1]), candidate(8, crf_agreement=[0.2])]))
    assert (found["value"], found["candidates"][0]["miou"], found["regrets"]) == (8, None, {})
    assert found["why"] == "chosen among 2, 8 by mean_rank of crf_agreement; no truth was used"
    kept = summarise(decide([candidate(2), candidate(8)], "walk_agreement"))
    assert (kept["value"], kept["rule"]) == (2, None)
    assert kept["why"] == "kept, since walk_agreement cannot judge all of 2, 8; no truth was used"


def test_the_base_s_value_has_no_gain_over_itself(rng):
    values = [candidate(2, counts(rng, 0.9)), candidate(8, counts(rng, 0.5))]
    assert summarise(decide(values))["why"].endswith("95 %)")
