"""The trained network on a folder of other images, as a model in MLflow, behind a server, as ONNX.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_predict.py`; `-m proof` for the server.
"""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import mlflow.pyfunc
import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from tiny_project import snakemake
from tiny_voc import planned

from wsgcn.files import read_image, read_json

SECONDS = 180
"""How long the server may take to start."""

WIDE = (1100, 40)
"""Width and height of an image that is shrunk, to 1024 pixels."""


@pytest.fixture(scope="module")
def photos(project):
    """A folder of images of each kind beside the project's data, segmented once."""
    folder = project / "photos"
    folder.mkdir()
    drawn = sorted((project / "data/JPEGImages").glob("val_*.jpg"))
    shutil.copy(drawn[0], folder / "plain.jpg")
    picture = Image.open(drawn[1])
    picture.resize(WIDE).save(folder / "wide.jpg")
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 16).save(folder / "deep.tif")
    (folder / "notes.txt").write_text("none")
    output = snakemake(project, "--config", "predict=photos", "--", "predict")
    assert "no image by its name, so left out: file notes.txt" in output
    assert "results/tiny/predicted/photos" in output
    yield folder
    for made in ("predicted", "data/predicted", "seconds/predict_folder", "logs/predict_folder"):
        shutil.rmtree(project / "results/tiny" / made)
    shutil.rmtree(folder)


@pytest.fixture
def labels(results):
    return results / "predicted/photos"


def test_every_image_has_a_label_and_a_confidence_of_its_size(photos, labels):
    images = {path.stem: path for path in photos.iterdir() if path.suffix != ".txt"}
    assert {path.stem for path in labels.glob("*.png")} == set(images) == {"plain", "wide", "deep"}
    for name, path in images.items():
        mask, grey = Image.open(labels / f"{name}.png"), Image.open(labels / f"confidence/{name}.png")
        assert (mask.mode, grey.mode) == ("P", "L")
        assert mask.size == grey.size == Image.open(path).size
        assert np.array(mask).max() <= 5 and np.array(grey).min() >= 255 // 6


def test_an_evaluated_image_gets_the_label_that_it_has(project, results, photos, labels):
    [first] = sorted((project / "data/JPEGImages").glob("val_*.jpg"))[:1]
    evaluated = results / f"segmentation/wsgcn-i/multi_crf/{first.stem}.png"
    assert (labels / "plain.png").read_bytes() == evaluated.read_bytes()


def test_nothing_is_segmented_twice_and_a_new_image_plans_no_training(project, photos, labels):
    arguments = ("--config", "predict=photos", "--", "predict")
    assert planned(project, *arguments) == set()
    shutil.copy(photos / "plain.jpg", photos / "new.jpg")
    try:
        assert planned(project, *arguments) == {"predict_folder_new_all", "predict"}
    finally:
        (photos / "new.jpg").unlink()
    assert planned(project, *arguments[:2], "--", "results/tiny/predicted/photos/plain.png") == set()


def test_a_broken_image_and_no_folder_are_said_before_the_first_job(project, photos):
    (photos / "broken.png").write_bytes(b"none")
    (photos / "worse.png").write_bytes(b"none")
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    try:
        done = subprocess.run(
            [*command, "--config", "predict=photos", "--", "predict"], cwd=project, capture_output=True, text=True
        )
    finally:
        (photos / "broken.png").unlink()
        (photos / "worse.png").unlink()
    assert done.returncode and "2 problems:" in done.stderr
    assert "photos/broken.png cannot be read" in done.stderr and "photos/worse.png cannot be read" in done.stderr
    done = subprocess.run([*command, "predict"], cwd=project, capture_output=True, text=True)
    assert done.returncode and "config: predict: names no folder of images" in done.stderr


@pytest.fixture
def store(project, monkeypatch):
    uri = f"sqlite:///{project}/results/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri(None)  # in this process and in those that it starts


def test_the_network_is_registered_with_the_run_that_made_it(results, store):
    client, run = MlflowClient(store), read_json(results / "mlflow/wsgcn-i/segmentation.json")["run_id"]
    version = client.get_model_version_by_alias("tiny", "current")
    assert read_json(results / "mlflow/model.json") == {"name": "tiny", "version": str(version.version), "run_id": run}
    assert (version.run_id, version.tags["run"], version.tags["experiment"]) == (run, run, "wsgcn-i")
    assert client.get_run(run).info.status == "FINISHED"


def test_the_registered_model_answers_with_the_labels_of_predict(photos, labels, store):
    model = mlflow.pyfunc.load_model("models:/tiny@current")
    for path in (path for path in photos.iterdir() if path.suffix != ".txt"):
        [row] = model.predict({"image": np.array([encoded(path)])}).to_dict("records")
        assert base64.b64decode(row["mask"]) == (labels / f"{path.stem}.png").read_bytes(), path
        assert base64.b64decode(row["confidence"]) == (labels / f"confidence/{path.stem}.png").read_bytes(), path
        assert sum(row["classes"].values()) == pytest.approx(1)


def encoded(path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def address(store, tmp_path):
    """The address of `mlflow models serve`, once it answers.

    A server that ends is a failure; only one that is still starting, on a busy machine, is skipped.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-m", "models:/tiny@current", "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    # Programs beside this Python are not always on the path.
    environment = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *options],
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started, address = time.monotonic(), f"http://127.0.0.1:{port}"
    try:
        while not answers(f"{address}/ping"):
            if server.poll() is not None:
                pytest.fail(
                    f"the server ended with {server.returncode}: {(tmp_path / 'server.log').read_text()[-3000:]}"
                )
            if time.monotonic() - started > SECONDS:
                pytest.skip(f"the server does not answer within {SECONDS} seconds on this machine")
            time.sleep(0.5)
        yield f"{address}/invocations"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            os.killpg(server.pid, 15)
        server.wait(30)


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def ask(address: str, body: object) -> dict:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request, timeout=60).read())


@pytest.mark.proof
def test_a_server_answers_with_the_labels_of_predict(photos, labels, address):
    paths = sorted(path for path in photos.iterdir() if path.suffix != ".txt")
    images = [encoded(path) for path in paths]
    bodies = ({"dataframe_split": {"columns": ["image"], "data": [[i] for i in images]}}, {"inputs": {"image": images}})
    for body in bodies:
        rows = ask(address, body)["predictions"]
        for path, row in zip(paths, rows, strict=True):
            assert base64.b64decode(row["mask"]) == (labels / f"{path.stem}.png").read_bytes()
            assert base64.b64decode(row["confidence"]) == (labels / f"confidence/{path.stem}.png").read_bytes()
            assert sum(row["classes"].values()) == pytest.approx(1)
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(address, {"inputs": {"image": ["aGVsbG8="]}})
    assert error.value.code == 400 and b"image 0: it cannot be read: it is none of BMP" in error.value.read()


@pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs onnxruntime")
def test_the_network_is_exported_by_a_target(project, results, photos):
    import onnxruntime

    file = results / "segmentation/wsgcn-i/model.onnx"
    try:
        snakemake(project, "onnx")
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        image = read_image(photos / "plain.jpg").transpose(2, 0, 1)[None].astype(np.float32)
        [logits] = session.run(None, {"image": image})
        assert logits.shape[:2] == (1, 6) and np.isfinite(logits).all()
        assert session.get_modelmeta().custom_metadata_map["classes"].startswith("background\n")
    finally:
        file.unlink(missing_ok=True)
