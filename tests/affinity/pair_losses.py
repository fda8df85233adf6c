"""The pairwise affinity loss of IRNet and AffinityNet as a naive loop over pairs of points."""

import numpy as np

TERMS = ("loss", "loss_positive_background", "loss_positive_foreground", "loss_negative")


def naive_losses(affinity, label, pairs, epsilon=1e-5, weight=None):
    """The terms in their order in TERMS, over every pair of labelled points of every image.

    affinity(b, p, q): of two points of image b; label: [B, h, w]; pairs: those of an image; weight: of points, if any.
    """
    costs = {"background": [], "foreground": [], "negative": []}
    counts = {"background": [], "foreground": [], "negative": []}
    for b, classes in enumerate(label):
        for p, q in pairs:
            if 255 in (classes[p], classes[q]):
                continue
            same = classes[p] == classes[q]
            kind = "negative" if not same else "background" if classes[p] == 0 else "foreground"
            costs[kind].append(-np.log((affinity(b, p, q) if same else 1 - affinity(b, p, q)) + epsilon))
            counts[kind].append(1 if weight is None else float(weight[b][p] * weight[b][q]) ** 0.5)
    bg, fg, negative = (
        float(np.dot(costs[kind], counts[kind]) / sum(counts[kind])) if sum(counts[kind]) else 0.0 for kind in costs
    )
    return [(bg / 2 + fg / 2 + negative) / 2, bg, fg, negative]


def values_of(losses):
    """The values of those terms, in their order."""
    assert tuple(losses) == TERMS
    return [losses[name].item() for name in TERMS]
