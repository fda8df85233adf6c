"""The tags that say what computed a run."""

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

import wsgcn
from wsgcn.files import write_json
from wsgcn.workflow import provenance
from wsgcn.workflow.provenance import (
    configured_device,
    environment_tags,
    format_differing_sources,
    merge_tags,
    source_hash,
)


def test_environment_tags_are_code_torch_device_and_crf():
    torch = importlib.metadata.version("torch")
    tags = {"code": source_hash(), "torch": torch}
    assert environment_tags(SimpleNamespace(resources={})) == tags
    assert environment_tags(SimpleNamespace(resources={"device": "cpu"})) == tags | {"device": "cpu"}
    assert environment_tags(SimpleNamespace(resources={"crf_backend": "numba"})) == tags | {"crf": "numba"}


def test_merge_tags_lists_all_values_of_the_jobs_of_a_stage(tmp_path):
    tables = [str(tmp_path / name) for name in ("a.csv", "b.csv", "c.json")]
    Path(tables[0]).write_text("image,seconds,code,device\na,1.5,12ab,cpu\nb,2,12ab,cpu\n")
    Path(tables[1]).write_text("image,seconds,code,device\nc,3,02cd,cpu\n")
    write_json(tables[2], {"seconds": 4, "made_by": {"code": "12ab", "training_threads": 2}})
    assert merge_tags(tables[:1]) == {"code": "12ab", "device": "cpu"}
    assert merge_tags(tables) == {"code": "02cd, 12ab", "device": "cpu", "training_threads": "2"}
    assert merge_tags([]) == {}


def test_files_of_older_versions_have_no_tags(tmp_path):
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
def test_configured_device(asked, driver, found, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: driver)
    assert configured_device({"device": asked}) == found


def write_sources(package: Path, names: list[str]) -> Path:
    for name in names:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f"# {name}\n")
    return package


def test_source_hash_covers_all_subpackages_in_a_stable_order(tmp_path, monkeypatch):
    names = ["__init__.py", "b.py", "data/__init__.py", "data/readers/a.py", "data_more.py", "workflow/provenance.py"]
    first, second = write_sources(tmp_path / "a", names), write_sources(tmp_path / "z" / "b", names[::-1])
    monkeypatch.setattr(provenance, "PACKAGE", first)
    before = source_hash()
    assert before == source_hash() and len(before) == 12
    monkeypatch.setattr(provenance, "PACKAGE", second)
    assert source_hash() == before  # wherever the package is, in whatever order its files were written
    (second / "data/page.html").write_text("not a source")
    assert source_hash() == before
    for name in names:
        (second / name).write_text("x = 2\n")
        assert source_hash() != before
        (second / name).write_text(f"# {name}\n")
    assert source_hash() == before
    (second / "data/readers/new.py").write_text("x = 2\n")
    assert source_hash() != before


def test_source_hash_is_that_of_this_package():
    assert provenance.PACKAGE == Path(wsgcn.__file__).parent


def test_experiments_are_listed_by_their_sources_where_these_differ():
    assert format_differing_sources({}) == format_differing_sources({"a": "1", "b": "1"}) == ""
    assert "\n1, 2: a, b\n" in format_differing_sources({"a": "1, 2", "b": "1, 2"})
    assert format_differing_sources({"b": "2", "c": "1", "a": "1"}) == (
        "\nRefined by different versions of wsgcn's sources, which may explain differences:\n1: a, c\n2: b\n"
    )
