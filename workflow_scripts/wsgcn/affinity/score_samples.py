"""The samples of AffinityNet's training from labels that are scores (`affinity.score_labels`)."""

import copy
from collections.abc import Sequence

import numpy as np

from wsgcn.affinity.score_labels import pooled_label
from wsgcn.data.augment import flip_and_crop, jitter_colours, resize
from wsgcn.data.corrections import apply_correction, fit_correction
from wsgcn.files import IGNORE, read_arrays, read_image, read_label
from wsgcn.networks.samples import Corrections, Sampler


def score_crops(
    images: Sequence[str],
    files: Sequence[str],
    crop: int,
    scale: tuple[float, float],
    mean: np.ndarray,
    cell: int,
    corrections: Corrections | None = None,
    jitter: Sequence[float] = (),
) -> Sampler:
    """As `networks.samples.labelled_crops`, from files of scores.

    A sample's label is the `pooled_label` of the cropped scores. Scores of a scaled image are those of the nearest
    pixels. A correction overrides the label on the grid.
    """

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        image, arrays = read_image(images[index]), read_arrays(files[index])
        factor, keys = rng.uniform(*scale), arrays["keys"].tolist()
        height, width = (max(1, round(side * factor)) for side in image.shape[:2])
        scores = _nearest(arrays["scores"], height, width)
        layers = scores.reshape(-1, height, width).transpose(1, 2, 0)
        image = jitter_colours(resize(image, height, width), jitter, rng)
        twin = copy.deepcopy(rng)  # of the same draws, for the correction
        pixels, layers = flip_and_crop(image, layers, crop, mean, rng)
        label = pooled_label(layers.transpose(2, 0, 1).reshape(2, -1, crop, crop), keys, cell)
        if not corrections:
            return pixels, label
        file = corrections.files[index]
        own = fit_correction(read_label(file), height, width) if file else np.full((height, width), IGNORE, np.uint8)
        own = fit_correction(np.ascontiguousarray(flip_and_crop(image, own, crop, mean, twin)[1]), *label.shape)
        weight = np.where(own != IGNORE, corrections.weight, 1).astype(np.float32)
        return pixels, apply_correction(label, own), weight

    return sample


def _nearest(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scores [..., H, W] at another size: those of the nearest pixels."""
    rows, columns = (
        (2 * np.arange(length) + 1) * side // (2 * length)
        for length, side in ((height, scores.shape[-2]), (width, scores.shape[-1]))
    )
    return scores[..., rows[:, None], columns]
