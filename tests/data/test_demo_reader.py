"""The reader of the drawn demo."""

from pathlib import Path

import pytest

from wsgcn.data import demo_scenes as demo
from wsgcn.workflow.inputs import read_dataset

DEMO = {"kind": "demo", "train": "train", "label": "train", "evaluate": "val"}


def test_demo_has_the_voc_layout_under_results():
    settings = DEMO | {"demo_train": 6, "demo_val": 3}
    data = read_dataset(settings, 5, Path("out"))
    assert data.classes == demo.CLASSES
    assert list(data.train) == list(data.label) == [f"train_{k:04d}" for k in range(6)]
    assert list(data.evaluate) == [f"val_{k:04d}" for k in range(3)]
    assert list(data.images) == [*data.train, *data.evaluate]
    for name, names in demo.plan("train", 6, 5).items():
        image = data.train[name]
        assert (image.id, image.path) == (name, f"out/voc/JPEGImages/{name}.jpg")
        assert image.mask == f"out/voc/SegmentationClass/{name}.png"
        assert {data.classes[k - 1] for k in image.classes} == set(names)
        assert list(image.classes) == sorted(image.classes)


def test_adding_demo_images_changes_no_other():
    small, large = (read_dataset(DEMO | {"demo_train": n, "demo_val": 3}, 5, Path("out")) for n in (6, 9))
    assert small.train.items() <= large.train.items()
    assert small.evaluate == large.evaluate


def test_demo_lists_are_train_and_val():
    settings = DEMO | {"demo_train": 6, "demo_val": 3, "label": "val"}
    assert list(read_dataset(settings, 5, Path("out")).label) == [f"val_{k:04d}" for k in range(3)]
    with pytest.raises(ValueError, match="^dataset.evaluate: test must be one of train, val, the lists of the demo$"):
        read_dataset(settings | {"evaluate": "test"}, 5, Path("out"))
