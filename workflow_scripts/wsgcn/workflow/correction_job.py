"""The job of a corrected image: its label and confidence, with every corrected pixel as it was corrected."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from wsgcn.data.corrections import added_classes, apply_correction, fit_correction
from wsgcn.evaluation.metrics import confusion
from wsgcn.files import IGNORE, read_arrays, read_image, read_label, why_skipped, write_arrays, write_grey, write_label
from wsgcn.labels.crf import CrfSettings
from wsgcn.labels.pseudo import complete_label
from wsgcn.sections import from_section
from wsgcn.workflow.jobs import at_full_size, each_image, logged
from wsgcn.workflow.method_jobs import job_device, refiner_input
from wsgcn.workflow.rows import load


def read_correction(path: str, size: tuple[int, ...]) -> np.ndarray:
    """A correction, uint8 [H, W]. Raises ValueError where it is not of its image's size (H, W)."""
    correction = read_label(path)
    if correction.shape != tuple(size):
        own, image = ("×".join(map(str, reversed(shape))) for shape in (correction.shape, size))
        raise ValueError(f"correction {path} is {own}, but its image is {image}")
    return correction


def correct_labels(job, function: str) -> None:
    """Write the label and the confidence of corrected images, and how right the label was that each replaces.

    job: as that of pseudo labels, with `corrections` among its inputs and, where the refiner, `function`, reads partial
    labels, all that it reads; then the image is refined again, its corrected nodes being labelled. A correction without
    a pixel of 255 is the label itself. `before` gets the confusion of the corrected pixels with the label as it is
    without the correction, `counts` int [C + 1, C + 2] (all 0 where an earlier stage skipped the image), and whether
    the correction is `full`.
    """
    with logged(job.log[0]):
        p, inputs, outputs = job.params, job.input, job.output
        crf, crf_input = from_section(CrfSettings, p.crf), p.get("crf_input", "probabilities")

        def work(k: int) -> None:
            image = read_image(inputs.images[k])
            size = (p.get("full_sizes") or {k: None})[k] or image.shape[:2]
            correction = read_correction(inputs.corrections[k], size)
            known = correction != IGNORE
            label, confidence = correction, np.full_like(correction, 255)
            counts = np.zeros((p.num_classes + 1, p.num_classes + 2), np.int64)
            if not known.all() or not why_skipped(inputs.refined[k]):
                refined = read_arrays(inputs.refined[k])
                before, _ = complete_label(image, refined["scores"], refined["keys"].tolist(), crf, crf_input=crf_input)
                counts = confusion(correction, at_full_size(before, p, k), p.num_classes)
            if not known.all():
                scores = _refine_again(job, k, function, correction) if "labels" in inputs.keys() else refined  # noqa: SIM118
                certain = fit_correction(correction, *image.shape[:2])
                found = complete_label(image, scores["scores"], list(scores["keys"]), crf, certain, crf_input)
                label, confidence = (at_full_size(own, p, k) for own in found)
            write_label(outputs.labels[k], apply_correction(label, correction))
            write_grey(outputs.confidences[k], np.where(known, 255, confidence).astype(np.uint8))
            write_arrays(outputs.before[k], counts=counts, full=np.array(known.all()))

        each_image(job, work)


def _refine_again(job, k: int, function: str, correction: np.ndarray) -> Mapping[str, Any]:
    """`keys` and `scores` of an image whose corrected nodes are labelled; all background where it has no tag, since
    nothing is known of its graph then."""
    image = refiner_input(job, k)
    if not image.keys:
        return {"keys": (), "scores": np.ones((1, *image.partial.shape))}
    own = fit_correction(correction, *image.partial.shape)
    keys = tuple(sorted((*image.keys, *added_classes(own, image.keys))))
    corrected = replace(image, keys=keys, partial=apply_correction(image.partial, own))
    [result] = load(function)([corrected], job.params, job_device(job))
    return {"keys": result.keys, "scores": result.scores}
