"""The job of every training: from its checkpoint if there is one, to the model and the history of its losses."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from wsgcn.affinity.learning import describe_gain, why_flat
from wsgcn.files import atomic_write, why_skipped, write_json
from wsgcn.networks.device import pick_device
from wsgcn.networks.training import FitContext, Train
from wsgcn.workflow.check import inspect
from wsgcn.workflow.jobs import logged
from wsgcn.workflow.provenance import environment_tags, source_hash


def train_job(job, train: Train) -> None:
    """Train in a Snakemake job and write the model, its history of losses and the seconds it took.

    job: with inputs `images` or `features`, targets as inputs or parameters `labels`, the parameters of `train`,
    outputs `model`, `history` and `seconds`. Where corrections have a weight, also with the input `corrections` and the
    parameters `corrected`, the indices of their images, and `correction_weight`. Skipped images are left out. The
    number of threads is the config's, not that of the job's cores: other numbers of threads sum in another order, and
    training amplifies the differences in rounding.
    Ends the process with one sentence where the training fails, where all of its images or all that show a class were
    skipped, and, unless `on_flat_affinity` of the config is `report`, where an affinity network has learnt nothing.
    """
    with logged(job.log[0]):
        torch.set_num_threads(job.config["training_threads"])
        checkpoint = Path(f"{job.output.model}.checkpoint")
        params, device = dict(job.params.items()), pick_device(job.resources.device)
        context = FitContext(
            params.get("seed", 0),  # none where the solution is exact
            device,
            workers=max(1, job.threads - job.config["training_threads"]),
            checkpoint=checkpoint,
            seconds=job.config["checkpoint_seconds"],
            key=training_key([params, job.config["training_threads"], device.type], list(job.input)),
        )
        made_by = environment_tags(job) | {"training_threads": job.config["training_threads"]}
        indices = _usable(job)
        sources = job.input.get("features") or job.input.images
        targets = job.input.get("labels") or params["labels"]
        if not job.input.get("labels"):
            _check_classes(targets, indices)
        if "corrected" in params:
            files = dict(zip(params.pop("corrected"), job.input.corrections, strict=True))
            params["corrections"] = [files.get(k) for k in range(len(sources))]
        for fact in params.keys() & {"ids", "groups", "corrections"}:
            params[fact] = [params[fact][k] for k in indices]
        with threadpool_limits(job.config["training_threads"]):  # numpy's threads too
            model, history = train([sources[k] for k in indices], [targets[k] for k in indices], params, context)
        learnt = {"learnt": history.attrs["learnt"]} if "learnt" in history.attrs else {}
        if learnt:
            print(describe_gain(learnt["learnt"]))
        if (flat := why_flat(learnt.get("learnt"))) and job.config["on_flat_affinity"] == "stop":
            raise ValueError(f"{flat}; on_flat_affinity: report uses it nevertheless")
        raw = io.BytesIO()  # torch writes a path's name into the file, and hides why it cannot be written
        torch.save(model.cpu().state_dict(), raw)
        with atomic_write(job.output.model) as path:
            path.write_bytes(raw.getbuffer())
        with atomic_write(job.output.history) as path:
            history.to_csv(path)
        write_json(job.output.seconds, {"seconds": history.attrs["seconds"], "made_by": made_by} | learnt)
        checkpoint.unlink(missing_ok=True)


def _check_classes(tags: Sequence[Sequence[int]], indices: Sequence[int]) -> None:
    lost = {tag for own in tags for tag in own} - {tag for k in indices for tag in tags[k]}
    if lost:
        which = ", ".join(str(tag) for tag in sorted(lost))
        raise ValueError(f"all images that show class {which} of dataset.classes were skipped, so it cannot be learnt")


def training_key(settings: object, inputs: Sequence[str]) -> str:
    """A hash of what a training depends on: its settings, its inputs' sizes and times, this package, torch."""
    fingerprints = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in inputs]
    described = json.dumps([settings, fingerprints, torch.__version__, source_hash()], default=str)
    return hashlib.sha256(described.encode()).hexdigest()


def _usable(job) -> list[int]:
    """Indices of the images that no earlier stage skipped, and, where bad ones are skipped, that can be read."""
    made = [files for name in ("features", "labels") if (files := job.input.get(name))]  # by earlier stages, per image
    count = len(made[0] if made else job.input.images)
    indices = list(range(count))
    if made:
        indices = [k for k in indices if not any(why_skipped(files[k]) for files in made)]
    elif job.config["on_error"] == "skip":
        indices = [k for k in indices if not inspect(job.input.images[k], None, ()).image]
    if not indices:
        raise ValueError("all of its images were skipped, so there is nothing to train on")
    if len(indices) < count:
        print(f"trains on {len(indices)} of {count} images; the others were skipped")
    return indices
