"""Images of a pixel or a line, maps of zeros, labels without a label: every stage ends in finite numbers."""

import numpy as np
import pytest
import torch
import yaml
from tiny_project import ROOT

from wsgcn.affinity.affinitynet import AffinityNet, affinity_features, label_for_affinitynet
from wsgcn.affinity.irnet import BoundaryNet, boundary_and_features, label_for_irnet
from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.cam.classifier import Classifier, class_activation_maps
from wsgcn.data.augment import resize
from wsgcn.files import IGNORE
from wsgcn.graph.operator import propagation_graph
from wsgcn.labels.crf import dense_crf
from wsgcn.labels.partial import partial_label
from wsgcn.labels.pseudo import complete_label
from wsgcn.refinement.gcn import ImageInput, refine
from wsgcn.refinement.random_walk import walk_against_constant, walk_with_background
from wsgcn.segmentation.deeplab import build_deeplab, predict

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
CLASSES = (1, 3)
GRAPHS = [{}, {"steps": 1}, {"steps": 0}, {"normalisation": "row"}, {"normalisation": "row", "steps": 1}]
SIZES = [(1, 1), (1, 7), (3, 2), (4, 90)]


@pytest.fixture(scope="module")
def networks(backbone, cpu):
    torch.manual_seed(0)
    return Classifier(backbone, 3).eval(), BoundaryNet(backbone).eval(), AffinityNet(backbone).eval()


@pytest.fixture(scope="module")
def deeplab(wheel):
    return build_deeplab(wheel, 4).eval()


def refined(graph, partial, image, **settings):
    given, settings = ImageInput(*graph, partial, image, CLASSES, 5), CONFIG["refine"] | {"epochs": 4} | settings
    (scores, losses), *_ = refine([given], settings, torch.device("cpu"))
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)
    return scores


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", ["irnet", "psa"])
def test_every_stage_of_a_small_image(size, network, networks, rng, cpu):
    classifier, boundary_net, affinity_net = networks
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    cam, high_res = class_activation_maps(classifier, image, CLASSES, CONFIG["cam"] | {"scales": [1, 0.5, 2]}, cpu)
    grid = (-(-size[0] // 4), -(-size[1] // 4))
    assert cam.shape == (2, *grid) and high_res.shape == (2, *size)
    label = {"irnet": label_for_irnet, "psa": label_for_affinitynet}[network]
    assert label(image, high_res, CLASSES, CONFIG[network]["labels"]).shape == size
    if network == "irnet":
        boundary, features = boundary_and_features(boundary_net, image, cpu)
        learnt = {"boundary": boundary, "features": features, "weight": np.ones(160, np.float32)}
    else:
        learnt = {"features": affinity_features(affinity_net, image, cpu)}
    small = resize(image, *grid)
    partial = partial_label(small, cam, CLASSES, CONFIG["partial"])
    affinity, features = affinity_matrix_from(learnt, grid, 5, 10), node_features(learnt, grid, "plain")
    for changed in GRAPHS:
        graph = propagation_graph(affinity, features, CONFIG["graph"] | changed)
        for reading in ("paper", "code"):
            scores = refined(graph, partial, small, laplacian=reading)
            assert complete_label(image, scores, CLASSES, CONFIG["pseudo"]["crf"]).shape == size
    for walked in (
        walk_against_constant(affinity, cam, learnt.get("boundary"), 256, 0.4),
        walk_with_background(affinity, cam, 256, 4),
    ):
        assert walked.shape == (3, *grid) and np.isfinite(walked).all()


@pytest.mark.parametrize("size", SIZES)
def test_prediction_of_a_small_image(size, deeplab, rng, cpu):
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    settings = CONFIG["segmentation"]["prediction"]
    scores = predict(deeplab, image, [*settings["scales"], 0.3], True, cpu)
    assert dense_crf(image, scores, settings["crf"]).shape == (4, *size)


@pytest.mark.parametrize("zero", [(0,), (0, 1)], ids=["one class", "both"])
def test_a_class_whose_cam_is_zero_everywhere(zero, picture):
    h, w = picture.shape[:2]
    cam = np.random.default_rng(0).random((2, h, w)).astype(np.float32)
    cam[list(zero)] = 0
    label = partial_label(picture, cam, CLASSES, CONFIG["partial"])
    assert not set(np.unique(label)) & {CLASSES[k] for k in zero}
    for make in (label_for_irnet, label_for_affinitynet):
        settings = CONFIG["irnet" if make is label_for_irnet else "psa"]["labels"]
        assert not set(np.unique(make(picture, cam, CLASSES, settings))) & {CLASSES[k] for k in zero}
    affinity = affinity_matrix_from({"boundary": np.full((h, w), 0.1, np.float32)}, (h, w), 5, 10)
    for walked in (walk_against_constant(affinity, cam, None, 256, 0.4), walk_with_background(affinity, cam, 256, 4)):
        assert np.isfinite(walked).all() and not walked[[1 + k for k in zero]].any()


@pytest.mark.parametrize("value", [IGNORE, 0, 1])
def test_a_partial_label_of_one_value(value, picture, rng):
    """Nothing labelled, or no foreground, or no background: the missing losses are zero and there is a label."""
    h, w = picture.shape[:2]
    boundary = rng.random((h, w)).astype(np.float32)
    affinity = affinity_matrix_from({"boundary": boundary}, (h, w), 5, 10)
    graph = propagation_graph(affinity, rng.random((6, h * w)).astype(np.float32), CONFIG["graph"])
    partial = np.full((h, w), value, np.uint8)
    scores, again = (refined(graph, partial, picture, epochs=60) for _ in range(2))
    assert np.array_equal(scores, again)
    if value != IGNORE:
        assert (scores.argmax(0) == value).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_told(bad, rng):
    affinity = affinity_matrix_from({"boundary": rng.random((4, 5)).astype(np.float32)}, (4, 5), 3, 10)
    features = rng.random((6, 20)).astype(np.float32)
    features[2, 3] = bad
    with pytest.raises(ValueError, match="the node features are not finite"):
        propagation_graph(affinity, features, CONFIG["graph"])
