"""The training loop: its batches, its steps, when it stops, how it resumes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from wsgcn.networks.device import pick_device
from wsgcn.networks.samples import SampleStream
from wsgcn.networks.training import fit


class Weight(nn.Module):
    """One number."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def numbers(index, rng):
    return (np.float32(index + rng.random()),)


def fit_weight(model, loss, context, **changed):
    arguments = {"batch": 2, "iterations": 5} | changed
    groups = [{"params": [model.value], "lr": arguments.pop("lr", 0.1)}]
    return fit(model, groups, loss, 4, numbers, context, **arguments)


def test_learning_rate_follows_the_poly_schedule(fit_context):
    """Under a gradient of 1 the weight falls by the learning rate at each step."""
    model, seen = Weight(), []

    def loss(batch):
        seen.append(model.value.item())
        return {"loss": model.value + 0 * batch.sum()}

    fit_weight(model, loss, fit_context(), iterations=10)
    steps = -np.diff([*seen, model.value.item()])
    np.testing.assert_allclose(steps, [0.1 * (1 - k / 10) ** 0.9 for k in range(10)], rtol=1e-4)


def test_each_group_has_its_own_rate(fit_context):
    slow, fast = Weight(), Weight()
    model = nn.ModuleList([slow, fast])
    groups = [{"params": [slow.value], "lr": 0.1}, {"params": [fast.value], "lr": 1.0}]

    def loss(batch):
        return {"loss": slow.value + fast.value}

    fit(model, groups, loss, 4, numbers, fit_context(), batch=1, iterations=3)
    assert fast.value.item() == pytest.approx(10 * slow.value.item())


def test_momentum_and_weight_decay_by_hand(fit_context):
    model = Weight(2.0)
    fit_weight(
        model, lambda batch: {"loss": 3 * model.value}, fit_context(), momentum=0.9, weight_decay=0.5, iterations=4
    )
    value, velocity = 2.0, 0.0
    for k in range(4):
        velocity = 0.9 * velocity + 3 + 0.5 * value
        value -= 0.1 * (1 - k / 4) ** 0.9 * velocity
    assert model.value.item() == pytest.approx(value, rel=1e-5)


def test_batches_follow_the_stream(fit_context):
    model, seen = Weight(), []

    def loss(batch):
        seen.extend(batch.tolist())
        return {"loss": model.value * 0}

    fit_weight(model, loss, fit_context(), batch=3, iterations=4)
    stream = SampleStream(4, 12, 0, numbers)
    np.testing.assert_allclose(seen, [stream[k][0] for k in range(12)])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_result(workers, fit_context):
    def trained(workers):
        model = Weight()
        history = fit_weight(
            model, lambda batch: {"loss": ((batch - model.value) ** 2).mean()}, fit_context(workers=workers)
        )
        return model.value.item(), history["loss"].tolist()

    assert trained(workers) == trained(0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(bad, fit_context):
    model, factors = Weight(1.0), iter([1, 1, bad, 1, 1])
    with pytest.raises(FloatingPointError, match=r"(nan|inf) at step 3 of 5"):
        fit_weight(model, lambda batch: {"loss": model.value * next(factors)}, fit_context())
    assert np.isfinite(model.value.item())


def test_weights_that_are_not_finite_after_the_last_step_are_an_error(fit_context):
    model = Weight(1.0)
    with pytest.raises(FloatingPointError, match="the weights are not finite after step 1"):
        fit_weight(model, lambda batch: {"loss": model.value * 3e38}, fit_context(), iterations=1, lr=1e3)


@pytest.mark.parametrize("iterations, rows", [(5, 5), (40, 20), (50, 25), (41, 21)])
def test_history_holds_means_over_twentieths(iterations, rows, fit_context):
    model, values, lines = Weight(), iter(range(1, iterations + 1)), []

    def loss(batch):
        k = next(values)
        return {"loss": model.value * 0 + k, "other": torch.tensor(2.0 * k)}

    history = fit_weight(model, loss, fit_context(report=lines.append), iterations=iterations)
    assert len(history) == len(lines) == rows
    assert history.index.name == "step" and history.index[-1] == iterations
    edges = [0, *history.index]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        assert history.loc[stop, "loss"] == pytest.approx(np.mean(range(start + 1, stop + 1)))
    np.testing.assert_allclose(history["other"], 2 * history["loss"])
    assert lines[-1].startswith(f"step {iterations}/{iterations}, loss ")


class Killed(BaseException):
    """Stands for a signal that nothing catches."""


def noisy(kills=()):
    """A model with dropout, and its loss, which ends the process at the calls in `kills`."""
    torch.manual_seed(0)
    model, calls = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)), iter(range(1, 1000))

    def loss(batch):
        if next(calls) in kills:
            raise Killed
        error = ((model(batch.float()[:, None]) - batch[:, None]) ** 2).mean()
        return {"loss": error, "half": error / 2}

    return model, loss


def train_noisy(context, kills=(), iterations=50):
    model, loss = noisy(kills)
    model.to(context.device)
    groups = [{"params": [*model[0].parameters()], "lr": 0.01}, {"params": [*model[2].parameters()], "lr": 0.02}]
    history = fit(
        model, groups, loss, 4, numbers, context, batch=2, iterations=iterations, momentum=0.9, weight_decay=0.01
    )
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))


@pytest.mark.parametrize("kills", [[1], [2], [26], [50], [7, 3, 20], [5, 5, 5, 5, 5]])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_killed_training_ends_as_an_uninterrupted_one(device, kills, workers, tmp_path, fit_context):
    uninterrupted = replace(fit_context(), device=pick_device(device))
    context = replace(uninterrupted, checkpoint=tmp_path / "state", seconds=0, key="a", workers=workers)
    for kill in kills:
        with pytest.raises(Killed):
            train_noisy(context, [kill])
    weights, history = train_noisy(context)
    expected_weights, expected_history = train_noisy(uninterrupted)
    assert torch.equal(weights, expected_weights)
    pd.testing.assert_frame_equal(history, expected_history, check_exact=True)


def test_a_resumed_training_skips_the_steps_before_its_checkpoint(tmp_path, fit_context):
    lines, changed = [], {"checkpoint": tmp_path / "state", "seconds": 0}
    with pytest.raises(Killed):
        train_noisy(fit_context(**changed), [31])
    train_noisy(fit_context(**changed, report=lines.append), [21])  # would be killed if it took more than twenty steps
    assert lines[0] == "resumes after step 30/50"


def test_a_checkpoint_holds_all_that_a_training_resumes_from(tmp_path, fit_context):
    """The format of checkpoints, which trainings of other versions wrote."""
    with pytest.raises(Killed):
        train_noisy(fit_context(checkpoint=tmp_path / "state", seconds=0, key="a"), [4])
    state = torch.load(tmp_path / "state", weights_only=True)
    assert set(state) == {"key", "step", "rows", "stretch", "seconds", "model", "optimizer", "random"}
    assert (state["key"], state["step"], len(state["rows"]), len(state["stretch"])) == ("a", 3, 1, 1)


def test_checkpoints_are_no_more_frequent_than_set(tmp_path, fit_context):
    train_noisy(fit_context(checkpoint=tmp_path / "state", seconds=1000))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_is_reported(tmp_path, fit_context):
    (tmp_path / "file").write_text("no folder")
    lines, path = [], tmp_path / "file" / "state"
    weights, _ = train_noisy(fit_context(checkpoint=path, seconds=0, report=lines.append))
    assert torch.equal(weights, train_noisy(fit_context())[0])
    assert any("the checkpoint of step 1 could not be written" in line for line in lines)


@pytest.mark.parametrize("bad", ["key", "cut", "empty", "pickle"])
def test_a_checkpoint_that_does_not_fit_is_ignored(bad, tmp_path, fit_context):
    path, lines = tmp_path / "state", []
    with pytest.raises(Killed):
        train_noisy(fit_context(checkpoint=path, seconds=0, key="a"), [31])
    if bad == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif bad == "empty":
        path.write_bytes(b"")
    elif bad == "pickle":
        torch.save({"key": "a", "model": Killed}, path)
    context = fit_context(checkpoint=path, seconds=0, key="b" if bad == "key" else "a", report=lines.append)
    weights, _ = train_noisy(context)
    assert torch.equal(weights, train_noisy(fit_context())[0])
    assert "starts over" in lines[0] and str(path) in lines[0]
