"""Where to compute."""

import torch


def pick_device(device: str) -> torch.device:
    """`auto` is the GPU where there is one, else the CPU; `cpu` and `cuda` are themselves."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    return torch.device(device)
