"""What the scripts of the four trainings have in common."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from wsgcn.files import atomic_write, why_skipped, write_json
from wsgcn.networks.device import pick_device
from wsgcn.networks.training import FitContext
from wsgcn.workflow.check import inspect
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import environment_tags, source_hash


def train_job(job, train: Callable[[Sequence[int], FitContext], tuple[nn.Module, pd.DataFrame]]) -> None:
    """Train in a Snakemake job, from its checkpoint if it has one, and write the model and its history of losses.

    job: with inputs `images` and perhaps as many `labels`, outputs `model`, `history` and `seconds`. train(places,
    run): trains on the images at these places, which are all but the skipped ones. The number of threads is the
    config's, not that of the job's cores: sums in another order round otherwise, and a training makes much of that.
    Ends the process with one sentence where it fails, or where all of its images were skipped.
    """
    with logged(job.log[0]):
        torch.set_num_threads(job.config["training_threads"])
        checkpoint = Path(f"{job.output.model}.checkpoint")
        device = pick_device(job.resources.device)
        run = FitContext(
            job.params.seed,
            device,
            workers=max(1, job.threads - job.config["training_threads"]),
            checkpoint=checkpoint,
            seconds=job.config["checkpoint_seconds"],
            key=training_key([dict(job.params.items()), job.config["training_threads"], device.type], list(job.input)),
        )
        made_by = environment_tags(job) | {"training_threads": job.config["training_threads"]}
        model, history = train(_usable(job), run)
        raw = io.BytesIO()  # torch writes a path's name into the file, and hides why it cannot be written
        torch.save(model.cpu().state_dict(), raw)
        with atomic_write(job.output.model) as path:
            path.write_bytes(raw.getbuffer())
        with atomic_write(job.output.history) as path:
            history.to_csv(path)
        write_json(job.output.seconds, {"seconds": history.attrs["seconds"], "made_by": made_by})
        checkpoint.unlink(missing_ok=True)


def training_key(settings: object, inputs: Sequence[str]) -> str:
    """A hash of what a training depends on: its settings, its inputs' sizes and times, this package, torch."""
    marks = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in inputs]
    described = json.dumps([settings, marks, torch.__version__, source_hash()], default=str)
    return hashlib.sha256(described.encode()).hexdigest()


def _usable(job) -> list[int]:
    """The places of the images that no earlier stage skipped, and, where bad ones are skipped, that can be read."""
    images, labels = job.input.images, job.input.get("labels")
    places = list(range(len(images)))
    if labels:
        places = [k for k in places if not why_skipped(labels[k])]
    elif job.config["on_error"] == "skip":
        places = [k for k in places if not inspect(images[k], None, ()).image]
    if not places:
        raise ValueError("all of its images were skipped, so there is nothing to train on")
    if len(places) < len(images):
        print(f"trains on {len(places)} of {len(images)} images; the others were skipped")
    return places
