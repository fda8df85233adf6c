"""The training of one network per image, against dense float64 matrices and autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement.gcn import GcnSettings, ImageInput, image_seed, refine, train
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.refinement.network import random_generator
from wsgcn.refinement.reference import dense_laplacian, dense_operator, train_dense

SETTINGS = GcnSettings(
    epochs=6,
    lr=0.05,
    weight_decay=0.01,
    dropout=0,
    hidden=5,
    sigma1=1.5,
    sigma2=40,
    window=5,
    lambda_ent=0.7,
    lambda_lap=0.3,
    laplacian="paper",
    cross_entropy="separate",
)
H, W = 5, 6
CLASSES = (3, 7)


def graph_and_product(affinity, features, steps=1, normalisation="symmetric", exact=False):
    settings = GraphSettings(radius=3, beta=4, steps=steps, normalisation=normalisation, features="plain")
    return propagation_graph(affinity, features.reshape(len(features), -1), settings, exact)


def random_input(rng, h=H, w=W, classes=CLASSES, steps=1, normalisation="symmetric"):
    """An image's affinities, its node features, and its `ImageInput`."""
    affinity = affinity_matrix(0.4 * rng.random((h, w), np.float32), 3, 4)
    partial = rng.choice([0, *classes, 255], (h, w)).astype(np.uint8)
    features = rng.standard_normal((4, h, w)).astype(np.float32)
    image = rng.integers(100, 200, (h, w, 3)).astype(np.uint8)
    graph, propagated = graph_and_product(affinity, features, steps, normalisation)
    return affinity, features, ImageInput(graph, propagated, partial, image, classes, 11)


@pytest.fixture
def image(rng):
    return random_input(rng)[-1]


@pytest.fixture
def refined(image, cpu):
    """Call `refine` on the fixture with part of the input or of the settings changed."""

    def call(**changed):
        inputs = {key: changed.pop(key) for key in list(changed) if key in ImageInput.__dataclass_fields__}
        return refine([replace(image, **inputs)], replace(SETTINGS, **changed), cpu)[0]

    return call


@pytest.mark.parametrize("reading", ["paper", "code"])
@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize(
    "steps, normalisation, tolerance",
    [(0, "symmetric", 1e-4), (1, "symmetric", 1e-4), (1, "row", 1e-4), (256, "symmetric", 2e-2), (256, "row", 2e-2)],
)
def test_training_matches_dense_training(steps, normalisation, tolerance, reading, dropout, rng, cpu):
    """Same initial weights and dropout masks; autograd, dense float64 matrices and loops over pairs."""
    affinity, features, image = random_input(rng, steps=steps, normalisation=normalisation)
    settings = replace(SETTINGS, dropout=dropout, laplacian=reading)
    operator = dense_operator(torch.tensor(affinity.toarray()).double(), steps, normalisation)
    laplacian = torch.tensor(dense_laplacian(image.image, 1.5, 40, 5))
    expected, history = train_dense(operator, features, laplacian, image, settings)
    scores, losses = refine([image], settings, cpu)[0]
    assert scores.shape == (3, H, W) and scores.dtype == losses.dtype == np.float32
    np.testing.assert_allclose(losses, history, rtol=tolerance)
    np.testing.assert_allclose(scores, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_training_on_a_long_walk_matches_dense_training(reading, rng, cpu):
    """On two rooms, where 256 steps differ both from 4 and from an average over all nodes."""
    boundary = 0.2 * rng.random((9, 14), np.float32)
    boundary[:, 7] = 0.7
    affinity, settings = (
        affinity_matrix(boundary, 5, 10),
        replace(SETTINGS, dropout=0.3, epochs=30, laplacian=reading),
    )
    _, _, image = random_input(rng, 9, 14)
    features = rng.standard_normal((4, 9, 14)).astype(np.float32)
    laplacian = torch.tensor(dense_laplacian(image.image, 1.5, 40, 5))

    def dense(steps):
        operator = dense_operator(torch.tensor(affinity.toarray()).double(), steps, "symmetric")
        return train_dense(operator, features, laplacian, image, settings)

    (expected, history), (other, other_history) = dense(256), dense(4)
    for exact, share in ((True, 0.01), (False, 0.2)):  # of the change by another number of steps
        graph, propagated = graph_and_product(affinity, features, 256, exact=exact)
        scores, losses = refine([replace(image, graph=graph, propagated=propagated)], settings, cpu)[0]
        assert np.abs(scores - expected).max() < share * np.abs(other - expected).max()
        assert np.abs(losses - history).max() < share * np.abs(other_history - history).max()


def test_prediction_without_training_matches_kipf_and_welling(rng, cpu):
    affinity, features, image = random_input(rng)
    (scores, losses) = refine([image], replace(SETTINGS, epochs=0), cpu)[0]
    assert losses.shape == (0, len(LOSSES))
    generator = random_generator(11)
    w0, w1 = (generator.uniform(-1, 1, shape) * (6 / sum(shape)) ** 0.5 for shape in ((5, 4), (3, 5)))
    operator = dense_operator(torch.tensor(affinity.toarray()).double(), 1, "symmetric").numpy()
    hidden = np.maximum(0, operator @ features.reshape(4, -1).T @ w0.T)
    z = np.exp(operator @ hidden @ w1.T)
    np.testing.assert_allclose(scores, (z / z.sum(1, keepdims=True)).T.reshape(3, H, W), rtol=1e-4)


@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
@pytest.mark.parametrize("steps", [1, 5, 256])
def test_images_of_a_batch_are_independent(steps, normalisation, rng, cpu):
    """Trained together, as on a GPU, images of different sizes get what each gets alone."""
    sizes = (5, 6), (8, 7), (3, 9)
    images = [random_input(rng, h, w, steps=steps, normalisation=normalisation)[-1] for h, w in sizes]
    images = [replace(image, seed=seed) for seed, image in enumerate(images)]
    settings = replace(SETTINGS, dropout=0.3)
    for image, (scores, losses) in zip(images, train(images, settings, cpu), strict=True):
        ((alone, history),) = train([image], settings, cpu)
        np.testing.assert_allclose(scores, alone, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses, history, rtol=1e-4)


def test_batch_and_order_do_not_change_any_bit_on_a_cpu(rng, cpu):
    images = [random_input(rng, h, 6, classes=c)[-1] for h, c in ((5, (1,)), (6, (2, 3)), (5, (4,)), (7, (1,)))]
    settings = replace(SETTINGS, dropout=0.3)
    alone = [refine([image], settings, cpu)[0] for image in images]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 0]):
        for index, (scores, losses) in zip(order, refine([images[k] for k in order], settings, cpu), strict=True):
            np.testing.assert_array_equal(scores, alone[index][0])
            np.testing.assert_array_equal(losses, alone[index][1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("normalisation", ["symmetric", "row"])
@pytest.mark.parametrize("steps", [1, 256])
def test_gpu_matches_cpu(steps, normalisation, rng, cpu):
    kinds = (5, (1,)), (6, (2, 3)), (5, (4,)), (7, (1,))
    images = [random_input(rng, h, 6, classes=c, steps=steps, normalisation=normalisation)[-1] for h, c in kinds]
    settings = replace(SETTINGS, dropout=0.3)
    for (found, _), (expected, _) in zip(
        refine(images, settings, torch.device("cuda")), refine(images, settings, cpu), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_training_lowers_the_loss_and_fits_the_label(refined, image):
    scores, losses = refined(epochs=250, lambda_lap=0, lambda_ent=0, weight_decay=0)
    assert losses[-1, 0] < losses[0, 0] / 3
    found = np.array([0, *CLASSES])[scores.argmax(0)]
    assert (found == image.partial)[image.partial != 255].mean() > 0.8
    np.testing.assert_allclose(scores.sum(0), 1, rtol=1e-5)


def test_dropout_applies_in_training_only(refined):
    (with_dropout, noisy), (without, clean) = (refined(lr=0, dropout=dropout) for dropout in (0.3, 0))
    np.testing.assert_array_equal(with_dropout, without)
    assert len(set(noisy[:, 0])) == len(noisy)
    assert len(set(clean[:, 0])) == 1


def test_dropout_keeps_the_mean_logit(refined):
    """-log z_0 + log z_1 is a difference of logits, linear in the hidden units that dropout hits and scales."""

    def mean_difference(dropout):
        settings = {"dropout": dropout, "classes": [1], "lr": 0, "epochs": 100}
        losses = [refined(partial=np.full((H, W), label, np.uint8), **settings)[1] for label in (0, 1)]
        return (losses[0][:, LOSSES.index("loss_bg")] - losses[1][:, LOSSES.index("loss_fg")]).mean()

    assert mean_difference(0.3) == pytest.approx(mean_difference(0), rel=0.1)


def test_result_depends_on_its_seed_only(refined):
    first, _ = refined(dropout=0.3)
    torch.manual_seed(99)
    refined(seed=12, dropout=0.3)
    state = torch.get_rng_state()
    again, _ = refined(dropout=0.3)
    np.testing.assert_array_equal(first, again)
    assert torch.equal(state, torch.get_rng_state())
    assert not np.array_equal(first, refined(seed=12, dropout=0.3)[0])


def test_image_seeds_are_distinct_and_fixed():
    seeds = {image_seed(seed, image) for seed in range(20) for image in ("2007_000032", "2007_000033", "1", "11", "")}
    assert len(seeds) == 100
    assert image_seed(1, "1/a") != image_seed(11, "/a")
    assert all(0 <= seed < 2**63 for seed in seeds)  # the range of a torch generator
    assert image_seed(0, "2007_000032") == 6546366134672256  # on every machine


@pytest.mark.parametrize("label, zero", [(0, {"loss_fg", "loss_ent"}), (3, {"loss_bg", "loss_ent"})])
def test_partial_label_without_a_group_is_refined(label, zero, refined):
    scores, losses = refined(partial=np.full((H, W), label, np.uint8))
    assert np.isfinite(scores).all()
    assert {name for name, values in zip(LOSSES, losses.T, strict=True) if not values.any()} == zero


def test_partial_label_without_labels_is_refined(refined):
    scores, losses = refined(partial=np.full((H, W), 255, np.uint8))
    assert np.isfinite(scores).all() and np.isfinite(losses).all()
    assert not losses[:, [LOSSES.index("loss_fg"), LOSSES.index("loss_bg")]].any()


def test_rows_follow_the_order_of_the_classes(refined, image):
    renamed = np.select([image.partial == 3, image.partial == 7], [1, 2], image.partial.astype(int)).astype(np.uint8)
    np.testing.assert_array_equal(refined()[0], refined(partial=renamed, classes=(1, 2))[0])


def test_scores_that_are_not_finite_are_refused(refined, image):
    with pytest.raises(FloatingPointError, match="not finite"):
        refined(propagated=np.full_like(image.propagated, np.nan))
