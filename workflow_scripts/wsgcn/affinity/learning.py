"""Whether an affinity network has learnt anything: its loss against that of one affinity for all pairs.

A boundary branch trained too briefly says the same everywhere. Its graphs then smear every label, so it is noticed
before it is used. Needs no torch: the summary reads it too.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from wsgcn.files import IGNORE, read_label

MIN_GAIN = 0.05
"""A network whose loss is not at least by this share below a constant's has learnt nothing that is of use."""

MAX_IMAGES = 16
"""So many images of those that were trained on are measured at most."""


def measured_images(labels: Sequence[str], read: Callable[[str], np.ndarray] = read_label) -> list[int]:
    """The indices of at most `MAX_IMAGES` of the labels (paths) that show a class, evenly spaced; of all if none does.

    Most images may show nothing, and have no pairs that differ. read: from a path to the label, uint8 [H, W].
    """
    showing = [k for k, path in enumerate(labels) if (read(path) % IGNORE).any()]
    indices = showing or list(range(len(labels)))
    return indices[:: -(-len(indices) // MAX_IMAGES)]


def gain_over_constant(costs: Sequence[float], counts: Sequence[int]) -> float | None:
    """By which share the loss of `pair_loss` is below that of the best affinity that is the same for all pairs.

    costs: sums over pairs of background, of one foreground class, and of two classes; counts: how many pairs each has.
    1 for perfect affinities, 0 or less for a network that does not tell pairs apart; None where pairs all agree or all
    differ, since a constant is perfect then and nothing can be measured.

    The loss of a constant a is (p·-log a + n·-log(1 - a)) / 2 with p and n the weights of the terms that have pairs:
    half a term for each kind of agreeing pairs, one for those that differ. It is least at a = p / (p + n).
    """
    background, foreground, differing = (cost / max(count, 1) for cost, count in zip(costs, counts, strict=True))
    agree, differ = (counts[0] > 0) / 2 + (counts[1] > 0) / 2, float(counts[2] > 0)
    if not agree or not differ:
        return None
    best = agree / (agree + differ)
    constant = -(agree * math.log(best) + differ * math.log(1 - best)) / 2
    return 1 - (background / 2 + foreground / 2 + differing) / 2 / constant


def describe_gain(learnt: Mapping) -> str:
    """One line for a training's log. learnt: `section` of the training's settings, `gain` over a constant."""
    if learnt["gain"] is None:
        return "whether it has learnt anything cannot be measured: its labels have no pairs of two kinds"
    return f"on its training images the loss is {learnt['gain']:.1%} below that of one affinity for all pairs"


def why_flat(learnt: Mapping | None) -> str | None:
    """A sentence where a network has learnt nothing, as its record says; None where it has, or without a record."""
    if not learnt or learnt["gain"] is None or learnt["gain"] >= MIN_GAIN:
        return None
    section = learnt["section"]
    return (
        f"{section}: the network has learnt nothing: {describe_gain(learnt)}, less than {MIN_GAIN:.0%}; a larger "
        f"{section}.min_steps or epochs, another learning rate or other {section.partition('.')[0]}.labels may help"
    )
