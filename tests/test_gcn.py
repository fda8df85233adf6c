"""The per-image network: its Laplacian, its losses, its forward pass and its training, against dense float64 ones."""

import numpy as np
import pytest
import torch

from wsgcn.gcn import LOSSES, gcn_losses, image_seed, refine, window_laplacian
from wsgcn.graph import SparseGraph, affinity_matrix, propagation_graph

SETTINGS = {
    "epochs": 6,
    "lr": 0.05,
    "weight_decay": 0.01,
    "dropout": 0,
    "hidden": 5,
    "sigma1": 1.5,
    "sigma2": 40,
    "window": 5,
    "lambda_ent": 0.7,
    "lambda_lap": 0.3,
    "laplacian": "paper",
}
H, W = 5, 6
CLASSES = (3, 7)


def similarity_by_loops(image, sigma1, sigma2, window):
    """Φ [N, N] over the pairs of different pixels in one another's window."""
    h, w = image.shape[:2]
    phi, reach = np.zeros((h, w, h, w)), (window - 1) // 2
    for y, x, v, u in np.ndindex(h, w, h, w):
        if max(abs(y - v), abs(x - u)) <= reach and (y, x) != (v, u):
            grid = (y - v) ** 2 + (x - u) ** 2
            colour = ((image[y, x].astype(float) - image[v, u]) ** 2).sum()
            phi[y, x, v, u] = np.exp(-grid / (2 * sigma1**2) - colour / (2 * sigma2**2))
    return phi.reshape(h * w, h * w)


def losses_by_loops(z, target, phi, settings):
    """The terms in their order in LOSSES, from probabilities z [N, K + 1]."""
    foreground = [-np.log(z[i, t]) for i, t in enumerate(target) if t not in (0, 255)]
    background = [-np.log(z[i, t]) for i, t in enumerate(target) if t == 0]
    entropy = [-sum(p * np.log(p) for p in z[i]) for i, t in enumerate(target) if t == 255]
    nodes = range(len(z))
    if settings["laplacian"] == "paper":
        smooth = sum(phi[i, j] * ((z[i] - z[j]) ** 2).sum() for i in nodes for j in nodes) / len(z)
    else:
        log_z, laplacian = np.log(z), np.diag(phi.sum(1)) - phi
        smooth = np.trace(log_z.T @ laplacian @ log_z) / len(z)
    fg, bg, ent = (float(np.mean(values)) if values else 0.0 for values in (foreground, background, entropy))
    return [fg + bg + settings["lambda_ent"] * ent + settings["lambda_lap"] * smooth, fg, bg, ent, smooth]


@pytest.fixture
def image(rng):
    return rng.integers(100, 200, (H, W, 3)).astype(np.uint8)


@pytest.fixture
def affinity(rng):
    return affinity_matrix(0.4 * rng.random((H, W), np.float32), 3, 4)


@pytest.fixture
def graph(affinity, cpu):
    return propagation_graph(affinity, {"steps": 1, "normalisation": "symmetric", "rank": 96}, cpu)


@pytest.fixture
def features(rng):
    return rng.standard_normal((H * W, 4)).astype(np.float32)


@pytest.fixture
def partial(rng):
    return rng.choice([0, 3, 7, 255], (H, W)).astype(np.uint8)


@pytest.fixture
def refined(graph, features, partial, image, cpu):
    """Call `refine` on the fixtures with some of the arguments or settings changed."""

    def call(seed=11, partial=partial, classes=CLASSES, features=features, **changed):
        return refine(graph, features, partial, image, classes, SETTINGS | changed, seed, cpu)

    return call


@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("sigma1, sigma2", [(3**0.5, 10), (1, 80)])
def test_window_laplacian_is_the_loop_s(window, sigma1, sigma2, image):
    phi = similarity_by_loops(image, sigma1, sigma2, window)
    found = window_laplacian(image, sigma1, sigma2, window)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), np.diag(phi.sum(1)) - phi, rtol=1e-5, atol=1e-7)


def test_window_laplacian_of_an_image_smaller_than_the_window():
    assert window_laplacian(np.zeros((1, 1, 3), np.uint8), 1, 1, 5).toarray().tolist() == [[0]]
    found = window_laplacian(np.zeros((1, 2, 3), np.uint8), 1, 1, 5).toarray()
    np.testing.assert_allclose(found, np.exp(-0.5) * np.array([[1, -1], [-1, 1]]), rtol=1e-6)


@pytest.mark.parametrize("reading", ["paper", "code"])
@pytest.mark.parametrize("labels", [(0, 1, 2, 255), (0, 255), (1, 2, 255), (255,), (0, 1)], ids=str)
def test_losses_are_the_loop_s(reading, labels, image, rng, cpu):
    settings = SETTINGS | {"laplacian": reading}
    logits, target = 2 * rng.standard_normal((H * W, 3)), rng.choice(labels, H * W)
    laplacian = SparseGraph(window_laplacian(image, 1.5, 40, 5), cpu)
    found = gcn_losses(torch.tensor(logits), torch.tensor(target), laplacian, settings)
    z = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = losses_by_loops(z, target, similarity_by_loops(image, 1.5, 40, 5), settings)
    np.testing.assert_allclose([found[name].item() for name in LOSSES], expected, rtol=1e-5)


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_gradient_of_the_losses(reading, image, rng, cpu):
    target = torch.tensor(rng.choice([0, 1, 2, 255], H * W))
    laplacian = SparseGraph(window_laplacian(image, 1.5, 40, 5), cpu)
    logits = torch.tensor(rng.standard_normal((H * W, 3)), requires_grad=True)
    settings = SETTINGS | {"laplacian": reading}
    assert torch.autograd.gradcheck(lambda x: gcn_losses(x, target, laplacian, settings)["loss"], logits, atol=1e-6)


def renumbered(partial):
    """The partial label with its classes as columns: 3 is 1, 7 is 2."""
    return np.select([partial == 3, partial == 7], [1, 2], partial.astype(int))


class DenseGCN:
    """Kipf's two layers and their training in dense float64, from the initial weights that `refine` draws."""

    def __init__(self, affinity, features, classes, seed):
        matrix = affinity.toarray().astype(float)
        for identity in (0, np.eye(len(matrix))):  # one symmetric step, then D^-½ (W + I) D^-½
            matrix = matrix + identity
            root = np.diag(matrix.sum(1) ** -0.5)
            matrix = root @ matrix @ root
        self.matrix = torch.tensor(matrix)
        self.features = torch.tensor(features).double()
        generator = torch.Generator().manual_seed(seed)
        weights, shapes = [], [(features.shape[1], SETTINGS["hidden"]), (SETTINGS["hidden"], classes + 1)]
        for rows, columns in shapes:  # Glorot's uniform ones
            uniform = torch.rand(rows, columns, generator=generator).double()
            weights.append((uniform * 2 - 1) * np.sqrt(6 / (rows + columns)))
        biases = [torch.zeros(columns).double() for _, columns in shapes]
        self.parameters = [p.requires_grad_() for p in (*weights, *biases)]

    def scores(self):
        w0, w1, b0, b1 = self.parameters
        hidden = torch.relu(self.matrix @ (self.features @ w0) + b0)
        return torch.softmax(self.matrix @ (hidden @ w1) + b1, 1)

    def loss(self, target, phi):
        z, nodes = self.scores(), torch.arange(len(target))
        foreground, background, rest = ((target == 1) | (target == 2)), target == 0, target == 255
        log_likelihood = torch.log(z[nodes, torch.where(rest, 0, target)])
        distances = ((z[:, None] - z[None]) ** 2).sum(2)
        return (
            -log_likelihood[foreground].mean()
            - log_likelihood[background].mean()
            - SETTINGS["lambda_ent"] * (z * torch.log(z)).sum(1)[rest].mean()
            + SETTINGS["lambda_lap"] * (phi * distances).sum() / len(z)
        )


def test_forward_pass_is_kipf_s(affinity, features, refined):
    scores, losses = refined(epochs=0)
    expected = DenseGCN(affinity, features, len(CLASSES), 11).scores().detach().numpy()
    assert scores.shape == (3, H, W) and scores.dtype == np.float32
    assert losses.shape == (0, len(LOSSES))
    np.testing.assert_allclose(scores, expected.T.reshape(3, H, W), rtol=1e-4)


def test_training_is_adam_on_the_dense_formula(affinity, features, partial, image, refined):
    scores, losses = refined()
    dense = DenseGCN(affinity, features, len(CLASSES), 11)
    target = torch.tensor(renumbered(partial).ravel())
    phi = torch.tensor(similarity_by_loops(image, SETTINGS["sigma1"], SETTINGS["sigma2"], SETTINGS["window"]))
    adam = torch.optim.Adam(dense.parameters, lr=SETTINGS["lr"], weight_decay=SETTINGS["weight_decay"])
    expected = []
    for _ in range(SETTINGS["epochs"]):
        adam.zero_grad()
        loss = dense.loss(target, phi)
        loss.backward()
        adam.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses[:, LOSSES.index("loss")], expected, rtol=1e-4)
    np.testing.assert_allclose(scores, dense.scores().detach().numpy().T.reshape(3, H, W), rtol=1e-3)


def test_training_lowers_the_loss_and_fits_the_label(refined, partial):
    scores, losses = refined(epochs=250, lambda_lap=0, lambda_ent=0, weight_decay=0)
    assert losses[-1, 0] < losses[0, 0] / 3
    found = np.array([0, *CLASSES])[scores.argmax(0)]
    assert (found == partial)[partial != 255].mean() > 0.8
    np.testing.assert_allclose(scores.sum(0), 1, rtol=1e-5)


def test_dropout_acts_in_training_only(refined):
    (with_it, noisy), (without, clean) = (refined(lr=0, dropout=dropout) for dropout in (0.3, 0))
    np.testing.assert_array_equal(with_it, without)
    assert len(set(noisy[:, 0])) == len(noisy)
    assert len(set(clean[:, 0])) == 1


def test_dropout_keeps_the_mean_logit(refined):
    """-log z_0 + log z_1 is a difference of logits, linear in the hidden units that dropout hits and scales."""

    def mean_difference(dropout):
        settings = {"dropout": dropout, "classes": [1], "lr": 0, "epochs": 100}
        losses = [refined(partial=np.full((H, W), label, np.uint8), **settings)[1] for label in (0, 1)]
        return (losses[0][:, LOSSES.index("loss_bg")] - losses[1][:, LOSSES.index("loss_fg")]).mean()

    assert mean_difference(0.3) == pytest.approx(mean_difference(0), rel=0.1)


def test_a_result_depends_on_its_seed_only(refined):
    first, _ = refined(dropout=0.3)
    torch.manual_seed(99)
    refined(seed=12, dropout=0.3)
    state = torch.get_rng_state()
    again, _ = refined(dropout=0.3)
    np.testing.assert_array_equal(first, again)
    assert torch.equal(state, torch.get_rng_state())
    assert not np.array_equal(first, refined(seed=12, dropout=0.3)[0])


def test_image_seeds_are_their_own():
    seeds = {image_seed(seed, image) for seed in range(20) for image in ("2007_000032", "2007_000033", "1", "11", "")}
    assert len(seeds) == 100
    assert image_seed(1, "1/a") != image_seed(11, "/a")
    assert all(0 <= seed < 2**63 for seed in seeds)  # what a torch generator takes
    assert image_seed(0, "2007_000032") == 6546366134672256  # on every machine


@pytest.mark.parametrize("label, zero", [(0, {"loss_fg", "loss_ent"}), (3, {"loss_bg", "loss_ent"})])
def test_one_group_of_labels_suffices(label, zero, refined):
    scores, losses = refined(partial=np.full((H, W), label, np.uint8))
    assert np.isfinite(scores).all()
    assert {name for name, values in zip(LOSSES, losses.T, strict=True) if not values.any()} == zero


def test_no_label_at_all_suffices(refined):
    scores, losses = refined(partial=np.full((H, W), 255, np.uint8))
    assert np.isfinite(scores).all() and np.isfinite(losses).all()
    assert not losses[:, [LOSSES.index("loss_fg"), LOSSES.index("loss_bg")]].any()


def test_classes_are_columns_in_their_order(refined, partial):
    renamed = renumbered(partial).astype(np.uint8)
    np.testing.assert_array_equal(refined()[0], refined(partial=renamed, classes=(1, 2))[0])


def test_scores_that_are_not_finite_are_an_error(refined, features):
    with pytest.raises(FloatingPointError, match="not finite"):
        refined(features=np.full_like(features, np.nan))
