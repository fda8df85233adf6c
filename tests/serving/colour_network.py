"""A network for tests, named as the table of stages names one, and the settings of a model with it."""

import numpy as np


def open_network(params, model, device):
    """Class `params["red"]` where red exceeds blue, with a probability that scales and flip change."""

    def segment(image, scales, flip):
        red = image[..., 0].astype(np.float32) > image[..., 2]
        certain = 0.6 + 0.1 * len(scales) + 0.05 * flip
        scores = np.full((params["classes"] + 1, *red.shape), (1 - certain) / params["classes"], np.float32)
        np.put_along_axis(scores, np.where(red, params["red"], 0)[None], certain, 0)
        return scores

    return segment


SETTINGS = {
    "classes": ["cat", "dog"],
    "network": "colour_network:open_network",
    "params": {"classes": 2, "red": 2},
    "prediction": {
        "scales": [1, 2],
        "flip": True,
        "crf": {
            "iterations": 3,
            "gaussian_sxy": 1,
            "gaussian_compat": 1,
            "bilateral_sxy": 5,
            "bilateral_srgb": 10,
            "bilateral_compat": 1,
        },
    },
    "longest_side": 64,
    "black_white": None,
}
