"""The batch jobs of the registries' methods: read an image's files, call the method, write what it returns.

Each takes the `snakemake` object of its script and the function that a row of `wsgcn.workflow.stages` names. What a
method needs, a network above all, is loaded once per job. Methods never see an image without a class: its CAMs have no
channel, its labels and scores are all background, and nothing is computed for them.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from wsgcn.files import read_arrays, read_image, read_label, write_arrays, write_grey, write_label
from wsgcn.workflow.jobs import at_full_size, each_group, each_image, logged
from wsgcn.workflow.rows import INPUTS, load


def job_device(job):
    """Where the job's network runs; None for a job without one, which then needs no torch."""
    if not job.resources.get("device"):
        return None
    from wsgcn.networks.device import pick_device

    return pick_device(job.resources.device)


def make_cams(job, source: str) -> None:
    """Write the CAMs of a job's images: `keys`, `cam` on the grid and `high_res` at working size, float16."""
    from wsgcn.cam.contract import CamInput
    from wsgcn.graph.grid import grid_size

    with logged(job.log[0]):
        p = job.params
        open_source = cache(lambda: load(source)(p, job.input.get("model"), job_device(job)))
        tagged = [k for k, keys in enumerate(p.labels) if keys]
        files = dict(zip(tagged, job.input.get("cams") or [], strict=False))  # a negative has none

        def maps_of(k: int, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if not p.labels[k]:
                return np.zeros((0, *grid_size(*image.shape[:2]))), np.zeros((0, *image.shape[:2]))
            sizes = p.get("full_sizes")
            return open_source()(CamInput(image, tuple(p.labels[k]), files.get(k), sizes[k] if sizes else None))

        def work(k: int) -> None:
            cam, high_res = maps_of(k, read_image(job.input.images[k]))
            arrays = {"cam": cam.astype(np.float16), "high_res": high_res.astype(np.float16)}
            write_arrays(job.output.cams[k], keys=np.array(p.labels[k], np.uint8), **arrays)

        each_image(job, work)


def extract_features(job, function: str) -> None:
    """Write the features of images that a classifier is trained on in place of these."""
    with logged(job.log[0]):
        extract = load(function)(job.params, job_device(job))

        def work(k: int) -> None:
            write_arrays(job.output.features[k], **extract(read_image(job.input.images[k])))

        each_image(job, work)


def label_images(job, function: str) -> None:
    """Write the labels that an affinity network is trained on, uint8 at working size."""
    with logged(job.log[0]):
        label = load(function)

        def work(k: int) -> None:
            cam, image = read_arrays(job.input.cams[k]), read_image(job.input.images[k])
            path = job.output.labels[k]
            found: Any = np.zeros(image.shape[:2], np.uint8)
            has_arrays = Path(path).suffix == ".npz"  # of the network's own, so that it makes those of no class too
            if len(cam["keys"]) or has_arrays:
                found = label(image, cam["high_res"].astype(np.float32), cam["keys"], job.params.settings)
            if has_arrays:
                write_arrays(path, **found)
            else:
                write_label(path, found)

        each_image(job, work)


def infer_affinities(job, function: str) -> None:
    """Write what an affinity network says of each image: what its matrix is made from, never the matrix itself.

    Of an image without a class, which is not refined, the size of its grid alone.
    """
    from wsgcn.graph.grid import grid_size

    with logged(job.log[0]):
        p = job.params
        open_network = cache(lambda: load(function)(p, job.input.model, job_device(job)))

        def work(k: int) -> None:
            image = read_image(job.input.images[k])
            negative = p.ids[k] in p.get("negatives", [])
            arrays = {"grid": np.array(grid_size(*image.shape[:2]))} if negative else open_network()(image)
            write_arrays(job.output.affinities[k], **arrays)

        each_image(job, work)


FIELDS = {"image": "image", "cam": "cam", "affinity": "network_output", "partial": "partial"}
"""The fields of a `RefinerInput`, by what a refiner reads."""


def _read(stage: str, path: str) -> Any:
    if stage == "image":
        return read_image(path)
    return read_label(path) if stage == "partial" else read_arrays(path)


def _grid_of(image: Any) -> tuple[int, ...]:
    """The grid (h, w) of a `RefinerInput` without a class, from whatever the refiner reads."""
    if image.cam is not None:
        return image.cam["cam"].shape[1:]
    if image.partial is not None:
        return image.partial.shape
    if image.network_output is not None:
        return tuple(image.network_output["grid"])
    from wsgcn.graph.grid import grid_size  # imports torch, which takes seconds

    return grid_size(*image.image.shape[:2])


def refiner_input(job, k: int):
    """What a refiner knows of a job's image at index `k`, a `RefinerInput`, from the job's inputs."""
    from wsgcn.refinement.contract import RefinerInput

    stages = [stage for stage, name in INPUTS.items() if job.input.get(name)]
    found = {FIELDS[stage]: _read(stage, job.input[INPUTS[stage]][k]) for stage in stages}
    keys = found["cam"]["keys"].tolist() if "cam" in found else job.params.classes[k]
    return RefinerInput(job.params.ids[k], tuple(keys), **found)


def refine_images(job, function: str) -> None:
    """Write refined scores, float16 with the background first, and the losses of refiners that have them."""
    from wsgcn.refinement.contract import Refined

    with logged(job.log[0]):
        refine, device, p = load(function), job_device(job), job.params

        def work(indices: Sequence[int]) -> None:
            images = {k: refiner_input(job, k) for k in indices}
            tagged = {k: image for k, image in images.items() if image.keys}
            results = {k: Refined((), np.ones((1, *_grid_of(i)))) for k, i in images.items() if not i.keys}
            if tagged:
                results |= dict(zip(tagged, refine(list(tagged.values()), p, device), strict=True))
            for k, result in results.items():
                losses = {} if result.losses is None else {"losses": result.losses}
                arrays: dict[str, np.ndarray] = {"keys": np.array(result.keys, np.uint8)}
                arrays |= {"scores": result.scores.astype(np.float16)}
                write_arrays(job.output.refined[k], **arrays, **losses)

        on_gpu = device is not None and device.type == "cuda"
        each_group(job, job.resources.device_batch if on_gpu else 1, work)


def predict_images(job, function: str) -> None:
    """Write the labels of images at a single scale, at several, and those through a dense CRF."""
    from wsgcn.sections import from_section
    from wsgcn.segmentation.prediction import PredictionSettings, predict_labels

    with logged(job.log[0]):
        p = job.params
        segment = load(function)(p, job.input.model, job_device(job))
        settings = from_section(PredictionSettings, p.settings)

        def work(k: int) -> None:
            for name, label in predict_labels(segment, read_image(job.input.images[k]), settings).items():
                write_label(job.output[name][k], at_full_size(label, p, k))

        each_image(job, work)


def predict_folder(job, function: str) -> None:
    """Write label and confidence of images that belong to no list of the data set."""
    from wsgcn.sections import from_section
    from wsgcn.segmentation.prediction import PredictionSettings, predict_with_confidence

    with logged(job.log[0]):
        p = job.params
        segment = load(function)(p, job.input.model, job_device(job))
        settings = from_section(PredictionSettings, p.settings)

        def work(k: int) -> None:
            label, confidence = predict_with_confidence(segment, read_image(job.input.images[k]), settings)
            write_grey(job.output.confidence[k], at_full_size(confidence, p, k))
            write_label(job.output.labels[k], at_full_size(label, p, k))

        each_image(job, work)
