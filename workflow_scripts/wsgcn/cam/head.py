"""The classifier's head alone, on a frozen backbone: logistic regression on pooled features, solved exactly.

Global average pooling and a linear head are logistic regression on the mean of a feature map. From few images this
gives better CAMs than training the backbone, in a second.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import average_precision_score

from wsgcn.cam.classifier import CamSettings, Classifier, build_classifier
from wsgcn.files import read_arrays
from wsgcn.networks.backbone import Backbone, BackboneSettings, build_backbone
from wsgcn.networks.inference import scaled_and_flipped
from wsgcn.networks.training import FitContext
from wsgcn.sections import from_section
from wsgcn.text import metric_part

MAX_ITERATIONS = 1000
"""Of L-BFGS; it converges in far fewer."""

GRADIENT_TOLERANCE = 1e-6
"""L-BFGS ends where no entry of the gradient is larger."""


@dataclass(frozen=True)
class HeadSettings:
    """Of the `classifier` section: candidates for the weight of the L2 penalty, number of folds that choose one."""

    l2: tuple[float, ...]
    folds: int


def open_pooled_features(params: Mapping, device: torch.device) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The function from an image, uint8 RGB [H, W, 3], to the arrays of its file of features.

    params: backbone, settings (`CamSettings`). The file holds pooled float32 [V, D]: the mean over the final feature
    map of each of the V scaled and mirrored views that its CAM is made from.
    """
    backbone = frozen_backbone(from_section(BackboneSettings, params["backbone"]), device)
    settings = from_section(CamSettings, params["settings"])
    return lambda image: {"pooled": pool_views(backbone, image, settings, device)}


def frozen_backbone(settings: BackboneSettings, device: torch.device) -> Backbone:
    """A backbone with its initial weights, for inference."""
    built = build_backbone(settings.name, settings.weights, output_stride=16, dilated=settings.dilated)
    return built.to(device, memory_format=torch.channels_last).eval()


@torch.inference_mode()
def pool_views(backbone: Backbone, image: np.ndarray, settings: CamSettings, device: torch.device) -> np.ndarray:
    """The mean over the final feature map of each scaled and mirrored view of an image, float32 [V, D]."""
    views = (scaled_and_flipped(image, scale, settings.flip, backbone, device) for scale in settings.scales)
    return torch.cat([backbone.forward_features(view).mean((2, 3)) for view in views]).cpu().numpy()


def train_head(
    files: Sequence[str], targets: Sequence[Sequence[int]], params: Mapping, context: FitContext
) -> tuple[Classifier, pd.DataFrame]:
    """The classifier whose head is solved on the files of features of the images, given their classes (from 1).

    params: classes (their number C), names (theirs), groups (of the images, `fold_of_images`),
    backbone, settings (`HeadSettings`). Features
    are divided by their standard deviation over all views. Returns the model and, by fold (the index `step`), the
    average precision (AP) of the tags on the images held out: `ap_fold`, the mean over classes, and `ap/<class>`, nan
    where all or none of the held-out images show the class. The columns `ap`, the mean over all of these, `l2`, the
    chosen weight, and `loss`, that of the solution on all images, are constant.
    """
    started = time.monotonic()
    settings = from_section(HeadSettings, params["settings"])
    pooled = np.stack([read_arrays(path)["pooled"] for path in files]).astype(np.float64)
    tags = tag_matrix(targets, params["classes"])
    scale = pooled.std((0, 1)) + 1e-6
    fold = fold_of_images(params["groups"], tags, settings.folds)
    precisions = cross_validate(pooled / scale, tags, settings, fold, context.report)
    l2 = best_weight(precisions)
    weights, loss = solve_head(*_views(pooled / scale, tags), l2)
    model = build_classifier(from_section(BackboneSettings, params["backbone"]), params["classes"])
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weights / scale)[:, :, None, None])
    history = precision_table(precisions[l2], params["names"]).assign(
        ap=mean_precision(precisions[l2]), l2=l2, loss=loss
    )
    history.attrs["seconds"] = time.monotonic() - started
    return model, history


def tag_matrix(targets: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """Classes of images (indices from 1) as float [n, C] of 0 and 1."""
    tags = np.zeros((len(targets), classes))
    for row, own in zip(tags, targets, strict=True):
        row[np.array(own, int) - 1] = 1
    return tags


def fold_of_images(groups: Sequence[str], tags: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each image, int [n] in 0..folds-1: groups of equal tags are dealt out evenly, each to one fold.

    groups: of the images, or the id of one that stands alone; tags: [n, C], a group's are those of any of its images.
    Their order is that of a hash of the names, so that it depends on no order of the list.
    """
    shown: dict[str, np.ndarray] = {}
    for group, own in zip(groups, tags, strict=True):
        shown[group] = np.maximum(shown.get(group, own), own)
    order = sorted(shown, key=lambda group: (tuple(shown[group]), hashlib.sha256(group.encode()).hexdigest()))
    fold = {group: k % folds for k, group in enumerate(order)}
    return np.array([fold[group] for group in groups])


def solve_head(
    features: np.ndarray, tags: np.ndarray, l2: float, start: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """The weights W [C, D] that minimise the mean over classes and rows of the binary cross-entropy plus l2 · |w_c|².

    features: X [n, D]; tags: Y [n, C]; the logits are X Wᵗ, without a bias, as in a CAM. The problem is strictly
    convex, so there is one solution, whatever the start [C, D], by default zero. Returns W and the minimum.
    """
    rows, shape = len(features), (tags.shape[1], features.shape[1])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(shape)
        logits = features @ w.T
        loss = (np.logaddexp(0, logits) - tags * logits).sum() / rows + l2 * np.square(w).sum()
        return loss, ((expit(logits) - tags).T @ features / rows + 2 * l2 * w).ravel()

    options = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "gtol": GRADIENT_TOLERANCE, "ftol": 0}
    begin = np.zeros(shape) if start is None else start
    found = minimize(objective, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape), float(found.fun) / shape[0]


def cross_validate(
    pooled: np.ndarray,
    tags: np.ndarray,
    settings: HeadSettings,
    fold: np.ndarray,
    report: Callable[[str], None] = print,
) -> dict[float, np.ndarray]:
    """The AP of held-out tags for each candidate of `settings.l2`, [folds, C]; nan where a class has none or all.

    pooled: [n, V, D]; tags: [n, C]; fold: [n]. An image's score is the mean logit of its views.
    """
    width = (tags.shape[1], pooled.shape[2])
    starts = [np.zeros(width) for _ in range(settings.folds)]  # each solution starts at that of the larger weight
    found = {}
    for l2 in sorted(settings.l2, reverse=True):
        table = np.full((settings.folds, tags.shape[1]), np.nan)
        for k in range(settings.folds):
            held_out = fold == k
            if held_out.any() and not held_out.all():
                starts[k], _ = solve_head(*_views(pooled[~held_out], tags[~held_out]), l2, starts[k])
                table[k] = average_precisions(tags[held_out], pooled[held_out].mean(1) @ starts[k].T)
        found[l2] = table
        report(f"L2 weight {l2:g}: cross-validated AP {mean_precision(table):.3f}")
    return found


def average_precisions(tags: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each class [C] from tags and scores [n, C]; nan where all or no images show it."""
    known = (tags.min(0) == 0) & (tags.max(0) == 1)
    return np.array(
        [average_precision_score(t, s) if k else np.nan for t, s, k in zip(tags.T, scores.T, known, strict=True)]
    )


def best_weight(precisions: Mapping[float, np.ndarray]) -> float:
    """The candidate of the highest mean AP, the largest of equal ones; the largest where no AP is known."""
    return max(precisions, key=lambda l2: (round(mean_precision(precisions[l2]), 6), l2))


def mean_precision(precisions: np.ndarray) -> float:
    """The mean of APs [folds, C], 0 where none is known."""
    return float(np.nanmean(precisions)) if np.isfinite(precisions).any() else 0.0


def _views(pooled: np.ndarray, tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of images [n, V, D] as rows [n·V, D], and the tags of each row."""
    return pooled.reshape(-1, pooled.shape[2]), np.repeat(tags, pooled.shape[1], 0)


def precision_table(precisions: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """APs [folds, C] as a history by fold, the index `step`: `ap_fold`, the mean over classes, and `ap/<class>`."""
    table = pd.DataFrame(precisions, columns=[f"ap/{metric_part(name)}" for name in names])
    table.insert(0, "ap_fold", table.mean(axis=1))
    return table.set_index(pd.RangeIndex(1, len(table) + 1, name="step"))
