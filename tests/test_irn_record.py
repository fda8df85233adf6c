"""The library, set as IRN's code was released, against what that code computed: tests/reference/README.md.

Run alone: `.venv/bin/python -m pytest tests/test_irn_record.py`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference_weights import drawn_weights

from wsgcn.affinity.irnet import BoundarySettings, affinity_loss, boundary_and_features, build_boundary_net
from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.affinity.training_labels import label_for_irnet
from wsgcn.cam.classifier import CamSettings, build_classifier, class_activation_maps
from wsgcn.labels.scores import label_of, upsample
from wsgcn.networks.backbone import BackboneSettings, freeze_stages
from wsgcn.networks.inference import scaled_and_flipped
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.random_walk import random_walk, refine_with_random_walk

RECORDS = Path(__file__).parent / "reference"
KEYS = (2, 4)
RESNET = BackboneSettings("resnet50", "random", dilated=False)
MIN_EQUAL = 0.999


def record(name: str) -> dict[str, np.ndarray]:
    with np.load(RECORDS / f"{name}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def image():
    return record("scene")["image"]


@pytest.fixture(scope="module")
def classifier():
    model = build_classifier(RESNET, 20)
    model.backbone.load_state_dict(drawn_weights(model.backbone.state_dict(), 1))
    weight = np.random.default_rng(2).standard_normal((20, 2048, 1, 1)).astype(np.float32)
    model.head.weight.data = torch.from_numpy(0.05 * weight)
    return model


def test_cams(classifier, image, cpu):
    expected, scales = record("irn_cams"), (1, 0.5, 1.5, 2)
    cut, stretched = (
        class_activation_maps(classifier.eval(), image, KEYS, CamSettings(scales, True, full_size), cpu)
        for full_size in ("cut", "stretched")
    )
    np.testing.assert_allclose(cut[0], expected["cam"], atol=1e-4)
    np.testing.assert_allclose(cut[1][:, ::3, ::3], expected["high_res"], atol=1e-3)
    assert (cut[0].argmax(0) == expected["cam"].argmax(0)).mean() >= MIN_EQUAL
    assert np.abs(stretched[1][:, ::3, ::3] - expected["high_res"]).max() > 0.01


def test_gradients_of_the_classifier(classifier, image, cpu):
    expected = json.loads((RECORDS / "irn_gradients.json").read_text())
    freeze_stages(classifier.backbone, 3)
    logits = classifier.train()(scaled_and_flipped(image, 1, True, classifier.backbone, cpu))
    target = torch.zeros(2, 20)
    target[:, [key - 1 for key in KEYS]] = 1
    loss = F.multilabel_soft_margin_loss(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-4)
    found = {name.removeprefix("backbone."): p.grad for name, p in classifier.named_parameters()}
    norms = {name: None if gradient is None else gradient.norm().item() for name, gradient in found.items()}
    assert norms == {
        name: norm if norm is None else pytest.approx(norm, rel=1e-2)
        for name, norm in expected["gradient_norms"].items()
    }


def test_boundary_and_features(image, cpu):
    expected, settings = record("irn_boundary"), BoundarySettings("pooled", 512, "logits")
    net = build_boundary_net(RESNET, cpu, settings.first_stage)
    net.backbone.load_state_dict(drawn_weights(net.backbone.state_dict(), 1))
    theirs = {}  # the branch's tensors by the names of the released code
    for name, values in net.state_dict().items():
        part, *rest = name.split(".")
        if part == "stages":
            theirs[f"fc_edge{int(rest[0]) + 1}.{'.'.join(rest[1:])}"] = (name, values)
        elif part == "last":
            theirs[f"fc_edge6.{rest[0]}"] = (name, values)
    drawn = drawn_weights({name: values for name, (_, values) in theirs.items()}, 4)
    net.load_state_dict({own: drawn[name] for name, (own, _) in theirs.items()}, strict=False)
    boundary, features = boundary_and_features(net.eval(), image, cpu, settings)
    np.testing.assert_allclose(boundary, expected["boundary"], atol=1e-3)
    np.testing.assert_allclose(features[::20], expected["features"], atol=5e-3, rtol=5e-3)


def walk_scores(records: dict[str, np.ndarray], **settings: object) -> np.ndarray:
    high_res = np.zeros((len(KEYS), *records["size"]), np.float16)
    image = RefinerInput(
        "scene",
        KEYS,
        cam={"keys": np.array(KEYS, np.uint8), "cam": records["cam"], "high_res": high_res},
        network_output={"boundary": records["boundary"].astype(np.float32)},
    )
    walk = {"steps": 256, "background": "constant", "alpha": 1, **settings}
    (result,) = refine_with_random_walk([image], {"radius": 5, "beta": 10, "settings": walk}, None)
    return result.scores.astype(np.float16)  # as files hold them


@pytest.mark.parametrize("name, background", [("label_25", 0.25), ("label_55", 0.55)])
def test_labels_of_the_walk(name, background):
    records = record("irn_walk")
    scores = walk_scores(records, background_score=background, upsampling="cut", maximum="image")
    label = label_of(upsample(scores, *records["size"]), KEYS)
    assert (label == records[name]).mean() >= MIN_EQUAL
    ours = label_of(upsample(walk_scores(records, background_score=background), *records["size"]), KEYS)
    assert (ours == records[name]).mean() < 0.97


def test_the_walk():
    records = record("irn_walk")
    boundary = records["boundary"].astype(np.float32)
    start = (records["cam"].astype(np.float32) * (1 - boundary)).reshape(2, -1)
    walked = random_walk(affinity_matrix(boundary, 5, 10), start, 256)
    np.testing.assert_allclose(walked, records["walked"].reshape(2, -1), atol=1e-3)


def test_training_labels(image):
    records = record("irn_labels")
    crf = {"iterations": 10, "gaussian_sxy": 3, "gaussian_compat": 3}
    crf |= {"bilateral_sxy": 50, "bilateral_srgb": 5, "bilateral_compat": 10}
    settings = {"foreground_score": 0.3, "background_score": 0.05, "certainty": 0.7, "crf": crf}
    label = label_for_irnet(image, records["high_res"].astype(np.float32), KEYS, settings)
    np.testing.assert_array_equal(label, records["label"])


def test_losses_of_pairs():
    records = record("irn_pairs")
    boundary, label = torch.from_numpy(records["boundary"].astype(float)), torch.from_numpy(records["label"])
    inner, every = (
        [loss.item() for loss in affinity_loss(boundary, label, 10, pairs=pairs).values()] for pairs in ("inner", "all")
    )
    np.testing.assert_allclose(inner, records["losses"], rtol=1e-5)
    assert np.abs(np.array(every) - records["losses"]).max() > 1e-3
