"""What a run was computed by."""

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsgcn.files import write_json
from wsgcn.workflow import provenance
from wsgcn.workflow.provenance import (
    configured_device,
    environment_tags,
    format_differing_sources,
    merge_tags,
    source_hash,
)


def test_circumstances_name_code_torch_and_device():
    torch = importlib.metadata.version("torch")
    found = {"code": source_hash(), "torch": torch}
    assert environment_tags(SimpleNamespace(resources={})) == found
    assert environment_tags(SimpleNamespace(resources={"device": "cpu"})) == found | {"device": "cpu"}


def test_a_run_tells_by_what_its_jobs_were_computed(tmp_path):
    tables = [str(tmp_path / name) for name in ("a.csv", "b.csv", "c.json")]
    Path(tables[0]).write_text("image,seconds,code,device\na,1.5,12ab,cpu\nb,2,12ab,cpu\n")
    Path(tables[1]).write_text("image,seconds,code,device\nc,3,02cd,cpu\n")
    write_json(tables[2], {"seconds": 4, "made_by": {"code": "12ab", "training_threads": 2}})
    assert merge_tags(tables[:1]) == {"code": "12ab", "device": "cpu"}
    assert merge_tags(tables) == {"code": "02cd, 12ab", "device": "cpu", "training_threads": "2"}
    assert merge_tags([]) == {}


def test_what_older_versions_wrote_tells_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("image,seconds\na,1.5\n")
    write_json(tmp_path / "b.json", {"seconds": 4})
    assert merge_tags([str(tmp_path / "a.csv"), str(tmp_path / "b.json")]) == {}


@pytest.mark.parametrize(
    ("asked", "driver", "found"),
    [
        ("auto", None, "cpu"),
        ("auto", "/bin/nvidia-smi", "cuda"),
        ("cpu", "/bin/nvidia-smi", "cpu"),
        ("cuda", None, "cuda"),
    ],
)
def test_the_device_is_what_there_is_or_what_is_asked_for(asked, driver, found, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: driver)
    assert configured_device({"device": asked}) == found


def test_a_changed_source_changes_the_mark(tmp_path, monkeypatch):
    for name in ("a.py", "provenance.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    before = source_hash()
    assert before == source_hash() and len(before) == 12
    (tmp_path / "a.py").write_text("x = 2\n")
    assert source_hash() != before


def test_experiments_of_different_sources_are_told():
    assert format_differing_sources({}) == format_differing_sources({"a": "1", "b": "1"}) == ""
    assert "\n1, 2: a, b\n" in format_differing_sources({"a": "1, 2", "b": "1, 2"})
    assert format_differing_sources({"b": "2", "c": "1", "a": "1"}) == (
        "\nRefined by different sources of wsgcn, which differences may be due to:\n1: a, c\n2: b\n"
    )
