"""The baseline that WSGCN replaces: CAMs propagated along the affinities by a random walk.

Sources: IRNet (Ahn et al., CVPR 2019, section 5.2) and AffinityNet (Ahn & Kwak, CVPR 2018, section 3.3), with their
released codes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from wsgcn.affinity.matrices import affinity_matrix_from
from wsgcn.graph.stencil import scale_rows_and_columns
from wsgcn.graph.walk import walk_polynomial, walk_rows
from wsgcn.labels.scores import scores_with_background, upsample_and_cut
from wsgcn.refinement.contract import Refined, RefinerInput
from wsgcn.sections import from_section


@dataclass(frozen=True)
class RandomWalkSettings:
    """The `random_walk` section of the config.

    background: `constant` for `background_score` outside the boundaries (IRNet), `channel` for a background
    (1 - max cam)^alpha that is propagated like a class (AffinityNet). upsampling: `aligned` for scores on the grid,
    which `labels.scores.upsample` enlarges wherever a label is made of them, `cut` for those of `upsample_and_cut`, at
    full size. maximum: what a walk against a constant is divided by, the maximum of each `class` or that of the whole
    `image`. IRN's released code has `cut` and `image`.
    """

    steps: int
    background: str
    background_score: float
    alpha: float
    upsampling: str = "aligned"
    maximum: str = "class"


def refine_with_random_walk(
    images: Sequence[RefinerInput], params: Mapping, device: torch.device | None
) -> list[Refined]:
    """Scores float32 [K + 1, h, w] of each image by a random walk, [K + 1, H, W] with `upsampling: cut`.

    images: their `cam` and `network_output` are used; params: radius and beta of the affinities, `settings`, the
    section of `RandomWalkSettings`. The device is not used: a walk on a CPU is fast.
    """
    settings = from_section(RandomWalkSettings, params["settings"])
    return [_walk_cams(image, params["radius"], params["beta"], settings) for image in images]


def _walk_cams(image: RefinerInput, radius: int, beta: float, settings: RandomWalkSettings) -> Refined:
    cams = image.cam["cam"].astype(np.float32)
    affinity = affinity_matrix_from(image.network_output, cams.shape[1:], radius, beta)
    size = image.cam["high_res"].shape[1:] if settings.upsampling == "cut" else None
    if settings.background == "constant":
        boundary, steps, background = image.network_output.get("boundary"), settings.steps, settings.background_score
        scores = walk_against_constant(affinity, cams, boundary, steps, background, settings.maximum, size)
    else:
        scores = walk_with_background(affinity, cams, settings.steps, settings.alpha)
        scores = scores if size is None else upsample_and_cut(scores, *size)
    return Refined(tuple(image.cam["keys"].tolist()), scores)


def random_walk(affinity: scipy.sparse.dia_array, rows: np.ndarray, steps: int) -> np.ndarray:
    """Tᵗ x for each row x of [K, N], T = D^-1 A: every step gives a node the mean of its neighbours, weighted by A.

    affinity: A, symmetric [N, N] with ones on its diagonal (A^β of the papers). Computed as D^-½ Sᵗ D^½ with the
    symmetric S = D^-½ A D^-½, whose powers need no dense matrix. Returns float32 [K, N].
    """
    if not steps:
        return rows.astype(np.float32)
    root = np.sqrt(affinity.sum(axis=1))
    step = scale_rows_and_columns(affinity, 1 / root, 1 / root)
    polynomial = walk_polynomial(step, steps)
    return (walk_rows(polynomial, (rows * root).astype(affinity.dtype)) / root).astype(np.float32)


def walk_against_constant(
    affinity: scipy.sparse.dia_array,
    cams: np.ndarray,
    boundary: np.ndarray | None,
    steps: int,
    background: float,
    maximum: str = "class",
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Scores float32 [K + 1, h, w] of the walk as in IRNet, the constant `background` first.

    cams: [K, h, w] in 0..1. Where a boundary map [h, w] is given, the walk starts from cams · (1 - boundary). With a
    size (H, W), scores are of `upsample_and_cut`, [K + 1, H, W]. maximum: `class` then divides each class by its
    maximum, so that each reaches 1. `image` divides all by the largest of them, as IRN's released code does (with a
    size): there a class whose CAM the walk spreads thin loses to others and to the background.
    """
    start = cams if boundary is None else cams * (1 - boundary)
    walked = random_walk(affinity, start.reshape(len(cams), -1), steps).reshape(cams.shape).clip(0)
    if size is not None:
        walked = upsample_and_cut(walked, *size)
    largest = walked.max((1, 2) if maximum == "class" else None, keepdims=True)
    return np.concatenate([np.full_like(walked[:1], background), walked / np.maximum(largest, 1e-5)])


def walk_with_background(affinity: scipy.sparse.dia_array, cams: np.ndarray, steps: int, alpha: float) -> np.ndarray:
    """Scores float32 [K + 1, h, w] of the walk as in AffinityNet, with a background (1 - max cam)^alpha in the walk."""
    scores = scores_with_background(np.asarray(cams, np.float32), alpha)
    return random_walk(affinity, scores.reshape(len(scores), -1), steps).reshape(scores.shape).clip(0)
