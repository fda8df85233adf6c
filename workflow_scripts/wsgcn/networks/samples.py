"""The samples of a training: an endless, seeded stream of augmented images."""

from collections.abc import Callable, Sequence

import numpy as np
from torch.utils.data import Dataset

from wsgcn.data.augment import flip_and_crop, rescale, resize_label
from wsgcn.files import read_image, read_label

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


def labelled_crops(
    images: Sequence[str],
    labels: Sequence[str],
    crop: int,
    scale: tuple[float, float],
    mean: np.ndarray,
    size: tuple[int, int] | None = None,
) -> Sampler:
    """A sampler of images and their labels (paths), scaled, mirrored and cropped at random.

    crop: side [pixels]; scale: range of the random scaling; mean: float [3], 0..255, the colour of the padding; size:
    of the label's grid over the crop, None for the crop's own. A sample is uint8 [crop, crop, 3] and uint8
    [crop, crop] or of `size`.
    """

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        scaled = rescale(read_image(images[index]), read_label(labels[index]), rng.uniform(*scale))
        pixels, label = flip_and_crop(*scaled, crop, mean, rng)
        return pixels, resize_label(label, *(size or label.shape))

    return sample
