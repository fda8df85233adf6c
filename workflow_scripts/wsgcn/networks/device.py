"""The device that networks run on."""

import os

import torch


def pick_device(device: str) -> torch.device:
    """`auto` is the GPU if there is one, else the CPU; `cpu` and `cuda` are themselves.

    On a GPU, PyTorch is set to algorithms that give the same sums every time; an operation without one warns.
    Raises ValueError where `cuda` is asked for without a GPU.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(device)
