"""What a result was computed by, beside its settings: the sources of this package, torch, the device."""

import csv
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from wsgcn.files import read_json


def source_hash() -> str:
    """A hash of this package's sources, twelve hexadecimal digits."""
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def environment_tags(job) -> dict[str, str]:
    """What a Snakemake job computes by: `code`, `torch` and, where it runs a network, `device` (cpu or cuda)."""
    found = {"code": source_hash(), "torch": version("torch")}
    if device := job.resources.get("device"):
        from wsgcn.networks.device import pick_device  # which takes seconds, and jobs without a network need no torch

        found["device"] = pick_device(device).type
    return found


def merge_tags(files: Iterable[str]) -> dict[str, str]:
    """Tags of a stage's run, {circumstance: value}; where its jobs differ, all values with commas between.

    files: what jobs write of themselves, tables of seconds an image (.csv) and the records of trainings (.json).
    """
    values = {}
    for path in files:
        if path.endswith(".json"):
            rows = [read_json(path).get("made_by", {})]  # which older records lack
        else:
            with open(path, newline="") as stream:
                rows = list(csv.DictReader(stream))
        for row in rows:
            for name in row.keys() - {"image", "seconds"}:
                values.setdefault(name, set()).add(str(row[name]))
    return {name: ", ".join(sorted(found)) for name, found in sorted(values.items())}


def configured_device(config: Mapping) -> str:
    """Where networks run, cpu or cuda, told without torch, whose import takes seconds."""
    if config["device"] != "auto":
        return config["device"]
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def format_differing_sources(codes: Mapping[str, str]) -> str:
    """Lines that tell which experiments were computed by which sources, {experiment: marks, with commas between}.

    Empty where a single one computed all.
    """
    experiments = {}
    for name, code in codes.items():
        experiments.setdefault(code, []).append(name)
    if len({mark for marks in experiments for mark in marks.split(", ")}) < 2:
        return ""
    lines = [f"{code}: {', '.join(sorted(names))}" for code, names in sorted(experiments.items())]
    return "\n".join(["", "Refined by different sources of wsgcn, which differences may be due to:", *lines, ""])
