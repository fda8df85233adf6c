"""The trained network as an ONNX file, for other runtimes and languages."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import nn

from wsgcn.files import atomic_write

OPSET = 18
EXAMPLE_SHAPE = (1, 3, 96, 128)
DYNAMIC_AXES = {"image": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch", 2: "rows", 3: "columns"}}


def export_onnx(path: str | Path, network: nn.Module, names: Sequence[str]) -> None:
    """Write a network, from `image` to `logits`, with batch, height and width left open.

    image: colours in 0..255, float32 [batch, 3, height, width], RGB; logits: float32 [batch, C + 1, rows, columns], the
    background first. names: of the C classes, kept as metadata `classes`, one per line, the background first.
    """
    with atomic_write(path) as temporary:
        with warnings.catch_warnings():
            # PyTorch advises its newer exporter, which needs two more packages and 80 times as long.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                network,
                (torch.zeros(EXAMPLE_SHAPE),),
                str(temporary),
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes=DYNAMIC_AXES,
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(str(temporary))
        onnx.helper.set_model_props(model, {"classes": "\n".join(["background", *names])})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(temporary))
