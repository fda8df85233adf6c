"""Whether a label's pixels are what a class is recognised by: tags of masked images, cross-validated.

An image is shown twice to a linear classifier of pooled features, once with the pixels of a class alone, once without
them; everything else has the backbone's mean colour. Where the label is right, the first looks like the class and the
second does not. No classifier has seen the tags of the images that it judges. The measure is coarse: a rim around an
object may help to recognise it, so labels that are a little too large can score as high as true ones.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from wsgcn.cam.classifier import CamSettings
from wsgcn.cam.head import (
    HeadSettings,
    best_weight,
    cross_validate,
    fold_of_images,
    frozen_backbone,
    pool_views,
    solve_head,
    tag_matrix,
)
from wsgcn.files import read_image
from wsgcn.networks.backbone import BackboneSettings

FLOOR = 0.1
"""Of the mean standard deviation of a feature, what is added to each one's: features that are nearly constant over
whole images vary in masked ones, and would decide everything."""

ONE_VIEW = CamSettings(scales=(1,), flip=False)

Pool = Callable[[np.ndarray], np.ndarray]
"""An image, uint8 RGB [H, W, 3], to the mean of its final feature map, float [D]."""


def open_pool(settings: BackboneSettings, device: torch.device) -> tuple[Pool, np.ndarray]:
    """The pooled features of the backbone with its initial weights, and its mean colour, uint8 [3]."""
    backbone = frozen_backbone(settings, device)

    def pool(image: np.ndarray) -> np.ndarray:
        return pool_views(backbone, image, ONE_VIEW, device)[0].astype(np.float64)

    return pool, np.round(255 * np.array(backbone.pretrained_cfg["mean"])).astype(np.uint8)


def pool_images(images: Sequence[str], pool: Pool, skips: bool) -> tuple[list[int], np.ndarray]:
    """The features [n, D] of images (paths) and their indices; skips: leave out those that cannot be read.

    Raises ValueError on such an image otherwise.
    """
    found: dict[int, np.ndarray] = {}
    for index, path in enumerate(images):
        try:
            found[index] = pool(read_image(path))
        except ValueError:
            if not skips:
                raise
    return list(found), np.stack(list(found.values()))


def separable_classes(tags: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The classes (from 1) that some of the images show and others do not: only these can be told from the rest."""
    shown = {index for own in tags for index in own}
    return tuple(sorted(index for index in shown if any(index not in own for own in tags)))


def held_out_heads(
    pooled: np.ndarray,
    tags: Sequence[Sequence[int]],
    classes: int,
    ids: Sequence[str],
    groups: Sequence[str],
    settings: HeadSettings,
) -> dict[str, np.ndarray]:
    """The heads that each judge the images they were solved without: `weights` [folds, C, D], `ids` and `fold` [n].

    pooled: features [n, D]; tags: the images' classes, from 1 to C; ids: the images'; groups: theirs, as of
    `fold_of_images`. The L2 weight is chosen as for `cam.head.train_head`,
    the folds are the same. `separable` holds the classes that can be judged; without any, nothing is solved.
    """
    found = {"ids": np.array(ids), "separable": np.array(separable_classes(tags), np.uint8)}
    if not found["separable"].size:
        return found | {"weights": np.zeros((0, classes, pooled.shape[1])), "fold": np.zeros(len(ids), int)}
    matrix, deviations = tag_matrix(tags, classes), pooled.std(0)
    scale = deviations + FLOOR * deviations.mean()
    features, fold = pooled / scale, fold_of_images(groups, matrix, settings.folds)
    l2 = best_weight(cross_validate(features[:, None], matrix, settings, fold))
    solved = [solve_head(features[fold != k], matrix[fold != k], l2)[0] / scale for k in range(fold.max() + 1)]
    return found | {"weights": np.stack(solved), "fold": fold}


def tag_consistency(
    image: np.ndarray, label: np.ndarray, classes: Sequence[int], head: np.ndarray, pool: Pool, colour: np.ndarray
) -> float:
    """The logit of the class's pixels alone minus that of all others, the mean over `classes` (from 1).

    image: uint8 RGB [H, W, 3]; label: uint8 [H, W]; head: [C, D], of classes 1 to C; colour: uint8 [3], which replaces
    what is taken away.
    """
    differences = []
    for index in classes:
        shown = (label == index)[..., None]
        alone, without = (pool(np.where(mask, image, colour)) for mask in (shown, ~shown))
        differences.append((alone - without) @ head[index - 1])
    return float(np.mean(differences))
