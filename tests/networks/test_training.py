"""The training loop: what it sees, how it steps, when it stops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from wsgcn.files import IGNORE, write_label
from wsgcn.networks.device import pick_device
from wsgcn.networks.schedule import num_steps
from wsgcn.networks.training import SampleStream, fit, labelled_crops


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
    assert num_steps(count, epochs, batch) == expected


class Weight(nn.Module):
    """One number."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def numbers(index, rng):
    return (np.float32(index + rng.random()),)


def run(model, loss, how, **changed):
    arguments = {"batch": 2, "iterations": 5} | changed
    return fit(model, [{"params": [model.value], "lr": arguments.pop("lr", 0.1)}], loss, 4, numbers, how, **arguments)


def test_learning_rate_follows_the_poly_schedule(quietly):
    """Under a gradient of 1 the weight falls by the learning rate at each step."""
    model, seen = Weight(), []

    def loss(batch):
        seen.append(model.value.item())
        return {"loss": model.value + 0 * batch.sum()}

    run(model, loss, quietly(), iterations=10)
    steps = -np.diff([*seen, model.value.item()])
    np.testing.assert_allclose(steps, [0.1 * (1 - k / 10) ** 0.9 for k in range(10)], rtol=1e-4)


def test_each_group_has_its_own_rate(quietly):
    slow, fast = Weight(), Weight()
    model = nn.ModuleList([slow, fast])
    groups = [{"params": [slow.value], "lr": 0.1}, {"params": [fast.value], "lr": 1.0}]

    def loss(batch):
        return {"loss": slow.value + fast.value}

    fit(model, groups, loss, 4, numbers, quietly(), batch=1, iterations=3)
    assert fast.value.item() == pytest.approx(10 * slow.value.item())


def test_momentum_and_weight_decay_by_hand(quietly):
    model = Weight(2.0)
    run(model, lambda batch: {"loss": 3 * model.value}, quietly(), momentum=0.9, weight_decay=0.5, iterations=4)
    value, velocity = 2.0, 0.0
    for k in range(4):
        velocity = 0.9 * velocity + 3 + 0.5 * value
        value -= 0.1 * (1 - k / 4) ** 0.9 * velocity
    assert model.value.item() == pytest.approx(value, rel=1e-5)


def test_batches_are_the_stream_s_in_order(quietly):
    model, seen = Weight(), []

    def loss(batch):
        seen.extend(batch.tolist())
        return {"loss": model.value * 0}

    run(model, loss, quietly(), batch=3, iterations=4)
    stream = SampleStream(4, 12, 0, numbers)
    np.testing.assert_allclose(seen, [stream[k][0] for k in range(12)])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_result(workers, quietly):
    def trained(workers):
        model = Weight()
        history = run(model, lambda batch: {"loss": ((batch - model.value) ** 2).mean()}, quietly(workers=workers))
        return model.value.item(), history["loss"].tolist()

    assert trained(workers) == trained(0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(bad, quietly):
    model, factors = Weight(1.0), iter([1, 1, bad, 1, 1])
    with pytest.raises(FloatingPointError, match=r"(nan|inf) at step 3 of 5"):
        run(model, lambda batch: {"loss": model.value * next(factors)}, quietly())
    assert np.isfinite(model.value.item())


def test_weights_that_the_last_step_spoils_are_told(quietly):
    model = Weight(1.0)
    with pytest.raises(FloatingPointError, match="the weights are not finite after step 1"):
        run(model, lambda batch: {"loss": model.value * 3e38}, quietly(), iterations=1, lr=1e3)


@pytest.mark.parametrize("iterations, rows", [(5, 5), (40, 20), (50, 25), (41, 21)])
def test_history_holds_means_over_stretches(iterations, rows, quietly):
    model, values, lines = Weight(), iter(range(1, iterations + 1)), []

    def loss(batch):
        k = next(values)
        return {"loss": model.value * 0 + k, "other": torch.tensor(2.0 * k)}

    history = run(model, loss, quietly(report=lines.append), iterations=iterations)
    assert len(history) == len(lines) == rows
    assert history.index.name == "step" and history.index[-1] == iterations
    edges = [0, *history.index]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        assert history.loc[stop, "loss"] == pytest.approx(np.mean(range(start + 1, stop + 1)))
    np.testing.assert_allclose(history["other"], 2 * history["loss"])
    assert lines[-1].startswith(f"step {iterations}/{iterations}, loss ")


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


def noisy(kills=()):
    """A model with a random part of its own, and its loss, which ends the process at some of its calls."""
    torch.manual_seed(0)
    model, calls = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)), iter(range(1, 1000))

    def loss(batch):
        if next(calls) in kills:
            raise Killed
        error = ((model(batch.float()[:, None]) - batch[:, None]) ** 2).mean()
        return {"loss": error, "half": error / 2}

    return model, loss


def train_noisy(how, kills=(), iterations=50):
    model, loss = noisy(kills)
    model.to(how.device)
    groups = [{"params": [*model[0].parameters()], "lr": 0.01}, {"params": [*model[2].parameters()], "lr": 0.02}]
    history = fit(model, groups, loss, 4, numbers, how, batch=2, iterations=iterations, momentum=0.9, weight_decay=0.01)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))


@pytest.mark.parametrize("kills", [[1], [2], [26], [50], [7, 3, 20], [5, 5, 5, 5, 5]])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_training_that_is_killed_ends_as_if_it_had_not_been(device, kills, workers, tmp_path, quietly):
    undisturbed = replace(quietly(), device=pick_device(device))
    how = replace(undisturbed, checkpoint=tmp_path / "state", seconds=0, key="a", workers=workers)
    for kill in kills:
        with pytest.raises(Killed):
            train_noisy(how, [kill])
    weights, history = train_noisy(how)
    expected, undisturbed = train_noisy(undisturbed)
    assert torch.equal(weights, expected)
    pd.testing.assert_frame_equal(history, undisturbed, check_exact=True)


def test_a_checkpoint_spares_the_steps_before_it(tmp_path, quietly):
    lines, how = [], {"checkpoint": tmp_path / "state", "seconds": 0}
    with pytest.raises(Killed):
        train_noisy(quietly(**how), [31])
    train_noisy(quietly(**how, report=lines.append), [21])  # would be killed if it took more than twenty steps
    assert lines[0] == "goes on after step 30/50"


def test_checkpoints_are_kept_as_seldom_as_asked(tmp_path, quietly):
    train_noisy(quietly(checkpoint=tmp_path / "state", seconds=1000))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_written_stops_nothing(tmp_path, quietly):
    (tmp_path / "file").write_text("no folder")
    lines, path = [], tmp_path / "file" / "state"
    weights, _ = train_noisy(quietly(checkpoint=path, seconds=0, report=lines.append))
    assert torch.equal(weights, train_noisy(quietly())[0])
    assert any("the checkpoint of step 1 could not be written" in line for line in lines)


@pytest.mark.parametrize("bad", ["key", "cut", "empty", "pickle"])
def test_a_checkpoint_that_does_not_fit_is_not_taken_up(bad, tmp_path, quietly):
    path, lines = tmp_path / "state", []
    with pytest.raises(Killed):
        train_noisy(quietly(checkpoint=path, seconds=0, key="a"), [31])
    if bad == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif bad == "empty":
        path.write_bytes(b"")
    elif bad == "pickle":
        torch.save({"key": "a", "model": Killed}, path)
    how = quietly(checkpoint=path, seconds=0, key="b" if bad == "key" else "a", report=lines.append)
    weights, _ = train_noisy(how)
    assert torch.equal(weights, train_noisy(quietly())[0])
    assert "begins anew" in lines[0] and str(path) in lines[0]


@pytest.mark.parametrize("size", [None, (5, 3)])
def test_crops_carry_their_labels(size, tmp_path):
    """The label is one where the picture is red, in whatever way both are scaled, mirrored and cut."""
    label = np.zeros((30, 40), np.uint8)
    label[8:22, 10:24] = 1
    Image.fromarray(np.stack([label * 255, 0 * label, 0 * label], -1)).save(tmp_path / "image.png")
    write_label(tmp_path / "label.png", label)
    files = [str(tmp_path / "image.png")], [str(tmp_path / "label.png")]
    sample = labelled_crops(*files, {"crop": 20, "scale": [0.5, 2]}, np.zeros(3), size)
    for seed in range(8):
        crop, found = sample(0, np.random.default_rng(seed))
        assert crop.shape == (20, 20, 3) and found.shape == (size or (20, 20)) and crop.dtype == found.dtype == np.uint8
        if not size:
            known = found != IGNORE
            assert ((crop[..., 0] > 128) == (found == 1))[known].mean() > 0.95
