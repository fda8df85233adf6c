"""The trained network as a model of MLflow: images as base64 text in, masks as base64 text out."""

import base64
import binascii
import io
import json
from typing import Any

import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import Map
from PIL import Image

from wsgcn.serving.segmenter import ServedNetwork

NETWORK, SETTINGS = "network", "settings"
"""The model's files: the trained weights, the settings as JSON."""

EXAMPLE_SIZE = (96, 64)
"""Width and height of the input example [pixels]."""

NUM_THREADS = 1
"""As in the workflow's jobs: with more, the sums of a convolution may be rounded otherwise."""


class SegmentationModel(PythonModel):
    """Answers a table with the column `image` by one with `mask`, `confidence` and `classes`, a row per image."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the network, and segment a first image: what numba has to compile delays no request."""
        torch.set_num_threads(NUM_THREADS)
        with open(context.artifacts[SETTINGS], encoding="utf-8") as stream:
            self._network = ServedNetwork(json.load(stream), context.artifacts[NETWORK])
        self._network.answer(example_image())

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A row per image. Raises MlflowException, which a server answers as 400, where one cannot be read."""
        return pd.DataFrame([self._answer(row, text) for row, text in enumerate(model_input["image"])])

    def _answer(self, row: int, text: str) -> dict[str, object]:
        try:
            answer = self._network.answer(decode_image(text))
        except ValueError as error:
            raise MlflowException(f"image {row}: {error}", error_code=INVALID_PARAMETER_VALUE) from None
        mask, confidence = (base64.b64encode(png).decode("ascii") for png in answer[:2])
        return {"mask": mask, "confidence": confidence, "classes": answer.classes}


def decode_image(text: str) -> bytes:
    """The bytes of an image's file from base64 text, or from a `data:` address of a browser.

    Raises ValueError where it is neither.
    """
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is no base64 text: {error}") from None


def example_image() -> bytes:
    """A drawn PNG for the first call and for the input example."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(EXAMPLE_SIZE).convert("RGB").save(stream, format="PNG")
    return stream.getvalue()


def input_example() -> pd.DataFrame:
    """A table of one image."""
    return pd.DataFrame({"image": [base64.b64encode(example_image()).decode("ascii")]})


def signature() -> ModelSignature:
    """Of `SegmentationModel.predict`."""
    answer: list[ColSpec | TensorSpec] = [
        ColSpec("string", "mask"),
        ColSpec("string", "confidence"),
        ColSpec(Map("double"), "classes"),
    ]
    return ModelSignature(inputs=Schema([ColSpec("string", "image")]), outputs=Schema(answer))
