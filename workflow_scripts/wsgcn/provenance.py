"""What a result was computed by, beside its settings: the sources of this package, torch, the device."""

import hashlib
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def code_mark() -> str:
    """A hash of this package's sources, twelve hexadecimal digits."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def circumstances(config: Mapping) -> dict[str, str]:
    """Tags of a stage's run: `code`, `torch`, `device` (cpu or cuda) and `training_threads`."""
    device, threads = device_of(config), str(config["training_threads"])
    return {"code": code_mark(), "torch": version("torch"), "device": device, "training_threads": threads}


def device_of(config: Mapping) -> str:
    """Where networks run, cpu or cuda, told without torch, whose import takes seconds."""
    if config["device"] != "auto":
        return config["device"]
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def differing_code(codes: Mapping[str, str]) -> str:
    """Lines that tell which experiments were computed by which sources, {experiment: mark}; "" where by the same."""
    experiments = {}
    for name, code in codes.items():
        experiments.setdefault(code, []).append(name)
    if len(experiments) < 2:
        return ""
    lines = [f"{code}: {', '.join(sorted(names))}" for code, names in sorted(experiments.items())]
    return "\n".join(["", "Refined by different sources of wsgcn, which differences may be due to:", *lines, ""])
