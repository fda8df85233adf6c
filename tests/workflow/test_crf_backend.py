"""The same labels from both backends of the dense CRF, in all jobs that compute one.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_crf_backend.py`.
"""

import csv
import shutil
from importlib.util import find_spec

import pytest
from tiny_project import snakemake

KINDS = ("partial", "irnet_label", "psa_label", "pseudo", "predict")


@pytest.mark.skipif(not find_spec("pydensecrf"), reason="pydensecrf is not installed")
def test_labels_are_equal_with_both_backends(project, tmp_path):
    clone = shutil.copytree(project, tmp_path / "clone", symlinks=True)
    results = clone / "results/tiny"
    tables = [path for path in results.rglob("seconds/**/*.csv") if path.relative_to(results).parts[1] in KINDS]
    assert {path.relative_to(results).parts[1] for path in tables} == set(KINDS)
    rules = ["_".join(path.relative_to(results / "seconds").with_suffix("").parts) for path in tables]
    labels = {path: path.read_bytes() for path in results.rglob("*.png") if "evaluation" not in path.parts}
    for path in tables:
        assert {row["crf"] for row in csv.DictReader(path.open())} == {"numba"}
    changed = ("--config", "crf_backend=pydensecrf", "--allowed-rules", *rules, "--forcerun", *rules)
    snakemake(clone, *changed, "--", *rules)
    for path in tables:
        assert {row["crf"] for row in csv.DictReader(path.open())} == {"pydensecrf"}
    assert {path: path.read_bytes() for path in labels} == labels
