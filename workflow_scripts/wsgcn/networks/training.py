"""The one training loop: SGD on a poly schedule over an endless, seeded stream of augmented samples.

A training that was killed goes on from its last checkpoint and ends as it would have without the interruption.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from wsgcn.data.augment import flip_and_crop, rescale, resize_label
from wsgcn.files import atomic_write, read_image, read_label


@dataclass(frozen=True)
class FitContext:
    """How a training is carried out.

    seed: of initial weights, order and augmentation; workers: processes that load samples, which changes no result;
    report: gets lines of progress; checkpoint: where the state is kept, if anywhere, at most every `seconds` [s];
    key: what the training depends on, so that the state of another one is not taken up.
    """

    seed: int
    device: torch.device
    workers: int = 0
    report: Callable[[str], None] = print
    checkpoint: Path | None = None
    seconds: float = 60
    key: str = ""


class SampleStream(Dataset):
    """Sample k of a training: its place in epoch k // count's shuffle, augmented by a generator of its own.

    Depends on (seed, k) only, so neither the number of workers nor a restart in the middle changes what is seen.
    """

    def __init__(self, count: int, total: int, seed: int, sample: Callable):
        self.count, self.total, self.seed, self.sample = count, total, seed, sample

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, k: int):
        epoch, place = divmod(k, self.count)
        index = np.random.default_rng([self.seed, epoch]).permutation(self.count)[place]
        return self.sample(int(index), np.random.default_rng([self.seed, epoch, place + 1]))


def labelled_crops(
    images: Sequence[str],
    labels: Sequence[str],
    settings: Mapping,
    mean: np.ndarray,
    size: tuple[int, int] | None = None,
) -> Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """sample(index, rng) for `fit`: an image and its label (paths), scaled, mirrored and cut at random.

    settings: crop [pixels], scale (range); mean: float [3], 0..255, of what is padded; size: of the label's grid over
    the crop, None for the crop's own. A sample is uint8 [crop, crop, 3] and uint8 [crop, crop] or of `size`.
    """

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        scaled = rescale(read_image(images[index]), read_label(labels[index]), rng.uniform(*settings["scale"]))
        crop, label = flip_and_crop(*scaled, settings["crop"], mean, rng)
        return crop, resize_label(label, *(size or label.shape))

    return sample


def fit(
    model: nn.Module,
    groups: list[dict],
    loss: Callable[..., dict[str, torch.Tensor]],
    count: int,
    sample: Callable,
    run: FitContext,
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
    and time left is reported every minute and every twentieth of the way. Returns the means over those twentieths,
    indexed by step; its `attrs` hold the `seconds` that all steps took, also those before a restart.
    Raises FloatingPointError, with the step, where the loss or in the end a weight is not finite.
    """
    optimizer = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    state = _read_state(run)
    first, rows, stretch = state.get("step", 0), state.get("rows", []), state.get("stretch", [])
    before = state.get("seconds", 0)
    loader = DataLoader(
        Subset(SampleStream(count, iterations * batch, run.seed, sample), range(first * batch, iterations * batch)),
        batch_size=batch,
        num_workers=run.workers,
        pin_memory=run.device.type == "cuda",
        multiprocessing_context="fork" if run.workers else None,
        generator=torch.Generator(),  # of the workers' seeds; torch's own stays as a restart finds it
    )
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"].cpu())
        if "random of the gpu" in state:
            torch.cuda.set_rng_state(state["random of the gpu"].cpu())
        run.report(f"goes on after step {first}/{iterations}")
    every = max(1, iterations // 20)
    started = reported = kept = time.monotonic()
    for step, arrays in enumerate(loader, start=first + 1):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - (step - 1) / iterations) ** power
        terms = loss(*(array.to(run.device, non_blocking=True) for array in arrays))
        value = terms["loss"]
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} at step {step} of {iterations}; a lower lr may help")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        stretch.append({name: term.item() for name, term in terms.items()})
        now, due = time.monotonic(), step % every == 0 or step == iterations
        if due or now - reported > 60:
            reported, left = now, (now - started) / (step - first) * (iterations - step)
            mean = pd.DataFrame(stretch).mean()
            run.report(f"step {step}/{iterations}, loss {mean['loss']:.4f}, {left / 60:.1f} min left")
            if due:
                rows.append({"step": step} | mean.to_dict())
                stretch = []
        if run.checkpoint and now - kept >= run.seconds:
            taken = before + time.monotonic() - started
            _write_state(run, step=step, rows=rows, stretch=stretch, seconds=taken, model=model, optimizer=optimizer)
            kept = time.monotonic()
    if not all(torch.isfinite(values).all() for values in model.state_dict().values()):
        raise FloatingPointError(f"the weights are not finite after step {iterations}; a lower lr may help")
    history = pd.DataFrame(rows).set_index("step")
    history.attrs["seconds"] = before + time.monotonic() - started
    return history


def _write_state(run: FitContext, model: nn.Module, optimizer: torch.optim.Optimizer, **progress) -> None:
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
    if run.device.type == "cuda":
        states["random of the gpu"] = torch.cuda.get_rng_state()
    raw = io.BytesIO()  # torch's own words on a full disk are none
    torch.save({"key": run.key} | progress | states, raw)
    try:
        with atomic_write(run.checkpoint) as path:
            path.write_bytes(raw.getbuffer())
    except OSError as error:
        run.report(f"the checkpoint of step {progress['step']} could not be written: {error}")


def _read_state(run: FitContext) -> dict:
    """What `_write_state` wrote for the same training; empty where there is none, or none that can be read."""
    if not run.checkpoint or not run.checkpoint.is_file():
        return {}
    try:
        state = torch.load(run.checkpoint, map_location=run.device, weights_only=True)
        same = state["key"] == run.key
    except Exception as error:  # whatever torch raises on a broken file
        run.report(f"checkpoint {run.checkpoint} cannot be read, so the training begins anew: {error}")
        return {}
    if not same:
        run.report(f"checkpoint {run.checkpoint} is of another training, so this one begins anew")
        return {}
    return state
