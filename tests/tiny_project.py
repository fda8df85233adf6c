"""A clone of the workflow, small enough to run in a test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from numba.core.caching import _CacheLocator

from wsgcn.compiled import sources_hash

ROOT = Path(__file__).parents[1]

# Small enough for a minute or two; every stage runs for real.
TINY = {
    "batch_size": 4,
    "on_flat_affinity": "report",  # two steps teach nothing
    "classifier": {"epochs": 1, "batch": 4, "crop": 64, "long_side": [64, 96]},
    "cam": {"scales": [1], "flip": False},
    "irnet": {"training": {"epochs": 1, "batch": 4, "crop": 64, "radius": 4}},
    "psa": {"training": {"epochs": 1, "batch": 4, "crop": 64, "radius": 3}},
    "refine": {"epochs": 12},
    "segmentation": {"training": {"iterations": 2, "batch": 4, "crop": 64}, "prediction": {"scales": [1]}},
    "report": {"images": 3},
}


def merge(base: dict, overlay: dict) -> dict:
    return base | {k: merge(base.get(k, {}), v) if isinstance(v, dict) else v for k, v in overlay.items()}


SMALL = {"iterations": 2, "epochs": 1, "batch": 4, "crop": 64}


def shrink(section: dict) -> dict:
    """A section of the config with short trainings, whatever method it is of."""
    return {key: shrink(value) if isinstance(value, dict) else SMALL.get(key, value) for key, value in section.items()}


COMPILED = shutil.ignore_patterns("numba-*")


def share_compiled(folder: Path) -> None:
    """Give a clone what numba has compiled for this checkout, whose folders it names after where the sources are."""
    package = Path("workflow_scripts/wsgcn")
    code = package / "__pycache__" / f"numba-{sources_hash(ROOT / package)}"
    for wing in (path.name for path in (ROOT / package).iterdir() if path.is_dir()):
        ours, theirs = (
            _CacheLocator.get_suitable_cache_subpath(str(root / package / wing / "module.py"))
            for root in (ROOT, folder.absolute())
        )
        if (ROOT / code / ours).is_dir():
            shutil.copytree(ROOT / code / ours, folder / code / theirs)


def copy_workflow(folder: Path) -> None:
    """The project as a clone has it: what a run computes stays in `folder`."""
    folder.mkdir(exist_ok=True)
    share_compiled(folder)
    for name in ("Snakefile", "rules", "workflow_scripts", "profiles", "envs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name, **({"ignore": COMPILED, "dirs_exist_ok": True} if source.is_dir() else {}))


def snakemake(folder: Path, *arguments: str, uri: str | None = None) -> str:
    """Run Snakemake in `folder`; its whole output. Fails the test where it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment |= {"MLFLOW_TRACKING_URI": uri} if uri else {}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return done.stdout + done.stderr


def write_config(folder: Path, overlay: dict) -> None:
    """config.yaml, made small, with an overlay over it; experiments, sweeps and comparisons are the overlay's alone."""
    config = merge(yaml.safe_load((ROOT / "config.yaml").read_text()), merge(TINY, overlay))
    config |= {key: overlay.get(key, {}) for key in ("experiments", "sweeps", "against")}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
