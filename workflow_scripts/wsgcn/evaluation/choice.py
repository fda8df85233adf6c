"""Choosing the value of a setting by the labels that each value gives: rules, decisions, regret.

Every rule gives a score per value, the higher the better. All but `truth` need no masks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import rankdata

from wsgcn.evaluation.bootstrap import difference, interval, resampled_miou
from wsgcn.evaluation.metrics import miou
from wsgcn.evaluation.names import MIN_MASKS, can_judge
from wsgcn.evaluation.stages import none_if_nan
from wsgcn.files import read_arrays, read_json
from wsgcn.text import format_count

RULES = {
    "truth": "mIoU on the images that have masks",
    "crf_agreement": "agreement of the labels before and after the last dense CRF",
    "walk_agreement": "agreement with the random walk of the same CAMs along the same affinities",
    "consistency": "how much more of a class a classifier sees in its pixels than in all others",
    "mean_rank": "share of the other values that crf_agreement and consistency rank lower, on average",
}
"""What each rule's score is."""

AUTO = "auto"
"""The value of `choose_by` that takes `truth` where there are enough masks, else `DEFAULT_RULE`."""

DEFAULT_RULE = "mean_rank"
"""What chooses where no truth does."""

RANKED_RULES = ("crf_agreement", "consistency")
"""The rules whose ranks `mean_rank` averages."""

FEW_MASKS = (5, 10, 20)
"""Numbers of masks whose mean regret is shown where there is a mask of every image."""

DECIMALS = 9
"""Scores are compared after rounding, so that the order of sums decides nothing."""


@dataclass(frozen=True)
class Candidate:
    """A value of a setting with the labels of its experiment.

    scores: {rule: {image: score}}, of the rules that need no truth; counts: the confusions of the images with masks,
    int [n, C + 1, C + 2], see `metrics.confusion`.
    """

    value: object
    experiment: str
    scores: Mapping[str, Mapping[str, float]]
    counts: np.ndarray

    @property
    def miou(self) -> float:
        """mIoU on the images with masks, in 0..1; nan without any."""
        return miou(self.counts.sum(0)) if len(self.counts) else float("nan")


@dataclass(frozen=True)
class Decision:
    """What is chosen for a setting among its candidates, the base's value first.

    choose_by: the rule that decides, or `AUTO`; images: how many the list has.
    """

    setting: str
    candidates: Sequence[Candidate]
    choose_by: str
    images: int

    @cached_property
    def scores(self) -> dict[str, list[float]]:
        """The candidates' scores by rule, of the rules that are defined for all of them and can judge the setting."""
        return rule_scores(self.candidates, [rule for rule in RULES if can_judge(rule, self.setting)])

    @property
    def rule(self) -> str | None:
        """The rule that decides; None where it is defined for some of the candidates only, or for none."""
        rule = self.choose_by
        if rule == AUTO:
            rule = "truth" if "truth" in self.scores else DEFAULT_RULE
        return rule if rule in self.scores else None

    @property
    def chosen(self) -> Candidate:
        """What is chosen: the base's value where nothing decides."""
        return self.candidates[best(self.scores[self.rule]) if self.rule else 0]

    @property
    def has_all_masks(self) -> bool:
        """Whether the truth is known of every image, as in a benchmark."""
        return len(self.candidates[0].counts) == self.images > 0

    def regrets(self) -> dict[str, tuple[Candidate, float]]:
        """What each rule would choose, and its mIoU below that of the best candidate, in 0..1; the base's value too.

        A rule that cannot judge keeps the base's value. Empty unless there is a mask of every image.
        """
        if not self.has_all_masks:
            return {}
        choices = {"no choice": self.candidates[0]}
        for rule in (rule for rule in RULES if rule != "truth"):
            choices[rule] = self.candidates[best(self.scores[rule]) if rule in self.scores else 0]
        oracle = max(candidate.miou for candidate in self.candidates)
        return {rule: (candidate, oracle - candidate.miou) for rule, candidate in choices.items()}


def rule_scores(candidates: Sequence[Candidate], rules: Iterable[str] = RULES) -> dict[str, list[float]]:
    """The score of each candidate by each of the rules that is defined for all of them.

    Scores are means over the images that all candidates have one of, so that no value gains by an image it skipped.
    """
    found: dict[str, list[float]] = {}
    if min(len(candidate.counts) for candidate in candidates) >= MIN_MASKS:
        found["truth"] = [candidate.miou for candidate in candidates]
    for rule in rules:
        scores = [candidate.scores.get(rule, {}) for candidate in candidates]
        if common := sorted(set.intersection(*map(set, scores))):
            found[rule] = [float(np.mean([own[image] for image in common])) for own in scores]
    if ranked := [found[rule] for rule in RANKED_RULES if rule in found]:
        found[DEFAULT_RULE] = mean_rank(ranked)
    return found


def mean_rank(scores: Sequence[Sequence[float]]) -> list[float]:
    """The share of the other candidates that each one beats, half of the equal ones, the mean over rules: in 0..1.

    scores: [rules, candidates]. This is the Borda count. 1 for a candidate without others.
    """
    others = len(scores[0]) - 1
    ranks = np.array([rankdata(np.round(own, DECIMALS)) - 1 for own in scores])
    return (ranks / others).mean(0).tolist() if others else [1.0]


def best(scores: Sequence[float]) -> int:
    """The index of the highest score, the first of equal ones; scores that are not known are lowest."""
    return int(np.argmax(np.nan_to_num(np.round(scores, DECIMALS), nan=-np.inf)))


def regret_of_few(candidates: Sequence[Candidate], masks: int, draws: int = 500, seed: int = 0) -> float:
    """The mean regret, in 0..1, where so many images with masks, drawn at random, choose by `truth`."""
    rng, count = np.random.default_rng(seed), len(candidates[0].counts)
    counts = np.stack([candidate.counts for candidate in candidates])
    known = np.array([candidate.miou for candidate in candidates])
    drawn = (rng.choice(count, masks, replace=False) for _ in range(draws))
    chosen = [best([miou(own.sum(0)) for own in counts[:, images]]) for images in drawn]
    return float(known.max() - known[chosen].mean())


def read_decisions(
    candidates: Mapping[str, Mapping[str, object]],
    files: Mapping[str, tuple[str, str]],
    choose_by: str,
    images: int,
) -> list[Decision]:
    """The decisions on settings, from what judged the labels of their values.

    candidates: {setting: {experiment: value}}, the base's first; files: of each experiment the .json of its scores and
    the .npz of its counts.
    """
    judged = {name: (read_json(scores), read_arrays(counts)["counts"]) for name, (scores, counts) in files.items()}
    return [
        Decision(setting, [Candidate(value, name, *judged[name]) for name, value in values.items()], choose_by, images)
        for setting, values in candidates.items()
    ]


def summarise(decision: Decision) -> dict:
    """A decision as what JSON holds: tables, texts, the overlay and MLflow are made from this.

    `setting`, `value`, `experiment`, `rule`, `why` (a sentence), `images`, `masks` (how many of these have one),
    `candidates` (value, experiment, `scores` by rule, `miou` with its 95 % interval), and, where there is a mask of
    every image, `regrets` by rule and `regrets_of_few` by the number of masks. Scores and mIoU are in 0..1, None where
    they are not known.
    """
    rows = []
    for k, candidate in enumerate(decision.candidates):
        low, high = interval(resampled_miou(candidate.counts))
        scores = {rule: own[k] for rule, own in decision.scores.items() if rule != "truth"}
        values = {"miou": candidate.miou, "low": low, "high": high}
        known = {name: none_if_nan(value) for name, value in values.items()}
        rows.append({"value": candidate.value, "experiment": candidate.experiment, "scores": scores, **known})
    few = [count for count in FEW_MASKS if decision.has_all_masks and count < decision.images]
    return {
        "setting": decision.setting,
        "value": decision.chosen.value,
        "experiment": decision.chosen.experiment,
        "rule": decision.rule,
        "why": why_chosen(decision),
        "images": decision.images,
        "masks": len(decision.candidates[0].counts),
        "candidates": rows,
        "regrets": {
            rule: {"value": candidate.value, "miou": candidate.miou, "regret": regret}
            for rule, (candidate, regret) in decision.regrets().items()
        },
        "regrets_of_few": {str(count): regret_of_few(decision.candidates, count) for count in few},
    }


def why_chosen(decision: Decision) -> str:
    """Which rule chose among which values, and whether truth was used, as the end of a sentence."""
    values = ", ".join(str(candidate.value) for candidate in decision.candidates)
    if not decision.rule:
        rule = DEFAULT_RULE if decision.choose_by == AUTO else decision.choose_by
        judged = f"all of {values}" if can_judge(rule, decision.setting) else "settings of the last CRF"
        return f"kept, since {rule} cannot judge {judged}; no truth was used"
    if decision.rule == DEFAULT_RULE:
        ranked = [rule for rule in RANKED_RULES if rule in decision.scores]
        return f"chosen among {values} by {DEFAULT_RULE} of {' and '.join(ranked)}; no truth was used"
    if decision.rule != "truth":
        return f"chosen among {values} by {decision.rule} ({RULES[decision.rule]}); no truth was used"
    chosen, base = decision.chosen, decision.candidates[0]
    low, high = interval(resampled_miou(chosen.counts))
    text = f"chosen among {values} by the masks of {format_count(len(chosen.counts), 'image')}: mIoU {chosen.miou:.1%}"
    text += f" ({low:.1%} to {high:.1%}"
    if chosen is base:
        return f"{text}, 95 %)"
    gain = {name: 100 * value for name, value in difference(chosen.counts, base.counts).items()}
    over = f"{gain['difference']:+.1f} points ({gain['low']:+.1f} to {gain['high']:+.1f}) over {base.value}"
    return f"{text}, 95 %), {over}"
