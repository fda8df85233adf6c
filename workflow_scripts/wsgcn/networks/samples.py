"""The samples of a training: an endless, seeded stream of augmented images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from wsgcn.data.augment import flip_and_crop, jitter_colours, rescale, resize_label
from wsgcn.data.corrections import apply_correction, fit_correction
from wsgcn.files import IGNORE, read_image, read_label

Sampler = Callable[[int, np.random.Generator], tuple]
"""sample(index, rng): the augmented arrays of image `index`."""


class SampleStream(Dataset):
    """Sample k of a training: its index in the shuffle of epoch k // count, augmented by a generator of its own.

    Depends on (seed, k) only, so neither the number of workers nor a restart changes the samples.
    """

    def __init__(self, count: int, total: int, seed: int, sample: Sampler):
        self.count, self.total, self.seed, self.sample = count, total, seed, sample

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, k: int):
        epoch, index_in_epoch = divmod(k, self.count)
        image = np.random.default_rng([self.seed, epoch]).permutation(self.count)[index_in_epoch]
        return self.sample(int(image), np.random.default_rng([self.seed, epoch, index_in_epoch + 1]))


@dataclass(frozen=True)
class Corrections:
    """The correction of each image (a path), None without one, and how much a corrected pixel counts in the loss."""

    files: Sequence[str | None]
    weight: float


def corrections_of(params: Mapping) -> Corrections | None:
    """What `workflow.train_job` adds to the parameters of a training in which corrections have a weight; else None."""
    return Corrections(params["corrections"], params["correction_weight"]) if "corrections" in params else None


def labelled_crops(
    images: Sequence[str],
    labels: Sequence[str],
    crop: int,
    scale: tuple[float, float],
    mean: np.ndarray,
    size: tuple[int, int] | None = None,
    corrections: Corrections | None = None,
    jitter: Sequence[float] = (),
) -> Sampler:
    """A sampler of images and their labels (paths), scaled, mirrored and cropped at random.

    crop: side [pixels]; scale: range of the random scaling; mean: float [3], 0..255, the colour of the padding; size:
    of the label's grid over the crop, None for the crop's own; jitter: as in `jitter_colours`. A sample is uint8 [crop,
    crop, 3] and uint8 [crop, crop] or of `size`. With corrections, these override the label, and a third array, float32
    of the label's size, holds the weight of each pixel: theirs where the label is corrected, else 1.
    """

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = rescale(read_image(images[index]), read_label(labels[index]), rng.uniform(*scale))
        pixels, label = flip_and_crop(jitter_colours(image, jitter, rng), label, crop, mean, rng)
        return pixels, resize_label(label, *(size or label.shape))

    def corrected_sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert corrections
        image, label = rescale(read_image(images[index]), read_label(labels[index]), rng.uniform(*scale))
        file = corrections.files[index]
        own = fit_correction(read_label(file), *label.shape) if file else np.full_like(label, IGNORE)
        pixels, both = flip_and_crop(jitter_colours(image, jitter, rng), np.dstack([label, own]), crop, mean, rng)
        label, own = (np.ascontiguousarray(layer) for layer in both.transpose(2, 0, 1))
        label, own = resize_label(label, *(size or label.shape)), fit_correction(own, *(size or own.shape))
        weight = np.where(own != IGNORE, corrections.weight, 1).astype(np.float32)
        return pixels, apply_correction(label, own), weight

    return corrected_sample if corrections else sample
