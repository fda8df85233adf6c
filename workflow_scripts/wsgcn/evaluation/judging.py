"""The labels of one candidate, judged image by image by the rules that need no truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wsgcn.data.augment import resize_label
from wsgcn.evaluation.agreement import label_agreement, walk_label
from wsgcn.evaluation.consistency import open_pool, tag_consistency
from wsgcn.evaluation.label_files import refined_label
from wsgcn.files import read_arrays, read_image, read_label, why_skipped
from wsgcn.networks.backbone import BackboneSettings


@dataclass(frozen=True)
class JudgedFiles:
    """Images with their tags (indices from 1) and a candidate's files of each, in the same order.

    cams, affinities: empty where there is no affinity, or where the label is that of the random walk itself.
    """

    ids: Sequence[str]
    tags: Sequence[Sequence[int]]
    images: Sequence[str]
    refined: Sequence[str]
    labels: Sequence[str]
    cams: Sequence[str] = ()
    affinities: Sequence[str] = ()


def judge_agreement(files: JudgedFiles, walk: Mapping) -> dict[str, dict[str, float]]:
    """{rule: {image: score}} of `crf_agreement` and, where there are affinities, `walk_agreement`.

    walk: parameters of the random walk. Labels are compared at the size that images are processed at. Images without a
    class and skipped ones are left out.
    """
    found: dict[str, dict[str, float]] = {"crf_agreement": {}}
    if files.affinities:
        found["walk_agreement"] = {}
    for k in _judged(files):
        size, keys = read_image(files.images[k]).shape[:2], files.tags[k]
        label = resize_label(read_label(files.labels[k]), *size)
        found["crf_agreement"][files.ids[k]] = label_agreement(refined_label(files.refined[k], size), label, keys)
        if files.affinities:
            cam, network_output = read_arrays(files.cams[k]), read_arrays(files.affinities[k])
            walked = walk_label(cam, network_output, walk, size)
            found["walk_agreement"][files.ids[k]] = label_agreement(walked, label, keys)
    return found


def judge_consistency(
    files: JudgedFiles, heads: Mapping[str, np.ndarray], backbone: BackboneSettings, device: torch.device
) -> dict[str, float]:
    """{image: `tag_consistency`}, over those of its classes that some images lack.

    heads: as `consistency.held_out_heads` returns them. Images without a class and skipped ones are left out.
    """
    pool, colour = open_pool(backbone, device)
    fold = dict(zip(heads["ids"].tolist(), heads["fold"].tolist(), strict=True))
    found = {}
    for k in _judged(files):
        if own := [index for index in files.tags[k] if index in heads["separable"]]:
            image, identifier = read_image(files.images[k]), files.ids[k]
            label = resize_label(read_label(files.labels[k]), *image.shape[:2])
            weights = heads["weights"][fold[identifier]]
            found[identifier] = tag_consistency(image, label, own, weights, pool, colour)
    return found


def _judged(files: JudgedFiles) -> list[int]:
    """The indices of the images that have a class and that no stage skipped."""
    return [k for k, keys in enumerate(files.tags) if keys and not why_skipped(files.labels[k])]
