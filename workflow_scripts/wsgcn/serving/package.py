"""The folder of an MLflow model: weights, settings, this library's sources, what must be installed."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.pyfunc
from mlflow.models import Model

from wsgcn.serving import entry
from wsgcn.serving.model import NETWORK, SETTINGS, input_example, signature

LIBRARY = Path(__file__).parents[1]
DISTRIBUTIONS = "mlflow torch torchvision timm numpy numba llvmlite pandas pillow imagecodecs".split()
"""What the model imports, and what must fit it: torchvision to torch, llvmlite to numba."""


def requirements() -> list[str]:
    """The installed versions of `DISTRIBUTIONS`, for pip; of a PyTorch for CPUs alone the plain version."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in DISTRIBUTIONS]


def save_package(folder: str | Path, weights: str | Path, settings: Mapping, model: Model | None = None) -> None:
    """Write the folder of the model, which must not exist or be empty.

    weights: the trained network's file; settings: those of `segmenter.ServedSettings` as a section; model: what MLflow
    knows of it so far.
    """
    with TemporaryDirectory() as temporary:
        written = Path(temporary, "settings.json")
        written.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        mlflow.pyfunc.save_model(
            path=folder,
            python_model=entry.__file__,
            artifacts={NETWORK: str(weights), SETTINGS: str(written)},
            code_paths=[str(LIBRARY)],
            signature=signature(),
            input_example=input_example(),
            pip_requirements=requirements(),
            mlflow_model=model,
        )


def fingerprint(weights: str | Path, settings: Mapping, sources: str) -> str:
    """A hash of what makes a model's answers: weights, settings, the hash of the library's sources."""
    described = json.dumps([settings, sources], sort_keys=True).encode()
    return hashlib.sha256(Path(weights).read_bytes() + described).hexdigest()[:16]
