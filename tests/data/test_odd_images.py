"""Images of one pixel or one line, CAMs of zeros, labels without a labelled pixel: all stages give finite numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from configs import CONFIG

from wsgcn.affinity.affinitynet import AffinityNet, affinity_features
from wsgcn.affinity.irnet import BoundaryNet, boundary_and_features
from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.affinity.training_labels import label_for_affinitynet, label_for_irnet
from wsgcn.cam.classifier import CamSettings, Classifier, class_activation_maps
from wsgcn.data.augment import resize
from wsgcn.files import IGNORE
from wsgcn.graph.operator import GraphSettings, propagation_graph
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.labels.partial import PartialSettings, partial_label
from wsgcn.labels.pseudo import complete_label
from wsgcn.refinement.gcn import GcnSettings, ImageInput, refine
from wsgcn.refinement.random_walk import walk_against_constant, walk_with_background
from wsgcn.sections import from_section
from wsgcn.segmentation.deeplab import build_deeplab, predict
from wsgcn.segmentation.prediction import PredictionSettings

SCALES = CONFIG["segmentation"]["prediction"]
PARTIAL = from_section(PartialSettings, CONFIG["partial"])
GRAPH = from_section(GraphSettings, CONFIG["graph"])
GCN = from_section(GcnSettings, CONFIG["refine"])
PSEUDO_CRF = from_section(CrfSettings, CONFIG["pseudo"]["crf"])
PREDICTION = from_section(PredictionSettings, {key: SCALES[key] for key in ("scales", "flip", "crf")})
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
    settings = replace(GCN, **({"epochs": 4} | settings))
    (scores, losses), *_ = refine([ImageInput(*graph, partial, image, CLASSES, 5)], settings, torch.device("cpu"))
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)
    return scores


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", ["irnet", "psa"])
def test_all_stages_of_a_small_image(size, network, networks, rng, cpu):
    classifier, boundary_net, affinity_net = networks
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    cam, high_res = class_activation_maps(
        classifier, image, CLASSES, CamSettings((1, 0.5, 2), CONFIG["cam"]["flip"]), cpu
    )
    grid = (-(-size[0] // 4), -(-size[1] // 4))
    assert cam.shape == (2, *grid) and high_res.shape == (2, *size)
    label = {"irnet": label_for_irnet, "psa": label_for_affinitynet}[network]
    assert label(image, high_res, CLASSES, CONFIG[network]["labels"]).shape == size
    if network == "irnet":
        boundary, features = boundary_and_features(boundary_net, image, cpu)
        network_output = {"boundary": boundary, "features": features, "weight": np.ones(160, np.float32)}
    else:
        network_output = {"features": affinity_features(affinity_net, image, cpu)}
    small = resize(image, *grid)
    partial = partial_label(small, cam, CLASSES, PARTIAL)
    affinity, features = affinity_matrix_from(network_output, grid, 5, 10), node_features(network_output, grid, "plain")
    for changed in GRAPHS:
        graph = propagation_graph(affinity, features, replace(GRAPH, **changed))
        for form in ("paper", "code"):
            scores = refined(graph, partial, small, laplacian=form)
            label, confidence = complete_label(image, scores, CLASSES, PSEUDO_CRF)
            assert label.shape == confidence.shape == size
    for walked in (
        walk_against_constant(affinity, cam, network_output.get("boundary"), 256, 0.4),
        walk_with_background(affinity, cam, 256, 4),
    ):
        assert walked.shape == (3, *grid) and np.isfinite(walked).all()


@pytest.mark.parametrize("size", SIZES)
def test_prediction_of_a_small_image(size, deeplab, rng, cpu):
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    scores = predict(deeplab, image, [*PREDICTION.scales, 0.3], True, cpu)
    assert dense_crf(image, scores, PREDICTION.crf).shape == (4, *size)


@pytest.mark.parametrize("zero", [(0,), (0, 1)], ids=["one class", "both"])
def test_a_class_whose_cam_is_all_zero(zero, picture):
    h, w = picture.shape[:2]
    cam = np.random.default_rng(0).random((2, h, w)).astype(np.float32)
    cam[list(zero)] = 0
    label = partial_label(picture, cam, CLASSES, PARTIAL)
    assert not set(np.unique(label)) & {CLASSES[k] for k in zero}
    for make in (label_for_irnet, label_for_affinitynet):
        settings = CONFIG["irnet" if make is label_for_irnet else "psa"]["labels"]
        assert not set(np.unique(make(picture, cam, CLASSES, settings))) & {CLASSES[k] for k in zero}
    affinity = affinity_matrix_from({"boundary": np.full((h, w), 0.1, np.float32)}, (h, w), 5, 10)
    for walked in (walk_against_constant(affinity, cam, None, 256, 0.4), walk_with_background(affinity, cam, 256, 4)):
        assert np.isfinite(walked).all() and not walked[[1 + k for k in zero]].any()


@pytest.mark.parametrize("value", [IGNORE, 0, 1])
def test_a_partial_label_of_one_value(value, picture, rng):
    """Nothing labelled, no foreground, or no background: losses without pixels are zero, and scores are finite."""
    h, w = picture.shape[:2]
    boundary = rng.random((h, w)).astype(np.float32)
    affinity = affinity_matrix_from({"boundary": boundary}, (h, w), 5, 10)
    graph = propagation_graph(affinity, rng.random((6, h * w)).astype(np.float32), GRAPH)
    partial = np.full((h, w), value, np.uint8)
    scores, again = (refined(graph, partial, picture, epochs=60) for _ in range(2))
    assert np.array_equal(scores, again)
    if value != IGNORE:
        assert (scores.argmax(0) == value).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_an_error(bad, rng):
    affinity = affinity_matrix_from({"boundary": rng.random((4, 5)).astype(np.float32)}, (4, 5), 3, 10)
    features = rng.random((6, 20)).astype(np.float32)
    features[2, 3] = bad
    with pytest.raises(ValueError, match="the node features are not finite"):
        propagation_graph(affinity, features, GRAPH)
