"""The loss that both affinity networks are trained with: over pairs of points that agree or differ in their labels."""

from collections.abc import Callable, Iterable

import torch

from wsgcn.affinity.learning import gain_over_constant
from wsgcn.files import IGNORE
from wsgcn.graph.grid import neighbour_offsets, pair_slices

EPSILON = 1e-5

Affinity = Callable[[int, int], torch.Tensor]
"""affinity(dy, dx): float [B, ...] in 0..1 of the pairs of `grid.pair_slices` at this offset."""


def pairwise_affinity_loss(
    affinity: Affinity, label: torch.Tensor, radius: int, weight: torch.Tensor | None = None, pairs: str = "all"
) -> dict[str, torch.Tensor]:
    """(L+_bg / 2 + L+_fg / 2 + L-) / 2 (AffinityNet, CVPR 2018, equation 7; IRNet, CVPR 2019, equation 8).

    label: [B, h, w], 255 unlabelled. Each term is a mean over pairs within `radius` with both ends labelled: -log a
    over pairs of background, -log a over pairs of one foreground class, -log(1 - a) over pairs that differ. A term
    without pairs is zero. weight: float [B, h, w], how much a point counts; pairs: which there are; see `pair_costs`.
    """
    sums, counts = pair_costs(affinity, label, radius, weight, pairs)
    background, foreground, negative = (
        total / torch.as_tensor(count).where(torch.as_tensor(count) > 0, 1)
        for total, count in zip(sums, counts, strict=True)
    )
    return {
        "loss": (background / 2 + foreground / 2 + negative) / 2,
        "loss_positive_background": background,
        "loss_positive_foreground": foreground,
        "loss_negative": negative,
    }


def pair_costs(
    affinity: Affinity, label: torch.Tensor, radius: int, weight: torch.Tensor | None = None, pairs: str = "all"
) -> tuple[list[torch.Tensor | float], list[torch.Tensor | int]]:
    """The sums of those three terms before they become means, and how many pairs each has.

    With a weight, float [B, h, w], a pair counts as much as the geometric mean of its points: a pair of corrected
    points that of a correction, one of a corrected and another point its square root.

    pairs: `all`, or `inner` as in the released codes of IRN and PSA: only those whose upper end (of two in a row the
    left one) has a partner in the map at every offset, that is `radius` - 1 points to its left, right and below.
    """
    h, w = label.shape[1:]
    margin = radius - 1 if pairs == "inner" else 0
    sources = torch.zeros(h, w, dtype=torch.bool, device=label.device)
    sources[: max(0, h - margin), margin : max(margin, w - margin)] = True
    sums: list[torch.Tensor | float] = [0.0, 0.0, 0.0]
    counts: list[torch.Tensor | int] = [0, 0, 0]
    for dy, dx in neighbour_offsets(radius):
        if h <= abs(dy) or w <= abs(dx):
            continue
        origins, partners = pair_slices(h, w, dy, dx)
        a, b = label[:, *origins], label[:, *partners]
        values = affinity(dy, dx)
        labelled, same = (a != IGNORE) & (b != IGNORE) & sources[origins], a == b
        if_same, if_different = -torch.log(values + EPSILON), -torch.log(1 + EPSILON - values)
        masks = (labelled & same & (a == 0), labelled & same & (a > 0), labelled & ~same)
        if weight is not None:
            mean = (weight[:, *origins] * weight[:, *partners]).sqrt()
            same_background, same_class, different = (mask * mean for mask in masks)
            masks = (same_background, same_class, different)
        for k, (mask, cost) in enumerate(zip(masks, (if_same, if_same, if_different), strict=True)):
            sums[k] = sums[k] + (cost * mask).sum()
            counts[k] = counts[k] + mask.sum()
    return sums, counts


def measure_gain(costs: Iterable[tuple[list, list]]) -> float | None:
    """`learning.gain_over_constant` over the `pair_costs` of several images together."""
    sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]
    for own_sums, own_counts in costs:
        for k in range(3):
            sums[k], counts[k] = sums[k] + float(own_sums[k]), counts[k] + int(own_counts[k])
    return gain_over_constant(sums, counts)
