"""The ground truth of a list of images: the masks of those that have one, as classes of the data set."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from wsgcn.data.dataset import read_truth


@dataclass(frozen=True)
class GroundTruth:
    """Image ids, the path of each image's mask (None without one), the meaning of a mask's values, the classes.

    mask_values: as in `dataset.Dataset`; classes: foreground names, class k is `classes[k - 1]`; negatives: the ids of
    images whose tags say that they show none of the classes.
    """

    ids: Sequence[str]
    masks: Sequence[str | None]
    mask_values: Sequence[int]
    classes: Sequence[str] = ()
    negatives: Collection[str] = ()

    def read(self, index: int) -> np.ndarray | None:
        """The mask of the image at `index`, uint8 [H, W], 255 ignored; None without one.

        Raises ValueError, naming the mask, on a value that is no class.
        """
        mask = self.masks[index]
        return read_truth(mask, tuple(self.mask_values)) if mask else None
