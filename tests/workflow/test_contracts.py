"""What each row of each registry promises: shapes, finite values, the order of classes, each image by itself.

A new row is tested as soon as it is there. Run alone: `.venv/bin/python -m pytest tests/workflow/test_contracts.py`.
"""

import inspect

import numpy as np
import pytest
import torch
from configs import CONFIG, SETTINGS
from tiny_project import TINY, merge, shrink

from wsgcn.affinity.matrices import affinity_matrix_from, node_features
from wsgcn.cam.contract import CamInput
from wsgcn.data import demo_scenes
from wsgcn.data.dataset import Dataset
from wsgcn.exporting.contract import Known, LabelledImage
from wsgcn.exporting.returned import open_returned
from wsgcn.files import read_image, read_label, write_arrays, write_label
from wsgcn.graph.grid import grid_size
from wsgcn.refinement.contract import RefinerInput
from wsgcn.refinement.loss_names import LOSSES
from wsgcn.workflow.rows import INPUTS, load
from wsgcn.workflow.sharing import select_params, value_of
from wsgcn.workflow.stages import (
    AFFINITIES,
    CAM_SOURCES,
    EXPORTERS,
    FIRST_METHODS,
    READERS,
    REFINERS,
    REGISTRIES,
    SEGMENTATION_NETWORKS,
    affinity_training,
)

SMALL = merge(shrink(SETTINGS), {key: value for key, value in TINY.items() if key in SETTINGS})
CPU = torch.device("cpu")
CLASSES = tuple(demo_scenes.CLASSES)
KEYS = (2, 4)
NUM_CLASSES = len(CLASSES)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Paths of four drawn images of the classes 2 and 4, and of their masks."""
    root = tmp_path_factory.mktemp("images")
    names = tuple(CLASSES[key - 1] for key in KEYS)
    for k in range(4):
        demo_scenes.write(root, f"image_{k}", names, seed=0, size=72)
    return [root / f"JPEGImages/image_{k}.jpg" for k in range(4)], [
        root / f"SegmentationClass/image_{k}.png" for k in range(4)
    ]


def cams_of(label: np.ndarray, keys=KEYS) -> np.ndarray:
    """High CAMs where the classes are, float32 [K, H, W] in 0..1."""
    rng = np.random.default_rng(0)
    return np.stack([np.where(label == key, 0.9, 0.05) + 0.05 * rng.random(label.shape) for key in keys]).astype("f4")


def trained(training, images, targets, path, seed=0):
    """The weights of a short training, and what it returned."""
    from wsgcn.networks.training import FitContext

    params = select_params(SMALL, training.params) | {"classes": NUM_CLASSES}
    context = FitContext(seed, CPU, report=lambda line: None)
    facts = {"names": CLASSES, "groups": [image.stem for image in images]} if training.features else {}
    sources = features_of(training.features, images, path.parent) if training.features else images
    model, history = load(training.train)([str(i) for i in sources], targets, params | facts, context)
    torch.save(model.state_dict(), path)
    return model, history


def features_of(row, images, folder):
    """The files that a training reads in place of the images."""
    extract = load(row.open)(select_params(SMALL, row.params), CPU)
    for image in images:
        write_arrays(folder / f"{image.stem}.npz", **extract(read_image(image)))
    return [folder / f"{image.stem}.npz" for image in images]


def check_training(training, images, targets, folder):
    """Losses by step, the same weights from the same seed, others from another where it has one."""
    model, history = trained(training, images, targets, folder / "model.pt")
    assert history.index.name == "step" and np.isfinite(history["loss"]).all()
    assert history.attrs["seconds"] >= 0
    again, _ = trained(training, images, targets, folder / "again.pt")
    other, _ = trained(training, images, targets, folder / "other.pt", seed=1)
    pairs = [zip(model.state_dict().values(), m.state_dict().values(), strict=True) for m in (again, other)]
    same, different = (all(torch.equal(a, b) for a, b in pair) for pair in pairs)
    assert same and different != ("seed" in training.params)


def test_names_are_of_one_registry_and_functions_exist():
    names = [name for registry in REGISTRIES.values() for name in registry]
    both = READERS.keys() & EXPORTERS.keys()  # a format that is read and written
    assert len(set(names)) == len(names) - len(both)
    assert set(FIRST_METHODS) == {
        *("classifier", "external", "irnet", "psa", "gcn", "random_walk", "none", "deeplabv2")
    } and set(FIRST_METHODS) <= set(names)
    for row in (row for registry in REGISTRIES.values() for row in registry.values()):
        assert row.title
        for name in {"read", "open", "label", "train", "refine", "write", "paint"} & set(row.__dataclass_fields__):
            function = getattr(row, name)
            assert name == "paint" or function
            assert not function or inspect.signature(load(function))


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reports_problems_and_raises_none(name, tmp_path):
    """Of a folder without any data; what it reads of good ones is tested beside it."""
    lists = dict.fromkeys(("train", "label", "evaluate"), "train")
    settings = {"kind": name, "root": str(tmp_path), "classes": [], "demo_train": 3, "demo_val": 2} | lists
    problems = []
    data = load(READERS[name].read)(settings, 0, tmp_path, problems.append)
    assert problems or READERS[name].drawn
    assert all(isinstance(problem, str) and "\n" not in problem for problem in problems)
    assert data is None or isinstance(data, Dataset)
    if READERS[name].drawn:
        assert data.train and all(image.classes for image in data.train.values())


@pytest.mark.parametrize("name", CAM_SOURCES)
def test_a_source_gives_the_maps_of_the_classes_of_the_image(name, images, tmp_path):
    row, (paths, masks) = CAM_SOURCES[name], images
    params = select_params(SMALL, row.params) | {"names": CLASSES, "numbering": list(CLASSES), "classes": NUM_CLASSES}
    model = None
    if row.training:
        check_training(row.training, paths, masks if row.training.labels else [list(KEYS)] * len(paths), tmp_path)
        model = str(tmp_path / "model.pt")
    image, files = read_image(paths[0]), {}
    if row.folder:
        found = cams_of(read_label(masks[0]))
        np.save(tmp_path / "a.npy", {"keys": np.array(KEYS) - 1, "high_res": found}, allow_pickle=True)
        files = {"file": str(tmp_path / "a.npy")}
    cams = load(row.open)(params, model, CPU)
    cam, high_res = cams(CamInput(image, KEYS, **files))
    height, width = image.shape[:2]
    assert cam.shape == (len(KEYS), *grid_size(height, width)) and high_res.shape == (len(KEYS), height, width)
    for maps in (cam, high_res):
        assert np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1
    turned, _ = cams(CamInput(image, KEYS[::-1], **files))
    np.testing.assert_allclose(turned, cam[::-1], atol=1e-6)
    if not (row.training and row.training.labels):  # probabilities, for which the image's classes compete
        alone, _ = cams(CamInput(image, KEYS[:1], **files))
        np.testing.assert_allclose(alone[0], cam[0], atol=1e-6)


@pytest.mark.parametrize("name", AFFINITIES)
def test_an_affinity_network_learns_labels_and_gives_matrices(name, images, tmp_path):
    row, (paths, masks) = AFFINITIES[name], images
    label = load(row.label)
    for k, (path, mask) in enumerate(zip(paths, masks, strict=True)):
        found = label(read_image(path), cams_of(read_label(mask)), KEYS, value_of(SMALL, f"{name}.labels"))
        assert found.dtype == np.uint8 and found.shape == read_label(mask).shape
        assert set(np.unique(found)) <= {0, 255, *KEYS} and set(np.unique(found)) & set(KEYS)
        write_label(tmp_path / f"{k}.png", found)
    targets = [str(tmp_path / f"{k}.png") for k in range(len(paths))]
    training = affinity_training(name)
    check_training(training, paths, targets, tmp_path)
    params = select_params(SMALL, training.params)
    infer = load(row.open)(params, str(tmp_path / "model.pt"), CPU)
    image = read_image(paths[0])
    arrays = infer(image)
    write_arrays(tmp_path / "affinity.npz", **arrays)  # which refuses what is not finite
    assert ("boundary" in arrays) == row.boundary
    size = grid_size(*image.shape[:2])
    matrix = affinity_matrix_from(arrays, size, radius=3, beta=4)
    dense = matrix.toarray()
    assert matrix.shape == (size[0] * size[1],) * 2 and np.isfinite(dense).all()
    assert np.array_equal(dense, dense.T) and dense.min() >= 0 and np.allclose(np.diag(dense), 1)
    for which in ("plain", "weighted"):
        features = node_features(arrays, size, which)
        assert features.shape[1] == size[0] * size[1] and np.isfinite(features).all() and features.std() > 0


def refiner_input(name: str, path, mask, reads, keys=KEYS) -> RefinerInput:
    """What a refiner with these inputs gets of an image."""
    image, label = read_image(path), read_label(mask)
    h, w = grid_size(*label.shape)
    small = label[::4, ::4]
    cam = cams_of(small, keys).astype(np.float16)
    rng = np.random.default_rng(0)
    changes = sum(np.abs(slope) for slope in np.gradient(small.astype(float)))
    boundary = np.where(changes > 0, 1, 0.05).astype("f4")
    affinity = {"boundary": boundary, "features": rng.random((6, h, w), "f4"), "weight": np.ones(6, "f4")}
    given = {
        "image": ("image", image),
        "cam": ("cam", {"keys": np.array(keys, np.uint8), "cam": cam, "high_res": cams_of(label, keys)}),
        "affinity": ("network_output", affinity),
        "partial": ("partial", np.where(rng.random((h, w)) < 0.5, small, 255).astype(np.uint8)),
    }
    return RefinerInput(name, tuple(keys), **dict(given[read] for read in reads))


@pytest.mark.parametrize("name", REFINERS)
def test_a_refiner_gives_scores_of_background_and_own_classes(name, images):
    row, (paths, masks) = REFINERS[name], images
    assert set(row.reads) <= set(INPUTS) and row.protocol.format(**SMALL)
    refine, params = load(row.refine), select_params(SETTINGS, row.params)
    inputs = [refiner_input(p.stem, p, m, row.reads) for p, m in zip(paths[:2], masks[:2], strict=True)]
    found = refine(inputs, params, CPU if row.device else None)
    assert len(found) == 2
    for given, result, mask in zip(inputs, found, masks[:2], strict=True):
        assert result.keys == KEYS and result.scores.shape == (3, *grid_size(*read_label(mask).shape))
        assert np.isfinite(result.scores).all() and result.scores.min() >= 0
        assert (result.losses is not None) == row.losses
        if row.losses:
            assert result.losses.shape[1] == len(LOSSES) and np.isfinite(result.losses).all()
        (alone,) = refine([given], params, CPU if row.device else None)
        assert np.array_equal(alone.scores, result.scores)  # whatever the company
    truth = read_label(masks[0])[::4, ::4]
    for scores, key, other in zip(found[0].scores[1:], KEYS, KEYS[::-1], strict=True):  # classes in their order
        assert scores[truth == key].mean() > scores[truth == other].mean()
    if row.losses:  # by the image's own seed
        (other,) = refine([refiner_input("another", paths[0], masks[0], row.reads)], params, CPU)
        assert not np.array_equal(other.scores, found[0].scores)


@pytest.mark.parametrize("name", SEGMENTATION_NETWORKS)
def test_a_segmentation_network_gives_probabilities_at_full_size(name, images, tmp_path):
    row, (paths, masks) = SEGMENTATION_NETWORKS[name], images
    check_training(row.training, paths, [str(mask) for mask in masks], tmp_path)
    params = select_params(SMALL, row.params) | {"classes": NUM_CLASSES}
    segment = load(row.open)(params, str(tmp_path / "model.pt"), CPU)
    image = read_image(paths[0])
    for scales, flip in (([1], False), ([0.5, 1], True)):
        scores = segment(image, scales, flip)
        assert scores.shape == (NUM_CLASSES + 1, *image.shape[:2]) and np.isfinite(scores).all()
        np.testing.assert_allclose(scores.sum(0), 1, atol=1e-4)


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_writes_its_files_and_reads_them_again(name, tmp_path):
    """Its reader takes no other format's files; what it cannot write at all, `name_problem` says."""
    row, classes = EXPORTERS[name], ("a class", "ünd <more>")
    label = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)
    write_label(tmp_path / "pseudo/x.png", label)
    outputs = [str(tmp_path / "out" / file) for file in row.files]
    params = select_params(CONFIG, row.params)
    load(row.write)(outputs, [LabelledImage("x", "data/x.jpg", tmp_path / "pseudo/x.png")], classes, params)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(row.files)
    problems = []
    with open_returned(outputs[0]) as returned:
        for other, reader in EXPORTERS.items():
            read = load(reader.read)(returned, Known({"x": (2, 3)}, classes), problems.append)
            assert (read is not None) == (other == name)
            for image, found in read or ():
                assert image == "x" and found.dtype == np.uint8 and (found == label).all()
    assert not problems
    assert not row.name_problem or all(load(row.name_problem)(own) is None for own in classes)
