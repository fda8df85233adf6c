"""The one training loop: SGD on a poly schedule over an endless, seeded stream of augmented samples.

A training that is killed resumes from its last checkpoint and ends as it would have without the interruption.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from wsgcn.files import atomic_write
from wsgcn.networks.samples import Sampler, SampleStream

NUM_ROWS = 20
"""A history has about this many rows, and a log this many lines."""

MAX_SILENCE_SECONDS = 60
"""Longest time between two lines about a training."""


@dataclass(frozen=True)
class FitContext:
    """How a training is carried out.

    seed: of initial weights, order and augmentation; workers: processes that load samples, without effect on results;
    report: receives lines of progress; checkpoint: file of the state, if one is kept, written every `seconds` [s] at
    most; key: a hash of what the training depends on, so that it never resumes from the state of another one.
    """

    seed: int
    device: torch.device
    workers: int = 0
    report: Callable[[str], None] = print
    checkpoint: Path | None = None
    seconds: float = 60
    key: str = ""


Train = Callable[[Sequence[str], Sequence, Mapping, FitContext], tuple[nn.Module, pd.DataFrame]]
"""train(images, targets, params, context): how every kind of network is trained in a job.

images: paths; targets: what each is trained on: the path of its label, or its classes (indices from 1); params: those
of the job, plain sections of the config. Returns the model and its losses, as `fit` does.
"""


def fit(
    model: nn.Module,
    groups: list[dict],
    loss: Callable[..., dict[str, torch.Tensor]],
    count: int,
    sample: Sampler,
    context: FitContext,
    *,
    batch: int,
    iterations: int,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    power: float = 0.9,
) -> pd.DataFrame:
    """Train `model` in place and return the losses.

    groups: SGD parameter groups with their `lr`, scaled by (1 - step / iterations)^power; sample(index, rng): tuple of
    arrays of image `index` of `count`; loss(*batch): the terms by name, of which `loss` is minimised. A line with loss
    and time left is reported every minute and every twentieth of the steps. Returns the means over those twentieths,
    indexed by step; its `attrs` hold the `seconds` that all steps took, also those before a restart.
    Raises FloatingPointError, with the step, where the loss or in the end a weight is not finite.
    """
    optimizer = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    state = _read_state(context)
    first = state.get("step", 0)
    loader = _loader(SampleStream(count, iterations * batch, context.seed, sample), first * batch, batch, context)
    if state:
        _restore(state, model, optimizer)
        context.report(f"resumes after step {first}/{iterations}")
    progress = _Progress(state, iterations, context)
    for step, arrays in enumerate(loader, start=first + 1):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - (step - 1) / iterations) ** power
        terms = loss(*(array.to(context.device, non_blocking=True) for array in arrays))
        value = terms["loss"]
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} at step {step} of {iterations}; a lower lr may help")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        progress.record(step, terms)
        progress.save_when_due(step, model, optimizer)
    if not all(torch.isfinite(values).all() for values in model.state_dict().values()):
        raise FloatingPointError(f"the weights are not finite after step {iterations}; a lower lr may help")
    return progress.history()


def _loader(stream: SampleStream, start: int, batch: int, context: FitContext) -> DataLoader:
    """Batches of the stream's samples from `start` on, in their order."""
    return DataLoader(
        Subset(stream, range(start, len(stream))),
        batch_size=batch,
        num_workers=context.workers,
        pin_memory=context.device.type == "cuda",
        multiprocessing_context="fork" if context.workers else None,
        generator=torch.Generator(),  # of the workers' seeds; torch's own stays as a restart finds it
    )


class _Progress:
    """What a training has done so far: rows of its history, terms since the last row, lines, checkpoints, seconds."""

    def __init__(self, state: Mapping, iterations: int, context: FitContext):
        self.context, self.iterations, self.first = context, iterations, state.get("step", 0)
        self.rows, self.recent = state.get("rows", []), state.get("stretch", [])
        self.seconds_before = state.get("seconds", 0)
        self.started = self.reported = self.saved = time.monotonic()

    def record(self, step: int, terms: Mapping[str, torch.Tensor]) -> None:
        """Add a step's terms; close a row of the history and report a line where they are due."""
        self.recent.append({name: term.item() for name, term in terms.items()})
        now, iterations = time.monotonic(), self.iterations
        row_due = step % max(1, iterations // NUM_ROWS) == 0 or step == iterations
        if not row_due and now - self.reported <= MAX_SILENCE_SECONDS:
            return
        self.reported, left = now, (now - self.started) / (step - self.first) * (iterations - step)
        mean = pd.DataFrame(self.recent).mean()
        self.context.report(f"step {step}/{iterations}, loss {mean['loss']:.4f}, {left / 60:.1f} min left")
        if row_due:
            self.rows.append({"step": step} | mean.to_dict())
            self.recent = []

    def save_when_due(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint if the last one is old enough."""
        if self.context.checkpoint and time.monotonic() - self.saved >= self.context.seconds:
            progress = {"step": step, "rows": self.rows, "stretch": self.recent, "seconds": self._seconds()}
            _write_state(self.context.checkpoint, self.context, progress, model, optimizer)
            self.saved = time.monotonic()

    def history(self) -> pd.DataFrame:
        """The rows so far, indexed by step, with the `seconds` of all steps in `attrs`."""
        history = pd.DataFrame(self.rows).set_index("step")
        history.attrs["seconds"] = self._seconds()
        return history

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started


def _write_state(
    checkpoint: Path, context: FitContext, progress: dict, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
    if context.device.type == "cuda":
        states["random of the gpu"] = torch.cuda.get_rng_state()
    raw = io.BytesIO()  # torch's own error on a full disk says nothing of it
    torch.save({"key": context.key} | progress | states, raw)
    try:
        with atomic_write(checkpoint) as path:
            path.write_bytes(raw.getbuffer())
    except OSError as error:
        context.report(f"the checkpoint of step {progress['step']} could not be written: {error}")


def _read_state(context: FitContext) -> dict:
    """What `_write_state` wrote for the same training; empty without a checkpoint that can be read."""
    if not context.checkpoint or not context.checkpoint.is_file():
        return {}
    try:
        state = torch.load(context.checkpoint, map_location=context.device, weights_only=True)
        same = state["key"] == context.key
    except Exception as error:  # whatever torch raises on a broken file
        context.report(f"checkpoint {context.checkpoint} cannot be read, so the training starts over: {error}")
        return {}
    if not same:
        context.report(f"checkpoint {context.checkpoint} is of another training, so this one starts over")
        return {}
    return state


def _restore(state: Mapping, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The model, the optimizer and torch's random numbers as they were when the state was written."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"].cpu())
    if "random of the gpu" in state:
        torch.cuda.set_rng_state(state["random of the gpu"].cpu())
