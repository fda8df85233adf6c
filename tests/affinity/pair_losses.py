"""The pairwise affinity loss of IRNet and AffinityNet as a naive loop over pairs of points."""

import numpy as np

TERMS = ("loss", "loss_positive_background", "loss_positive_foreground", "loss_negative")


def naive_losses(affinity, label, pairs, epsilon=1e-5):
    """The terms in their order in TERMS, over every pair of labelled points of every image.

    affinity(b, p, q): of two points of image b; label: [B, h, w]; pairs: those of an image.
    """
    costs = {"background": [], "foreground": [], "negative": []}
    for b, classes in enumerate(label):
        for p, q in pairs:
            if 255 in (classes[p], classes[q]):
                continue
            if classes[p] != classes[q]:
                costs["negative"].append(-np.log(1 - affinity(b, p, q) + epsilon))
            else:
                costs["background" if classes[p] == 0 else "foreground"].append(-np.log(affinity(b, p, q) + epsilon))
    bg, fg, negative = (float(np.mean(values)) if values else 0.0 for values in costs.values())
    return [(bg / 2 + fg / 2 + negative) / 2, bg, fg, negative]


def values_of(losses):
    """The values of those terms, in their order."""
    assert tuple(losses) == TERMS
    return [losses[name].item() for name in TERMS]
