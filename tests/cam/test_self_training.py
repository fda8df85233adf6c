"""The classifier of locations that learns from labels: its targets, its loss, its training, its maps.

Run alone: `.venv/bin/python -m pytest tests/cam/test_self_training.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.cam import self_training
from wsgcn.cam.contract import CamInput
from wsgcn.cam.mil import open_location_features
from wsgcn.cam.self_training import (
    build_segmenting_net,
    class_shares,
    class_weights,
    open_self_trained_cams,
    read_locations,
    train_on_labels,
    weighted_cross_entropy,
)
from wsgcn.files import write_arrays, write_label
from wsgcn.networks.backbone import BackboneSettings

BACKBONE = {"name": "tf_efficientnet_lite0", "weights": "random"}
VIEWS = {"scale": 1, "stride": 8}
SETTINGS = {"hidden": 16, "steps": 60, "lr": 0.01}
PARAMS = {"backbone": BACKBONE, "views": VIEWS, "settings": SETTINGS, "classes": 2}


def test_the_share_of_a_class_is_its_pixels_over_those_of_the_cell():
    label = np.random.default_rng(0).choice([0, 1, 2, 255], (12, 20)).astype(np.uint8)
    expected = [
        [np.mean(label[4 * y : 4 * y + 4, 5 * x : 5 * x + 5] == c) for c in range(4)]
        for y in range(3)
        for x in range(4)
    ]
    np.testing.assert_allclose(class_shares(label, 4, (3, 4)), expected, rtol=1e-6)


def test_a_label_of_another_size_is_cut_into_as_many_cells():
    label = np.zeros((7, 9), np.uint8)
    label[:, 5:] = 1
    found = class_shares(label, 2, (2, 3)).reshape(2, 3, 2)
    np.testing.assert_allclose(found.sum(2), 1)
    assert found[0, 0].tolist() == [1, 0] and found[1, 2].tolist() == [0, 1] and 0 < found[0, 1, 1] < 1


def test_rarer_classes_count_by_the_root_of_their_rarity():
    shares = np.zeros((100, 3), np.float32)
    shares[:80, 0], shares[80:100, 1] = 1, 1
    found = class_weights(shares)
    np.testing.assert_allclose(found, [1, 2, (0.8 / 1e-5) ** 0.5], rtol=1e-6)
    assert found.dtype == np.float32


def test_the_loss_is_the_weighted_mean_over_locations():
    rng = np.random.default_rng(0)
    logits, shares, weights = rng.normal(size=(5, 3)), rng.random((5, 3)), rng.random(3)
    total = 0.0
    for own, share in zip(logits, shares, strict=True):
        total -= sum(weights[c] * share[c] * np.log(np.exp(own[c]) / np.exp(own).sum()) for c in range(3))
    found = weighted_cross_entropy(*map(torch.from_numpy, (logits, shares, weights)))
    assert found.item() == pytest.approx(total / 5)


def test_the_weights_leave_the_probabilities(squares, fit_context, monkeypatch):
    """With a learning rate of nearly 0 only the correction changes the biases."""
    _, files, labels = squares
    biases = []
    for weights in ([1, 1, 1], [1, np.e, np.e**2]):
        monkeypatch.setattr(self_training, "class_weights", lambda _, w=weights: np.array(w, np.float32))
        model, _ = train(files, labels, fit_context(), settings=SETTINGS | {"lr": 1e-12, "steps": 1})
        biases.append(model.layers[-1].bias.detach().numpy())
    np.testing.assert_allclose(biases[0] - biases[1], [0, 1, 2], atol=1e-6)


def draw_squares(folder, count=6):
    """Noise with a bright square (class 1) or a dark one (2), the files of its features, and labels that say where."""
    rng, images, files, labels = np.random.default_rng(0), [], [], []
    extract = open_location_features({"backbone": BACKBONE, "settings": VIEWS}, torch.device("cpu"))
    for k in range(count):
        image, label = rng.integers(90, 110, (64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8)
        place = np.s_[16:32, 32:48] if k % 2 else np.s_[32:48, 16:32]
        image[place], label[place] = (255, 1) if k % 3 else (0, 2)
        images.append(image)
        files.append(folder / f"{k}.npz")
        labels.append(folder / f"{k}.png")
        write_arrays(files[-1], **extract(image))
        write_label(labels[-1], label)
    return images, files, labels


def train(files, labels, context, **change):
    torch.manual_seed(0)  # the same random backbone
    return train_on_labels(files, labels, PARAMS | change, context)


def open_cams(model, path, flip=False):
    torch.save(model.state_dict(), path)
    params = {"backbone": BACKBONE, "views": VIEWS, "hidden": SETTINGS["hidden"], "classes": 2, "flip": flip}
    return open_self_trained_cams(params, path, torch.device("cpu"))


@pytest.fixture
def squares(tmp_path):
    torch.manual_seed(0)
    return draw_squares(tmp_path)


def test_it_marks_what_the_labels_have_in_common(squares, tmp_path, fit_context):
    """An image that it never saw, with a square at another place."""
    _, files, labels = squares
    model, history = train(files, labels, fit_context(seed=0))
    assert history.index.name == "step" and history.index[-1] == SETTINGS["steps"] and list(history) == ["loss"]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 3 and history.attrs["seconds"] > 0
    image = np.full((64, 96, 3), 100, np.uint8)
    image[8:24, 64:80] = 255
    cams = open_cams(model, tmp_path / "model.pt")
    cam, high_res = cams(CamInput(image, (1, 2)))
    assert cam.shape == (2, 16, 24) and high_res.shape == (2, 64, 96)
    assert high_res[0].max() == pytest.approx(1, abs=1e-3)
    inside = high_res[0, 8:24, 64:80].mean()
    assert inside > 5 * (high_res[0].sum() - 256 * inside) / (64 * 96 - 256)
    assert np.array_equal(cams(CamInput(image, (2, 1)))[0], cam[::-1])
    mirrored = open_cams(model, tmp_path / "model.pt", flip=True)(CamInput(image, (1, 2)))[0]
    assert not np.array_equal(mirrored, cam)


def test_maps_are_the_probabilities_of_the_images_own_classes(squares, tmp_path, fit_context, monkeypatch):
    """Of the background and class 2, not of class 1, before they are interpolated."""
    images, files, labels = squares
    model, _ = train(files, labels, fit_context(seed=0), settings=SETTINGS | {"steps": 3})
    monkeypatch.setattr(self_training, "positive_maps", lambda maps, size: maps)
    found = open_cams(model, tmp_path / "model.pt")(CamInput(images[0], (2,)))[1][0]
    features = read_locations(files[:1], labels[:1], 3, 0)[0].astype(np.float32)
    standard = (features - model.mean.numpy()) / model.spread.numpy()
    first, second = ({k: v.detach().numpy() for k, v in model.layers[n].named_parameters()} for n in (0, 3))
    hidden = np.maximum(standard @ first["weight"].T + first["bias"], 0)
    odds = np.exp(hidden @ second["weight"].T + second["bias"])[:, [0, 2]]
    np.testing.assert_allclose(found, (odds[:, 1] / odds.sum(1)).reshape(8, 12), atol=2e-3)  # features in float16


def test_files_of_an_older_version_are_named(squares, tmp_path):
    _, files, labels = squares
    write_arrays(tmp_path / "old.npz", locations=np.zeros((96, 176), np.float16))
    with pytest.raises(ValueError, match=r"old\.npz was written by an older version"):
        read_locations([tmp_path / "old.npz"], labels[:1], 3, 0)


@pytest.mark.parametrize("change", [{"hidden": 8}, {"steps": 30}, {"lr": 0.001}])
def test_each_setting_is_read(squares, fit_context, change):
    _, files, labels = squares
    plain = train(files, labels, fit_context(seed=0))[1]["loss"].iloc[-1]
    changed = train(files, labels, fit_context(seed=0), settings=SETTINGS | change)[1]["loss"].iloc[-1]
    assert plain != changed


def test_equal_labels_and_seed_give_equal_weights(squares, fit_context):
    _, files, labels = squares
    first, again, other = (train(files, labels, fit_context(seed=seed))[0].layers for seed in (0, 0, 1))
    assert torch.equal(first[0].weight, again[0].weight) and not torch.equal(first[0].weight, other[0].weight)


def test_ignored_pixels_and_a_loss_that_diverges(squares, fit_context, tmp_path):
    _, files, labels = squares
    ignored = np.full((64, 96), 255, np.uint8)
    ignored[:8, :8] = 1
    write_label(tmp_path / "part.png", ignored)
    features, shares = read_locations(files[:1], [tmp_path / "part.png"], 3, 0)
    assert features.shape[0] == 1 and shares.tolist() == [[0, 1, 0]]
    with pytest.raises(FloatingPointError, match=r"self_training\.lr may help"):
        train(files, labels, fit_context(seed=0), settings=SETTINGS | {"lr": 1e30})


def test_classes_that_no_label_shows_are_named(squares, fit_context):
    _, files, labels = squares
    lines = []
    train(files, labels, fit_context(report=lines.append), classes=3, settings=SETTINGS | {"steps": 1})
    assert lines[0] == "no label of the first round shows class 3 of dataset.classes, so it cannot be learnt"
    assert not [line for line in lines[1:] if "class" in line]


def test_of_too_many_locations_each_image_keeps_its_share(squares, monkeypatch):
    _, files, labels = squares
    whole, _ = read_locations(files, labels, 3, 0)
    monkeypatch.setattr(self_training, "MAX_FEATURE_BYTES", 60 * whole[0].nbytes)
    some, shares = read_locations(files, labels, 3, 0)
    assert len(whole) == 6 * 96 and len(some) == 60 == len(shares)
    for k in range(6):
        own = {row.tobytes() for row in whole[96 * k : 96 * k + 96]}
        assert {row.tobytes() for row in some[10 * k : 10 * k + 10]} <= own


def test_background_and_classes_have_an_output_each():
    network = build_segmenting_net(BackboneSettings(**BACKBONE), 2, 8, 16).eval()
    assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 8, 12)
