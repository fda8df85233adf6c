"""The one training loop: SGD on a poly schedule over an endless, seeded stream of augmented samples."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


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


def iterations_for(count: int, epochs: float, batch: int) -> int:
    """Steps of `batch` samples in so many epochs over `count` images, at least one."""
    return max(1, int(count * epochs) // batch)


def fit(
    model: nn.Module,
    groups: list[dict],
    loss: Callable[..., dict[str, torch.Tensor]],
    count: int,
    sample: Callable,
    *,
    batch: int,
    iterations: int,
    seed: int,
    device: torch.device,
    workers: int = 0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    power: float = 0.9,
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Train `model` in place and return the losses.

    groups: SGD parameter groups with their `lr`, scaled by (1 - step / iterations)^power; sample(index, rng): tuple of
    arrays of image `index` of `count`; loss(*batch): the terms by name, of which `loss` is minimised. `report` gets a
    line with loss and time left every minute and every twentieth of the way. Returns the means over those twentieths,
    indexed by step.
    Raises FloatingPointError, with the step, where the loss is not finite.
    """
    optimizer = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / iterations) ** power)
    stream = SampleStream(count, iterations * batch, seed, sample)
    loader = DataLoader(
        stream,
        batch_size=batch,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        multiprocessing_context="fork" if workers else None,
    )
    every, rows, stretch = max(1, iterations // 20), [], []
    started = reported = time.monotonic()
    for step, arrays in enumerate(loader, start=1):
        terms = loss(*(array.to(device, non_blocking=True) for array in arrays))
        value = terms["loss"]
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} at step {step} of {iterations}")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        stretch.append({name: term.item() for name, term in terms.items()})
        now, due = time.monotonic(), step % every == 0 or step == iterations
        if due or now - reported > 60:
            reported, left = now, (now - started) / step * (iterations - step)
            mean = pd.DataFrame(stretch).mean()
            report(f"step {step}/{iterations}, loss {mean['loss']:.4f}, {left / 60:.1f} min left")
            if due:
                rows.append({"step": step} | mean.to_dict())
                stretch = []
    return pd.DataFrame(rows).set_index("step")
