"""The losses against loops over the nodes, and their gradient against finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wsgcn.graph.laplacian import window_laplacian
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.refinement.losses import LossSettings, Targets, gcn_losses

SETTINGS = LossSettings(
    cross_entropy="separate", lambda_ent=0.7, lambda_lap=0.3, laplacian="paper", sigma1=1.5, sigma2=40, window=5
)
H, W = 5, 6


@pytest.fixture
def laplacian(rng):
    return window_laplacian(rng.integers(100, 200, (H, W, 3)).astype(np.uint8), 1.5, 40, 5).astype(np.float64)


def build_targets(labels, laplacians, cpu, joint=False):
    return Targets(labels, laplacians, 3, cpu, joint)


def naive_losses(z, target, phi, settings, joint=False):
    """The terms in their order in LOSSES, from probabilities z [N, K + 1]."""
    foreground = [-np.log(z[i, t]) for i, t in enumerate(target) if t not in (0, 255)]
    background = [-np.log(z[i, t]) for i, t in enumerate(target) if t == 0]
    entropy = [-sum(p * np.log(p) for p in z[i]) for i, t in enumerate(target) if t == 255]
    nodes = range(len(z))
    if settings.laplacian == "paper":
        smooth = sum(phi[i, j] * ((z[i] - z[j]) ** 2).sum() for i in nodes for j in nodes) / len(z)
    else:
        log_z, laplacian = np.log(z), np.diag(phi.sum(1)) - phi
        smooth = np.trace(log_z.T @ laplacian @ log_z) / len(z)
    fg, bg, ent = (float(np.mean(values)) if values else 0.0 for values in (foreground, background, entropy))
    if joint and foreground + background:
        fg, bg = (float(sum(values)) / len(foreground + background) for values in (foreground, background))
    return [fg + bg + settings.lambda_ent * ent + settings.lambda_lap * smooth, fg, bg, ent, smooth]


@pytest.mark.parametrize("reading", ["paper", "code"])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("labels", [(0, 1, 2, 255), (0, 255), (1, 2, 255), (255,), (0, 1)], ids=str)
def test_losses_match_naive_loop(reading, labels, joint, laplacian, rng, cpu):
    settings = replace(SETTINGS, laplacian=reading)
    logits, target = 2 * rng.standard_normal((H * W, 3)), rng.choice(labels, H * W)
    found, _ = gcn_losses(torch.tensor(logits.T[None]), build_targets([target], [laplacian], cpu, joint), settings)
    z = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    dense = laplacian.toarray()
    phi = np.diag(np.diag(dense)) - dense
    np.testing.assert_allclose(found[0], naive_losses(z, target, phi, settings, joint), rtol=1e-6)


def test_joint_losses_add_up_to_one_mean_cross_entropy(laplacian, rng, cpu):
    """Over all labelled nodes, so that a group's weight is its number of nodes."""
    target = rng.choice([0, 1, 2, 255], H * W, p=[0.1, 0.3, 0.3, 0.3])
    logits = torch.tensor(2 * rng.standard_normal((1, 3, H * W)))
    joint, separate = (
        dict(zip(LOSSES, gcn_losses(logits, build_targets([target], [laplacian], cpu, j), SETTINGS)[0][0], strict=True))
        for j in (True, False)
    )
    mean = torch.nn.functional.cross_entropy(logits, torch.tensor(target[None]), ignore_index=255)
    torch.testing.assert_close(joint["loss_fg"] + joint["loss_bg"], mean)
    share = (target == 0).sum() / (target != 255).sum()
    assert 0 < share < 0.4
    torch.testing.assert_close(joint["loss_bg"], share * separate["loss_bg"])
    torch.testing.assert_close(joint["loss_fg"], (1 - share) * separate["loss_fg"])
    assert (joint["loss_ent"], joint["loss_lap"]) == (separate["loss_ent"], separate["loss_lap"])


@pytest.mark.parametrize("labels", [(0, 255), (1, 2, 255), (255,)], ids=str)
def test_joint_equals_separate_where_a_group_is_missing(labels, laplacian, rng, cpu):
    target, logits = rng.choice(labels, H * W), torch.tensor(rng.standard_normal((1, 3, H * W)))
    joint, separate = (
        gcn_losses(logits, build_targets([target], [laplacian], cpu, j), SETTINGS) for j in (True, False)
    )
    torch.testing.assert_close(joint, separate)


@pytest.mark.parametrize("reading", ["paper", "code"])
@pytest.mark.parametrize(
    "labels, joint", [((0, 1, 2, 255), False), ((0, 1, 2, 255), True), ((255,), True), ((0,), False)]
)
def test_gradient_matches_finite_differences(reading, labels, joint, laplacian, rng, cpu):
    settings = replace(SETTINGS, laplacian=reading)
    targets = build_targets([rng.choice(labels, H * W)], [laplacian], cpu, joint)

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            losses, gradient = gcn_losses(logits, targets, settings)
            ctx.save_for_backward(gradient)
            return losses[:, 0]

        @staticmethod
        def backward(ctx, outer):
            return outer[:, None, None] * ctx.saved_tensors[0]

    logits = torch.tensor(rng.standard_normal((1, 3, H * W)), requires_grad=True)
    assert torch.autograd.gradcheck(Loss.apply, logits)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("reading", ["paper", "code"])
def test_images_of_a_batch_are_independent(reading, joint, laplacian, rng, cpu):
    settings = replace(SETTINGS, laplacian=reading)
    small = window_laplacian(rng.integers(0, 99, (2, 4, 3)).astype(np.uint8), 1.5, 40, 5).astype(np.float64)
    labels = [rng.choice([0, 1, 2, 255], n) for n in (8, H * W)]
    logits = torch.zeros(2, 3, H * W, dtype=torch.float64)
    logits[0, :, :8] = torch.tensor(rng.standard_normal((3, 8)))
    logits[1] = torch.tensor(rng.standard_normal((3, H * W)))
    together = gcn_losses(logits, build_targets(labels, [small, laplacian], cpu, joint), settings)
    alone = [
        gcn_losses(logits[:1, :, :8], build_targets(labels[:1], [small], cpu, joint), settings),
        gcn_losses(logits[1:], build_targets(labels[1:], [laplacian], cpu, joint), settings),
    ]
    for k, nodes in enumerate((8, H * W)):
        torch.testing.assert_close(together[0][k], alone[k][0][0])
        torch.testing.assert_close(together[1][k, :, :nodes], alone[k][1][0])
    assert not together[1][0, :, 8:].any()


def test_certain_predictions_have_finite_losses(laplacian, rng, cpu):
    logits = torch.tensor(200 * rng.standard_normal((1, 3, H * W)))
    targets = build_targets([rng.choice([0, 1, 2, 255], H * W)], [laplacian], cpu)
    losses, gradient = gcn_losses(logits, targets, SETTINGS)
    assert losses.isfinite().all() and gradient.isfinite().all()
    assert losses.shape == (1, len(LOSSES))
