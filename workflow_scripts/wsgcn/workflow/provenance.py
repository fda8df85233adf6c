"""What computed a result besides its settings: the sources of this package, the version of torch, the device."""

import csv
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from wsgcn.files import read_json

PACKAGE = Path(__file__).parents[1]


def source_hash() -> str:
    """A hash of all Python files of this package, subpackages included: twelve hexadecimal digits."""
    sources = sorted(PACKAGE.rglob("*.py"), key=lambda path: path.relative_to(PACKAGE).as_posix())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def environment_tags(job) -> dict[str, str]:
    """What computes a Snakemake job: `code` and `torch`.

    For a job with a network also `device` (cpu or cuda), for one with dense CRFs `crf`, their backend.
    """
    tags = {"code": source_hash(), "torch": version("torch")}
    if device := job.resources.get("device"):
        from wsgcn.networks.device import pick_device  # imports torch, which takes seconds and only some jobs need

        tags["device"] = pick_device(device).type
    if backend := job.resources.get("crf_backend"):
        tags["crf"] = backend
    return tags


def merge_tags(files: Iterable[str]) -> dict[str, str]:
    """The tags of the jobs of a stage, {tag: value}; where jobs differ, all their values separated by commas.

    files: what the jobs wrote about themselves: tables of seconds per image (.csv) and records of trainings (.json).
    """
    values: dict[str, set[str]] = {}
    for path in files:
        if path.endswith(".json"):
            rows = [read_json(path).get("made_by", {})]  # records of older versions have no tags
        else:
            with open(path, newline="") as stream:
                rows = list(csv.DictReader(stream))
        for row in rows:
            for name in row.keys() - {"image", "seconds"}:
                values.setdefault(name, set()).add(str(row[name]))
    return {name: ", ".join(sorted(found)) for name, found in sorted(values.items())}


def configured_device(config: Mapping) -> str:
    """Where networks run, cpu or cuda, found without torch, whose import takes seconds."""
    if config["device"] != "auto":
        return config["device"]
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def format_differing_sources(codes: Mapping[str, str]) -> str:
    """Lines that list the experiments by the sources that computed them; empty where one version computed all.

    codes: {experiment: source hashes separated by commas}.
    """
    experiments: dict[str, list[str]] = {}
    for name, code in codes.items():
        experiments.setdefault(code, []).append(name)
    if len({own for code in experiments for own in code.split(", ")}) < 2:
        return ""
    lines = [f"{code}: {', '.join(sorted(names))}" for code, names in sorted(experiments.items())]
    heading = "Refined by different versions of wsgcn's sources, which may explain differences:"
    return "\n".join(["", heading, *lines, ""])
