"""How doubtful the label of an image is, judged without the truth: scores in 0..1, the lower, the more doubtful.

What is measured of each image by itself (`measure_label`) becomes scores among all images of a list (`review_scores`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.evaluation.agreement import label_agreement
from wsgcn.evaluation.choice import mean_rank

SCORES = {
    "softmin": "soft minimum of the pixels' confidence",
    "confidence": "mean confidence of the pixels",
    "class_confidence": "mean confidence of each class's pixels, averaged over the background and the tags",
    "crf_agreement": "mIoU of the labels before and after the last dense CRF",
    "walk_agreement": "mIoU of the label and the random walk's",
    "agreement": "mean mIoU of each two of the labels before the CRF, after it and by the random walk",
    "tag_coverage": "share of the tags whose class covers enough of the image",
    "area": "how usual the area of each class is among the class's other images",
    "mean_rank": "share of the other images that class_confidence, agreement and area rank lower, on average",
}
"""What each score is."""

RANKED_SCORES = ("class_confidence", "agreement", "area")
"""The scores whose ranks `mean_rank` averages."""

NUM_LEVELS = 256
"""Of a confidence PNG: 255 is a probability of 1."""

MIN_AREA_SHARE = 1e-4
"""Shares of an image below it are equal: as good as nothing."""

MIN_SPREAD = 0.1
"""The least spread of log areas that an area is compared with: a tenth of the area."""

LABEL_PAIRS = ("crf", "walk", "refined_walk")
"""What is compared: the labels before and after the CRF; the random walk's with the latter, and with the former."""

MIN_OTHERS = 5
"""Other images of a class from which its areas are compared: the spread of fewer says little."""


@dataclass(frozen=True)
class ReviewSettings:
    """The `review` section.

    score: the one of `SCORES` that orders the queue; temperature: of `soft_minimum`; min_area: the share of the image
    that a tag's class has to cover, for `tag_coverage`.
    """

    score: str
    temperature: float
    min_area: float


@dataclass(frozen=True)
class MeasuredLabels:
    """Labelled images: their ids, their classes (indices from 1, one or more each), and what `measure_label` found."""

    ids: Sequence[str]
    tags: Sequence[Sequence[int]]
    measures: Sequence[Mapping[str, np.ndarray]]

    @property
    def walks(self) -> bool:
        """Whether the labels are compared with a random walk's."""
        return all("walk_agreement" in own for own in self.measures) and bool(self.measures)

    def column(self, name: str) -> np.ndarray:
        """One of the scalars that were measured, float [n]."""
        return np.array([float(own[name]) for own in self.measures])


def soft_minimum(histogram: np.ndarray, temperature: float) -> float:
    """The soft minimum of the pixels' confidence, in 0..1: sum s e^(-s/T) / sum e^(-s/T) over the confidences s.

    histogram: how many pixels have each of the `NUM_LEVELS`, int [256]. T is the temperature, above 0: towards 0 the
    minimum, towards infinity the mean. It is the inner product of s with softmax((1 - s) / T), the image score of
    cleanlab's label quality for segmentation (Lad & Mueller 2023, arXiv 2307.05080), where s is the probability that
    the model gives to the pixel's label; here that after the CRF.
    """
    levels = np.arange(NUM_LEVELS) / (NUM_LEVELS - 1)
    lowest = levels[histogram > 0].min()
    weights = histogram * np.exp((lowest - levels).clip(max=0) / temperature)
    return float(weights @ levels / weights.sum())


def mean_confidence(histogram: np.ndarray) -> float:
    """The mean of the pixels' confidence, in 0..1, from a histogram as in `soft_minimum`."""
    return float(histogram @ np.arange(NUM_LEVELS) / (histogram.sum() * (NUM_LEVELS - 1)))


def differing_share(first: np.ndarray, second: np.ndarray) -> float:
    """The share, in 0..1, of the pixels in which two labels, uint8 [H, W], differ."""
    return float((first != second).mean())


def measure_label(
    label: np.ndarray,
    confidence: np.ndarray,
    refined: np.ndarray,
    walked: np.ndarray | None,
    tags: Sequence[int],
) -> dict[str, np.ndarray]:
    """What is measured of one image; `review_scores` takes a list of these.

    label, refined, walked: after the CRF, before it, and the random walk's (None without one); confidence: of the
    label; all uint8 [H, W]; tags: the image's classes, indices from 1. Returns arrays by name: `histogram` int64 [256]
    of the confidence, `areas` float64 [K], the share of the label that each tag covers, `class_confidences` float64
    [K + 1], in 0..1, the mean confidence of the pixels of the background and of each tag, 0 where there are none, and
    scalars for each of `LABEL_PAIRS`: `<pair>_agreement`, see `label_agreement`, `<pair>_difference`, see
    `differing_share`.
    """
    pairs = {"crf": (refined, label)}
    if walked is not None:
        pairs |= {"walk": (walked, label), "refined_walk": (refined, walked)}
    found: dict[str, np.ndarray] = {
        "histogram": np.bincount(confidence.ravel(), minlength=NUM_LEVELS),
        "areas": np.array([(label == index).mean() for index in tags], np.float64),
        "class_confidences": np.array([_mean_within(confidence, label == index) for index in (0, *tags)]) / 255,
    }
    for name, (first, second) in pairs.items():
        found[f"{name}_agreement"] = np.array(label_agreement(first, second, tags))
        found[f"{name}_difference"] = np.array(differing_share(first, second))
    return found


def _mean_within(values: np.ndarray, region: np.ndarray) -> float:
    return float(values[region].mean()) if region.any() else 0.0


def tag_coverage(areas: np.ndarray, min_area: float) -> float:
    """The share of an image's tags, in 0..1, whose class covers `min_area` of the image or more; areas: in 0..1."""
    return float((areas >= min_area).mean())


def area_deviations(areas: np.ndarray) -> np.ndarray:
    """How far each area of a class is from those of its other images, float [n], 0 and above: a robust z-score.

    areas: the shares of n images, in 0..1. With x = log max(area, MIN_AREA_SHARE), the deviation of image i is
    |x_i - median| / max(1.4826 MAD, MIN_SPREAD), median and median absolute deviation over the others; 1.4826 makes the
    MAD of a normal distribution its standard deviation. 0 where there are fewer than `MIN_OTHERS` others.
    """
    logs = np.log(np.maximum(areas, MIN_AREA_SHARE))
    if len(logs) <= MIN_OTHERS:
        return np.zeros(len(logs))
    found = np.empty(len(logs))
    for k, own in enumerate(logs):
        others = np.delete(logs, k)
        median = np.median(others)
        spread = 1.4826 * np.median(np.abs(others - median))
        found[k] = abs(own - median) / max(spread, MIN_SPREAD)
    return found


def tag_deviations(labels: MeasuredLabels) -> list[np.ndarray]:
    """`area_deviations` of each image's tags, float [K] each, every tag within its class."""
    found = [np.zeros(len(tags)) for tags in labels.tags]
    cells: dict[int, list[tuple[int, int]]] = {}
    for k, tags in enumerate(labels.tags):
        for position, index in enumerate(tags):
            cells.setdefault(index, []).append((k, position))
    for own in cells.values():
        deviations = area_deviations(np.array([labels.measures[k]["areas"][position] for k, position in own]))
        for (k, position), deviation in zip(own, deviations, strict=True):
            found[k][position] = deviation
    return found


def review_scores(labels: MeasuredLabels, settings: ReviewSettings) -> dict[str, np.ndarray]:
    """The `SCORES` of images, float [n] each; without `walk_agreement` where there is no walk.

    `class_confidence` is the mean over classes, as mIoU is, of the mean confidence within each; a tag without a pixel
    counts as 0. `area` is 1 / (1 + the largest of the deviations of its tags); the others are as their functions say.
    """
    histograms = [own["histogram"] for own in labels.measures]
    pairs = LABEL_PAIRS if labels.walks else LABEL_PAIRS[:1]
    agreements = {pair: labels.column(f"{pair}_agreement") for pair in pairs}
    found = {
        "softmin": np.array([soft_minimum(own, settings.temperature) for own in histograms]),
        "confidence": np.array([mean_confidence(own) for own in histograms]),
        "class_confidence": np.array([own["class_confidences"].mean() for own in labels.measures]),
        "crf_agreement": agreements["crf"],
        **({"walk_agreement": agreements["walk"]} if labels.walks else {}),
        "agreement": np.mean(list(agreements.values()), axis=0),
        "tag_coverage": np.array([tag_coverage(own["areas"], settings.min_area) for own in labels.measures]),
        "area": np.array([1 / (1 + own.max()) for own in tag_deviations(labels)]),
    }
    ranked = [found[name].tolist() for name in RANKED_SCORES]
    return found | {"mean_rank": np.array(mean_rank(ranked) if labels.ids else [])}
