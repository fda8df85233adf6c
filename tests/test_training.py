"""The training loop: what it sees, how it steps, when it stops."""

import numpy as np
import pytest
import torch
from torch import nn

from wsgcn.training import SampleStream, fit, iterations_for


def drawing(index, rng):
    """A sample that tells its image and what its generator draws."""
    return index, rng.random()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_epoch_covers_every_image_once(count):
    stream = SampleStream(count, 3 * count, 5, drawing)
    assert len(stream) == 3 * count
    for epoch in range(3):
        assert sorted(stream[epoch * count + k][0] for k in range(count)) == list(range(count))


def test_a_sample_depends_on_seed_and_place_only():
    stream = SampleStream(6, 60, 5, drawing)
    forward = [stream[k] for k in range(60)]
    longer = SampleStream(6, 600, 5, drawing)
    assert [longer[k] for k in reversed(range(60))] == forward[::-1]
    assert [SampleStream(6, 60, 6, drawing)[k] for k in range(60)] != forward


def test_epochs_are_shuffled_and_drawn_anew():
    stream = SampleStream(20, 60, 0, drawing)
    epochs = [[stream[20 * e + k] for k in range(20)] for e in range(3)]
    assert len({tuple(index for index, _ in epoch) for epoch in epochs}) == 3
    assert len({number for epoch in epochs for _, number in epoch}) == 60


@pytest.mark.parametrize(
    "count, epochs, batch, expected", [(72, 12, 8, 108), (10, 1, 4, 2), (3, 1, 16, 1), (10, 0.5, 2, 2), (7, 3, 2, 10)]
)
def test_iterations_for(count, epochs, batch, expected):
    assert iterations_for(count, epochs, batch) == expected


class Weight(nn.Module):
    """One number."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def numbers(index, rng):
    return (np.float32(index + rng.random()),)


def run(model, loss, cpu, **changed):
    arguments = {"batch": 2, "iterations": 5, "seed": 0, "device": cpu, "report": lambda line: None} | changed
    return fit(model, [{"params": [model.value], "lr": 0.1}], loss, 4, numbers, **arguments)


def test_learning_rate_follows_the_poly_schedule(cpu):
    """Under a gradient of 1 the weight falls by the learning rate at each step."""
    model, seen = Weight(), []

    def loss(batch):
        seen.append(model.value.item())
        return {"loss": model.value + 0 * batch.sum()}

    run(model, loss, cpu, iterations=10)
    steps = -np.diff([*seen, model.value.item()])
    np.testing.assert_allclose(steps, [0.1 * (1 - k / 10) ** 0.9 for k in range(10)], rtol=1e-4)


def test_each_group_has_its_own_rate(cpu):
    slow, fast = Weight(), Weight()
    model = nn.ModuleList([slow, fast])
    groups = [{"params": [slow.value], "lr": 0.1}, {"params": [fast.value], "lr": 1.0}]

    def loss(batch):
        return {"loss": slow.value + fast.value}

    arguments = {"batch": 1, "iterations": 3, "seed": 0, "device": cpu, "report": lambda line: None}
    fit(model, groups, loss, 4, numbers, **arguments)
    assert fast.value.item() == pytest.approx(10 * slow.value.item())


def test_momentum_and_weight_decay_by_hand(cpu):
    model = Weight(2.0)
    run(model, lambda batch: {"loss": 3 * model.value}, cpu, momentum=0.9, weight_decay=0.5, iterations=4)
    value, velocity = 2.0, 0.0
    for k in range(4):
        velocity = 0.9 * velocity + 3 + 0.5 * value
        value -= 0.1 * (1 - k / 4) ** 0.9 * velocity
    assert model.value.item() == pytest.approx(value, rel=1e-5)


def test_batches_are_the_stream_s_in_order(cpu):
    model, seen = Weight(), []

    def loss(batch):
        seen.extend(batch.tolist())
        return {"loss": model.value * 0}

    run(model, loss, cpu, batch=3, iterations=4)
    stream = SampleStream(4, 12, 0, numbers)
    np.testing.assert_allclose(seen, [stream[k][0] for k in range(12)])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_result(workers, cpu):
    def trained(workers):
        model = Weight()
        history = run(model, lambda batch: {"loss": ((batch - model.value) ** 2).mean()}, cpu, workers=workers)
        return model.value.item(), history["loss"].tolist()

    assert trained(workers) == trained(0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(bad, cpu):
    model, factors = Weight(1.0), iter([1, 1, bad, 1, 1])
    with pytest.raises(FloatingPointError, match=r"(nan|inf) at step 3 of 5"):
        run(model, lambda batch: {"loss": model.value * next(factors)}, cpu)
    assert np.isfinite(model.value.item())


@pytest.mark.parametrize("iterations, rows", [(5, 5), (40, 20), (50, 25), (41, 21)])
def test_history_holds_means_over_stretches(iterations, rows, cpu):
    model, values, lines = Weight(), iter(range(1, iterations + 1)), []

    def loss(batch):
        k = next(values)
        return {"loss": model.value * 0 + k, "other": torch.tensor(2.0 * k)}

    history = run(model, loss, cpu, iterations=iterations, report=lines.append)
    assert len(history) == len(lines) == rows
    assert history.index.name == "step" and history.index[-1] == iterations
    edges = [0, *history.index]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        assert history.loc[stop, "loss"] == pytest.approx(np.mean(range(start + 1, stop + 1)))
    np.testing.assert_allclose(history["other"], 2 * history["loss"])
    assert lines[-1].startswith(f"step {iterations}/{iterations}, loss ")
