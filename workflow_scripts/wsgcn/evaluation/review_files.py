"""The files of the review: what was measured of each label, the truth of those that have a mask, the tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsgcn.evaluation.bootstrap import interval, resampled_miou
from wsgcn.evaluation.metrics import miou
from wsgcn.evaluation.review import MeasuredLabels
from wsgcn.evaluation.review_truth import TRUTH_COLUMNS, auroc_table, image_miou
from wsgcn.files import atomic_write, read_arrays, why_skipped

MIN_FULL_MASKS = 10
"""With fewer of them among the corrections no mIoU is estimated."""


def read_measures(
    ids: Sequence[str], tags: Sequence[Sequence[int]], paths: Sequence[str]
) -> tuple[MeasuredLabels, list[str]]:
    """What was measured of the images that were not skipped, and the ids of those that were.

    paths: an .npz per image, as `review.measure_label` returns its arrays.
    """
    skipped = [image for image, path in zip(ids, paths, strict=True) if why_skipped(path)]
    kept = [k for k, image in enumerate(ids) if image not in set(skipped)]
    measures = [read_arrays(paths[k]) for k in kept]
    return MeasuredLabels([ids[k] for k in kept], [tags[k] for k in kept], measures), skipped


def truth_rows(
    labels: MeasuredLabels, scores: Mapping[str, np.ndarray], counts: np.ndarray, masked: Sequence[str]
) -> list[dict[str, object]]:
    """The `auroc_table` over the labels with masks, nothing without any.

    scores: as `review.review_scores` returns them; counts: the confusions of images with masks, whose ids are `masked`,
    int [m, C + 1, C + 2], as the evaluation of the labels keeps them.
    """
    index = {image: k for k, image in enumerate(masked)}
    mious = np.array(
        [
            image_miou(counts[index[image]], tags) if image in index else np.nan
            for image, tags in zip(labels.ids, labels.tags, strict=True)
        ]
    )
    known = np.isfinite(mious)
    return auroc_table({name: own[known] for name, own in scores.items()}, mious[known]) if known.any() else []


def estimate_sentence(paths: Sequence[str]) -> str:
    """The mIoU that the labels had before full masks replaced them, and its 95 % interval over resampled images.

    paths: what was kept of each corrected image (.npz): `counts` as `metrics.confusion` of the correction with the
    label before it, and whether it is `full`. Empty below `MIN_FULL_MASKS` full masks.
    """
    kept = [read_arrays(path) for path in paths if not why_skipped(path)]
    full = [own["counts"] for own in kept if own["full"] and own["counts"].any()]
    if len(full) < MIN_FULL_MASKS:
        return ""
    counts = np.stack(full)
    low, high = interval(resampled_miou(counts))
    return (
        f"Before they were corrected, the labels of {len(full)} images with full masks had an mIoU of "
        f"{100 * miou(counts.sum(0)):.1f} (95 %: {100 * low:.1f} to {100 * high:.1f}). If these images were drawn at "
        "random, that estimates the labels without a correction; if they were chosen worst first, it is too low."
    )


def write_table(path: str | Path, rows: Sequence[Mapping], columns: Sequence[str] = TRUTH_COLUMNS) -> None:
    """Write rows as CSV, atomically, lists of names joined by a semicolon; columns: the header where there are none."""
    joined = [
        {name: ";".join(value) if isinstance(value, list) else value for name, value in row.items()} for row in rows
    ]
    with atomic_write(path) as temporary:
        pd.DataFrame(joined, columns=list(rows[0]) if rows else list(columns)).to_csv(temporary, index=False)
