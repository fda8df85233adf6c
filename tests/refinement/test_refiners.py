"""The refiners of the contract, against the functions that they call, and the files that are written of them."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.data.augment import resize
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.refinement.cam_scores import scores_of_cams
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.gcn import GcnSettings, ImageInput, image_seed, refine
from wsgcn.refinement.gcn_refiner import refine_with_gcn
from wsgcn.refinement.random_walk import (
    RandomWalkSettings,
    refine_with_random_walk,
    walk_against_constant,
    walk_with_background,
)

GRAPH = GraphSettings(radius=4, beta=10, steps=256, normalisation="row", features="weighted")
GCN = GcnSettings(
    epochs=5,
    lr=0.01,
    weight_decay=0.0005,
    dropout=0.3,
    hidden=8,
    sigma1=1.7,
    sigma2=10,
    window=5,
    lambda_ent=1,
    lambda_lap=0.1,
    laplacian="paper",
    cross_entropy="separate",
)
WALK = RandomWalkSettings(steps=16, background="constant", background_score=0.4, alpha=4)
GCN_PARAMS = {"graph": asdict(GRAPH), "settings": asdict(GCN), "seed": 3}


def walk_params(**changed):
    return {"radius": 4, "beta": 10, "settings": asdict(replace(WALK, **changed))}


def random_input(rng, name, size, keys, with_boundary=True):
    """Everything that a refiner may ask for, on a grid of `size`."""
    (h, w), count = size, len(keys)
    image = rng.integers(0, 256, (4 * h - 1, 4 * w - 2, 3)).astype(np.uint8)
    maps = rng.random((count, h, w)) * (rng.random((count, h, w)) < 0.6)
    cam = {"keys": np.array(keys, np.uint8), "cam": maps.astype(np.float16)}
    features = rng.standard_normal((6, h, w)) if with_boundary else rng.standard_normal((6, -(-h // 2), -(-w // 2)))
    output = {"features": features.astype(np.float16)}
    if with_boundary:
        boundary, weight = 0.3 * rng.random(size, np.float32), rng.standard_normal(6).astype(np.float32)
        output |= {"boundary": boundary, "weight": weight}
    partial = rng.choice([0, *keys, 255], size).astype(np.uint8)
    return RefinerInput(name, tuple(keys), image, cam, output, partial)


@pytest.fixture(params=["irnet", "affinitynet"])
def images(request, rng):
    """Three images of different sizes and classes."""
    kinds = ("a", (7, 9), (3,)), ("b", (8, 6), (2, 20)), ("c", (5, 6), (1, 4))
    return [random_input(rng, *kind, with_boundary=request.param == "irnet") for kind in kinds]


def test_gcn_matches_refine(images, cpu, capsys):
    """Each image by its own seed, and to the bit the same in any company on a CPU."""
    results = refine_with_gcn(images, GCN_PARAMS, cpu)
    log = capsys.readouterr().out.splitlines()
    for image, result, line in zip(images, results, log, strict=True):
        affinity = affinity_matrix_from(image.network_output, image.partial.shape, 4, 10)
        features = node_features(image.network_output, image.partial.shape, "weighted")
        graph, propagated = propagation_graph(affinity, features, GRAPH)
        assert line == f"{image.id}: {graph}"
        pixels = resize(image.image, *image.partial.shape)
        network_input = ImageInput(graph, propagated, image.partial, pixels, list(image.keys), image_seed(3, image.id))
        ((scores, losses),) = refine([network_input], GCN, cpu)
        assert result.keys == image.keys
        assert result.scores.shape == (len(image.keys) + 1, *image.partial.shape)
        assert result.losses.shape == (5, 5) and result.losses.dtype == np.float32
        assert result.scores.tobytes() == scores.tobytes() and result.losses.tobytes() == losses.tobytes()


def test_gcn_needs_no_cam(images, cpu):
    (found,) = refine_with_gcn([replace(images[0], cam=None)], GCN_PARAMS, cpu)
    np.testing.assert_array_equal(found.scores, refine_with_gcn(images[:1], GCN_PARAMS, cpu)[0].scores)


def test_gcn_refuses_unknown_settings(images, cpu):
    with pytest.raises(TypeError, match="GcnSettings: keys depth"):
        refine_with_gcn(images, GCN_PARAMS | {"settings": asdict(GCN) | {"depth": 3}}, cpu)


@pytest.mark.parametrize("background", ["constant", "channel"])
def test_random_walk_matches_walk_of_cams(background, images):
    results = refine_with_random_walk(images, walk_params(background=background), None)
    for image, result in zip(images, results, strict=True):
        cams = image.cam["cam"].astype(np.float32)
        affinity = affinity_matrix_from(image.network_output, cams.shape[1:], 4, 10)
        if background == "constant":
            expected = walk_against_constant(affinity, cams, image.network_output.get("boundary"), 16, 0.4)
        else:
            expected = walk_with_background(affinity, cams, 16, 4)
        assert result.keys == image.keys and result.losses is None
        assert result.scores.dtype == np.float32 and result.scores.tobytes() == expected.tobytes()


def test_random_walk_needs_neither_image_nor_partial_label(images):
    found = refine_with_random_walk([replace(images[0], image=None, partial=None)], walk_params(), None)
    expected = refine_with_random_walk(images[:1], walk_params(), None)
    np.testing.assert_array_equal(found[0].scores, expected[0].scores)


@pytest.mark.parametrize("background_score", [0.4, 0.25, 1 / 3])
def test_cam_scores_are_the_cams_to_the_bit(background_score, images):
    results = scores_of_cams(images, {"background_score": background_score}, None)
    for image, result in zip(images, results, strict=True):
        cams = image.cam["cam"]
        expected = np.concatenate([np.full_like(cams[:1], background_score), cams])
        written = result.scores.astype(np.float16)
        assert result.keys == image.keys and result.losses is None
        assert written.dtype == expected.dtype and written.tobytes() == expected.tobytes()


def test_keys_are_those_of_the_cams(images):
    """The order of the scores is that of the CAM file."""
    cam = images[1].cam | {"keys": np.array([20, 2], np.uint8)}
    image = replace(images[1], cam=cam)
    assert scores_of_cams([image], {"background_score": 0.4}, None)[0].keys == (20, 2)
    assert refine_with_random_walk([image], walk_params(), None)[0].keys == (20, 2)


@pytest.mark.parametrize("module", ["contract", "cam_scores", "loss_names"])
def test_contract_imports_no_torch(module):
    code = f"import sys, wsgcn.refinement.{module}; print('torch' in sys.modules)"
    source = Path(__file__).parents[2] / "workflow_scripts"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
