"""The network's gradients, its optimizer and its dropout, against finite differences and torch."""

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.graph.propagation import Propagation
from wsgcn.refinement.adam import Adam
from wsgcn.refinement.network import backward, dropout_mask, forward, random_generator, unpack

H, W = 5, 6


@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
@pytest.mark.parametrize("dropout", [0, 0.4])
def test_gradients_match_finite_differences(normalisation, dropout, rng, cpu):
    """Of a function of the logits, with respect to all parameters."""
    affinity = affinity_matrix(0.4 * rng.random((H, W), np.float32), 3, 4).astype(float)
    settings = GraphSettings(radius=3, beta=4, steps=1, normalisation=normalisation, features="plain")
    propagation = Propagation([propagation_graph(affinity, rng.random((4, H * W)), settings)[0]], cpu)
    inputs = torch.tensor(rng.standard_normal((1, 4, H * W)))
    dropout_scale = torch.from_numpy(dropout_mask(rng, 5, H * W, dropout))[None] / (1 - dropout)
    weights = torch.tensor(rng.standard_normal((1, 3, H * W)))

    class Network(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *parameters):
            hidden, logits = forward(inputs, parameters, dropout_scale, propagation)
            ctx.save_for_backward(hidden, logits, *parameters)
            return (weights * logits.sin()).sum()

        @staticmethod
        def backward(ctx, outer):
            hidden, logits, *parameters = ctx.saved_tensors
            return backward(inputs, parameters, dropout_scale, propagation, hidden, outer * weights * logits.cos())

    parameters = unpack(torch.tensor(rng.standard_normal((1, 43)), requires_grad=True), 4, 5, 3)
    assert torch.autograd.gradcheck(Network.apply, parameters)


def test_adam_matches_torch(rng):
    values = torch.tensor(rng.standard_normal((2, 30)))
    found, expected = values.clone(), values.clone().requires_grad_()
    adam, torch_adam = Adam(found, 0.02, 0.01), torch.optim.Adam([expected], lr=0.02, weight_decay=0.01)
    for _ in range(20):
        expected.grad = torch.tensor(rng.standard_normal((2, 30))) * 10.0 ** torch.arange(-20, 10)
        adam.step(expected.grad)
        torch_adam.step()
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-12)


def test_dropout_mask_keeps_the_expected_share():
    mask = dropout_mask(random_generator(0), 16, 10001, 0.3)
    assert mask.shape == (16, 10001) and mask.dtype == bool
    assert mask.mean() == pytest.approx(0.7, abs=0.005)
    columns = mask[:, :10000].reshape(16, 2500, 4).mean((0, 1))  # the four draws from one random word
    np.testing.assert_allclose(columns, 0.7, atol=0.01)
