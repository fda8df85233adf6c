"""Affinities of neighbouring features, and the loss on them."""

import math

import numpy as np
import pytest
import torch
from pair_losses import TERMS, naive_losses, values_of

from wsgcn.affinity.matrices import feature_affinity, feature_affinity_matrix
from wsgcn.affinity.pair_loss import pairwise_affinity_loss


def naive_affinity(features, p, q):
    """exp(-mean |fi - fj|) of two points of features [D, h, w]."""
    differences = [abs(float(channel[p]) - float(channel[q])) for channel in features]
    return math.exp(-sum(differences) / len(differences))


# Affinities


@pytest.mark.parametrize("dy, dx", [(0, 1), (1, 0), (2, -1), (1, -3), (3, 2)])
def test_feature_affinity_matches_naive_loop(dy, dx, rng):
    features = rng.standard_normal((2, 6, 5, 7))
    found = feature_affinity(torch.tensor(features), dy, dx)
    expected = [
        [
            naive_affinity(features[b], (y, x), (y + dy, x + dx))
            for y in range(5)
            for x in range(7)
            if 0 <= y + dy < 5 and 0 <= x + dx < 7
        ]
        for b in range(2)
    ]
    assert found.shape == (2, 5 - abs(dy), 7 - abs(dx))
    np.testing.assert_allclose(found.flatten(1), expected, rtol=1e-12)
    np.testing.assert_array_equal(feature_affinity(torch.tensor(features[1]), dy, dx), found[1])  # without a batch


def test_repeated_channels_do_not_change_affinities(rng):
    features = torch.tensor(rng.standard_normal((3, 4, 5)))
    once, twice = (feature_affinity(f, 1, 1) for f in (features, torch.cat([features, features])))
    np.testing.assert_allclose(once, twice, rtol=1e-12)


@pytest.mark.parametrize("radius, beta", [(1, 1), (2, 1), (3, 8), (5, 8), (10, 0.5)])
def test_feature_affinity_matrix_matches_naive_loop(radius, beta, rng, pairs):
    features = rng.standard_normal((6, 5, 7)).astype(np.float32)
    expected = np.eye(35)
    for p, q in pairs(5, 7, radius):
        i, j = p[0] * 7 + p[1], q[0] * 7 + q[1]
        expected[i, j] = expected[j, i] = naive_affinity(features, p, q) ** beta
    found = feature_affinity_matrix(features, radius, beta)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
    np.testing.assert_array_equal(found.toarray(), found.toarray().T)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (2, 3)])
def test_feature_affinity_matrix_of_a_grid_smaller_than_the_radius(size):
    found = feature_affinity_matrix(np.full((4, *size), 3), 10, 8).toarray()
    np.testing.assert_array_equal(found, np.ones_like(found))  # all alike, and all neighbours


def test_feature_affinity_matrix_of_a_view_and_of_half_precision(rng):
    features = rng.standard_normal((6, 5, 14)).astype(np.float16)
    found = feature_affinity_matrix(features[..., ::2], 3, 8)
    expected = feature_affinity_matrix(features[..., ::2].astype(np.float32).copy(), 3, 8)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


# The loss


def loss_of(features, label, radius):
    return pairwise_affinity_loss(lambda dy, dx: feature_affinity(features, dy, dx), label, radius)


def naive_loss(features, label, radius, pairs):
    all_pairs = list(pairs(*label.shape[1:], radius))
    return naive_losses(lambda b, p, q: naive_affinity(features[b], p, q), label, all_pairs)


@pytest.mark.parametrize("radius", [2, 3, 5])
@pytest.mark.parametrize("labels", [(0, 1, 2, 255), (0, 255), (4,), (1, 2), (0, 7), (255,)], ids=str)
def test_loss_of_features_matches_naive_loop(radius, labels, rng, pairs):
    features, label = rng.standard_normal((2, 6, 5, 6)), rng.choice(labels, (2, 5, 6)).astype(np.uint8)
    found = values_of(loss_of(torch.tensor(features), torch.tensor(label), radius))
    np.testing.assert_allclose(found, naive_loss(features, label, radius, pairs), rtol=1e-6)


def test_means_are_over_all_pairs_of_a_batch(rng, pairs):
    features, label = rng.standard_normal((2, 6, 4, 4)), np.zeros((2, 4, 4), np.uint8)
    label[0, 1:] = 255
    found = values_of(loss_of(torch.tensor(features), torch.tensor(label), 3))
    np.testing.assert_allclose(found, naive_loss(features, label, 3, pairs), rtol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_loss_on_a_grid_smaller_than_the_radius(size, rng, pairs):
    features, label = rng.standard_normal((2, 6, *size)), rng.choice([0, 1], (2, *size)).astype(np.uint8)
    found = values_of(loss_of(torch.tensor(features), torch.tensor(label), 5))
    np.testing.assert_allclose(found, naive_loss(features, label, 5, pairs), rtol=1e-6)


@pytest.mark.parametrize("radius, counts", [(5, False), (6, True)])
def test_the_radius_is_exclusive(radius, counts):
    label = torch.full((1, 4, 5), 255, dtype=torch.uint8)
    label[0, 0, 0], label[0, 3, 4] = 0, 1  # 3 down and 4 right: a distance of exactly 5
    assert bool(loss_of(torch.zeros(1, 3, 4, 5), label, radius)["loss_negative"] > 0) == counts


def test_features_that_follow_the_labels_cost_nothing():
    label = torch.zeros(1, 6, 7, dtype=torch.uint8)
    label[:, :, 3], label[:, :, 4:] = 255, 2
    features = 20.0 * label[:, None].repeat(1, 5, 1, 1)
    assert abs(loss_of(features, label, 5)["loss"].item()) < 1e-4
    assert loss_of(torch.zeros_like(features), label, 5)["loss"].item() > 5


@pytest.mark.parametrize("name", TERMS)
def test_gradient_of_the_loss_of_features(name, rng):
    features = torch.tensor(rng.standard_normal((2, 2, 3, 4)), requires_grad=True)
    label = torch.tensor(rng.choice([0, 1, 2, 255], (2, 3, 4)).astype(np.uint8))
    assert loss_of(features, label, 3)[name] > 0
    assert torch.autograd.gradcheck(lambda f: loss_of(f, label, 3)[name], features)


def test_equal_features_have_a_finite_gradient():
    features = torch.zeros(1, 3, 4, 5, requires_grad=True)
    loss_of(features, torch.arange(20, dtype=torch.uint8).view(1, 4, 5), 3)["loss"].backward()
    assert features.grad.isfinite().all()
