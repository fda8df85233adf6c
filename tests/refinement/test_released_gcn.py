"""The GCN as WSGCN's released code has it: outputs of all classes, initial weights, its image, against its record."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import scipy.sparse
import torch
from released_records import IMAGES, drawn, record

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.data.augment import grid_image
from wsgcn.graph.operator import GraphSettings
from wsgcn.graph.propagation import Graph, Propagation
from wsgcn.graph.walk import matrix_term
from wsgcn.refinement import gcn, gcn_refiner
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.gcn import GcnSettings, ImageInput, refine
from wsgcn.refinement.gcn_refiner import refine_with_gcn
from wsgcn.refinement.network import initial_parameters, random_generator

GRAPH = GraphSettings(radius=5, beta=10, steps=256, normalisation="row", features="plain")
RELEASED = GcnSettings(
    epochs=250,
    lr=0.01,
    weight_decay=0.0005,
    dropout=0,  # its masks are drawn by another generator
    hidden=16,
    cross_entropy="separate",
    lambda_ent=10 / 21,
    lambda_lap=0.01,
    laplacian="code",
    sigma1=10**0.5,
    sigma2=255 * 6**0.5,
    window=5,
    initial_weights="uniform",
    outputs="all",
)


def dense_graph(affinity):
    """Â of 256 steps, by eight squarings in float32 as in the released code: 250 epochs amplify what it rounds off."""
    walk = affinity / affinity.sum(0)
    for _ in range(8):
        walk = walk @ walk
    walk = np.maximum(walk, walk.T)
    inverse = 1 / (walk.sum(1) + 1)
    return Graph((matrix_term(scipy.sparse.csr_array(walk)),), inverse, np.ones_like(inverse), inverse)


@pytest.mark.parametrize("k", [IMAGES[0], *(pytest.param(k, marks=pytest.mark.proof) for k in IMAGES[1:])])
def test_scores_are_those_of_the_released_code(k, cpu, monkeypatch):
    """From its initial weights, on its partial label and its image; without dropout, in 250 epochs."""
    one, known = drawn(k), record("wsgcn_gcn")
    affinity = affinity_matrix(one["boundary"].astype(np.float32), 5, 10)
    features = known[f"features_{k}"].astype(np.float32)
    graph = dense_graph(affinity.toarray())
    batch = torch.from_numpy(features.reshape(1, len(features), -1))
    propagated = Propagation([graph], cpu).apply(batch)[0].numpy()
    parts = [known[f"gc{layer}_{part}_{k}"].T.ravel() for layer in (1, 2) for part in ("weight", "bias")]
    monkeypatch.setattr(gcn, "initial_parameters", lambda *_: np.concatenate(parts))
    image = grid_image(one["image"], *one["boundary"].shape, "lanczos_bgr")
    partial = record("wsgcn_partial")[f"label_{k}"]
    ((scores, losses),) = refine([ImageInput(graph, propagated, partial, image, range(1, 21), 0)], RELEASED, cpu)
    expected = known[f"z_{k}"].astype(np.float32)
    assert losses[0, 0] == pytest.approx(known[f"loss_{k}"][0], rel=1e-4)
    assert losses[-1, 0] == pytest.approx(known[f"loss_{k}"][1], rel=1e-2)
    own = scores[[0, *one["keys"]]]
    assert (own.argmax(0) != expected.argmax(0)).sum() <= 2  # one in all three on the processor that was measured
    assert np.abs(own - expected).max() < 0.1


@pytest.mark.parametrize(("kind", "bias"), [("uniform", True), ("glorot", False)])
def test_initial_weights_are_uniform_within_their_bound(kind, bias):
    """Those of a layer of 16 and one of 21 outputs, from 160 and 16 inputs."""
    found = initial_parameters(random_generator(3), 160, 16, 21, kind)
    w0, b0, w1, b1 = np.split(found, np.cumsum([16 * 160, 16, 21 * 16]))
    bounds = (16**-0.5, 21**-0.5) if kind == "uniform" else ((6 / 176) ** 0.5, (6 / 37) ** 0.5)
    for weight, own, bound in ((w0, b0, bounds[0]), (w1, b1, bounds[1])):
        assert 0.95 * bound < np.abs(weight).max() <= bound and abs(weight.mean()) < bound / 5
        assert (np.abs(weight) > bound / 2).mean() == pytest.approx(0.5, abs=0.1)
        assert own.any() == bias and np.abs(own).max() <= bound
    assert found.dtype == np.float32 and len(b1) == 21


def random_input(rng, keys=(2, 5)):
    image = rng.integers(0, 256, (27, 30, 3)).astype(np.uint8)
    output = {"boundary": 0.3 * rng.random((7, 8), np.float32), "features": rng.standard_normal((6, 7, 8))}
    partial = rng.choice([0, *keys, 255], (7, 8)).astype(np.uint8)
    return RefinerInput("a", keys, image, None, output, partial)


SHORT = replace(RELEASED, epochs=4)


def refined(image, cpu, settings=SHORT, **params):
    given = {"graph": asdict(GRAPH), "settings": asdict(settings), "seed": 3, "num_classes": 6} | params
    (found,) = refine_with_gcn([image], given, cpu)
    return found


def test_a_network_of_all_classes_gives_the_image_s_own(rng, cpu):
    image = random_input(rng)
    whole = refined(replace(image, keys=tuple(range(1, 7))), cpu, replace(SHORT, outputs="own"))
    found = refined(image, cpu)
    assert found.keys == (2, 5) and whole.scores.shape[0] == 7
    np.testing.assert_array_equal(found.scores, whole.scores[[0, 2, 5]])
    np.testing.assert_array_equal(found.losses, whole.losses)
    own = refined(image, cpu, replace(SHORT, outputs="own"))
    np.testing.assert_allclose(own.scores.sum(0), 1, rtol=1e-5)
    assert (found.scores.sum(0) < 0.999).all()


@pytest.mark.parametrize("change", [{"initial_weights": "glorot"}, {"outputs": "own"}])
def test_both_settings_are_read(change, rng, cpu):
    image = random_input(rng)
    assert not np.array_equal(refined(image, cpu).scores, refined(image, cpu, replace(SHORT, **change)).scores)


@pytest.mark.parametrize("reading", ["bicubic", "lanczos_bgr"])
def test_the_laplacian_s_image_is_resized_as_the_setting_says(reading, rng, cpu, monkeypatch):
    seen = []
    real = gcn_refiner.refine
    monkeypatch.setattr(gcn_refiner, "refine", lambda images, *rest: seen.extend(images) or real(images, *rest))
    image = random_input(rng)
    refined(image, cpu, **({} if reading == "bicubic" else {"grid_image": reading}))
    np.testing.assert_array_equal(seen[0].image, grid_image(image.image, 7, 8, reading))


def test_the_experiment_of_the_released_code_has_its_settings():
    from configs import CONFIG, SETTINGS

    from wsgcn.workflow.experiments import merge

    own = merge(SETTINGS, CONFIG["experiments"]["released-code"])
    expected = asdict(replace(RELEASED, dropout=0.3))
    assert {key: pytest.approx(value) for key, value in own["refine"].items() if key in expected} == expected
    assert own["partial"]["selection"] == "union" and own["grid_image"] == "lanczos_bgr"
    assert (own["partial"]["alpha_low"], own["partial"]["alpha_high"]) == (4, 32)
    assert own["pseudo"]["crf_input"] == "double_softmax"
    assert own["graph"] == asdict(replace(GRAPH, features="weighted"))
