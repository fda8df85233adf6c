"""The queue of labels to look at, the most doubtful first, each with one reason in words."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from wsgcn.evaluation.review import MIN_OTHERS, NUM_LEVELS, MeasuredLabels, tag_deviations

MIN_CERTAIN_CONFIDENCE = 0.9
"""Pixels whose confidence is below are uncertain."""

DOUBTFUL_SHARE = 0.25
"""A reason is given where the image is among this share of the list by it."""


def queue_rows(
    labels: MeasuredLabels, scores: Mapping[str, np.ndarray], score: str, classes: Sequence[str], method: str
) -> list[dict[str, object]]:
    """A row per image, lowest score first, equal ones by their ids.

    Rows have `rank` from 1, `image`, `score`, all scores by their names, `tags` (a list of names) and `why`.

    scores: as `review.review_scores` returns them; score: the one that orders; classes: the foreground names; method:
    the refiner's short name. Raises ValueError where that score is not among them.
    """
    if score not in scores:
        raise ValueError(f"review.score: {score} is not known of these labels, which no random walk is compared with")
    why = reasons(labels, classes, method)
    order = sorted(range(len(labels.ids)), key=lambda k: (scores[score][k], labels.ids[k]))
    return [
        {
            "rank": rank,
            "image": labels.ids[k],
            "score": float(scores[score][k]),
            **{name: float(own[k]) for name, own in scores.items()},
            "tags": [classes[index - 1] for index in labels.tags[k]],
            "why": why[k],
        }
        for rank, k in enumerate(order, start=1)
    ]


def reasons(labels: MeasuredLabels, classes: Sequence[str], method: str) -> list[str]:
    """Why each label is doubtful, in a few words.

    A tag that covers nothing comes first. Else it is what the image stands out by most among all: an unusual area,
    pixels in which labels differ, uncertain pixels; nothing where it is not among the `DOUBTFUL_SHARE` by any.
    """
    deviations = tag_deviations(labels)
    doubts = {
        "area": np.array([own.max() for own in deviations]),
        "refined_walk": labels.column("refined_walk_difference") if labels.walks else np.zeros(len(labels.ids)),
        "crf": labels.column("crf_difference"),
        "confidence": np.array([uncertain_share(own["histogram"]) for own in labels.measures]),
    }
    ranks = {name: _rank_shares(own) for name, own in doubts.items()}
    found = []
    for k, tags in enumerate(labels.tags):
        names, areas = [classes[index - 1] for index in tags], labels.measures[k]["areas"]
        missing = [name for name, area in zip(names, areas, strict=True) if not area]
        first = min(ranks, key=lambda name: ranks[name][k])
        if missing:
            are = "which is a tag" if len(missing) == 1 else "which are tags"
            found.append(f"no pixel of {' and '.join(missing)}, {are}")
        elif ranks[first][k] >= DOUBTFUL_SHARE:
            found.append("nothing stands out")
        elif first == "area":
            tag = int(deviations[k].argmax())
            elsewhere = _usual_area(labels, k, tags[tag])
            found.append(f"{names[tag]} covers {percent(areas[tag])}, in half of its other images {elsewhere}")
        elif first == "confidence":
            found.append(
                f"{percent(doubts[first][k])} of the pixels are less than {percent(MIN_CERTAIN_CONFIDENCE)} certain"
            )
        elif first == "crf":
            found.append(f"the dense CRF changed {percent(doubts['crf'][k])} of the pixels")
        else:
            found.append(f"{method} and random walk differ on {percent(doubts[first][k])} of the pixels")
    return found


def uncertain_share(histogram: np.ndarray) -> float:
    """The share of the pixels, in 0..1, whose confidence is below `MIN_CERTAIN_CONFIDENCE`; histogram: int [256]."""
    return float(histogram[: int(np.ceil(MIN_CERTAIN_CONFIDENCE * (NUM_LEVELS - 1)))].sum() / histogram.sum())


def percent(share: float) -> str:
    """A share in 0..1 in words: 0.4 %, 12 %; below 1 % with one decimal, and never 0 for what is not."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 0.95 or not value else f"{max(value, 0.1):.1f} %"


def _rank_shares(doubts: np.ndarray) -> np.ndarray:
    """The share of the other images whose doubt is as great or greater: float [n], 0 the greatest; 1 without doubt.

    Equal ones count as greater, so that nobody stands out by what all have in common; nor does a single image.
    """
    if len(doubts) < 2:
        return np.ones(len(doubts))
    return np.where(doubts > 0, (rankdata(-doubts, "max") - 1) / (len(doubts) - 1), 1)


def _usual_area(labels: MeasuredLabels, image: int, index: int) -> str:
    """What a class covers in the middle half of its images other than this one, in words."""
    others = [
        own["areas"][list(tags).index(index)]
        for k, (tags, own) in enumerate(zip(labels.tags, labels.measures, strict=True))
        if k != image and index in tags
    ]
    assert len(others) >= MIN_OTHERS, "the deviations of fewer are 0, and nothing stands out by them"
    low, high = np.quantile(others, [0.25, 0.75])
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"
