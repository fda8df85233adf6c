"""Where to compute, and how."""

import os

import torch


def pick_device(device: str) -> torch.device:
    """`auto` is the GPU where there is one, else the CPU; `cpu` and `cuda` are themselves.

    On a GPU PyTorch is asked for algorithms that give the same sums every time; an operation that has none warns.
    Raises ValueError where a GPU is asked for and there is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(device)
