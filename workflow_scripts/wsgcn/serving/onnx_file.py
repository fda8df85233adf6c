"""The trained network as an ONNX file, for other runtimes and languages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import nn

from wsgcn.files import atomic_write

OPSET = 18
EXAMPLE_SHAPE = (1, 3, 96, 128)
SIZES = {"image": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch", 2: "rows", 3: "columns"}}


def export_onnx(path: str | Path, network: nn.Module, names: Sequence[str]) -> None:
    """Write a network, from `image` to `logits`, with batch, height and width left open.

    image: colours in 0..255, float32 [batch, 3, height, width], RGB; logits: float32 [batch, C + 1, rows, columns], the
    background first. names: of the C classes, kept as metadata `classes`, one per line, the background first.
    """
    with atomic_write(path) as temporary:
        # PyTorch's newer exporter needs two more packages and minutes, and writes the sizes as long formulas.
        torch.onnx.export(
            network,
            (torch.zeros(EXAMPLE_SHAPE),),
            str(temporary),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes=SIZES,
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(temporary))
        metadata: Mapping[str, str] = {"classes": "\n".join(["background", *names])}
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(temporary))
