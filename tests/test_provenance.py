"""What a run was computed by."""

import importlib.metadata

import pytest
from configs import CONFIG

from wsgcn import provenance
from wsgcn.provenance import circumstances, code_mark, device_of, differing_code


def test_circumstances_name_code_torch_and_machine():
    found = circumstances(CONFIG | {"device": "cpu", "training_threads": 3})
    torch = importlib.metadata.version("torch")
    assert found == {"code": code_mark(), "torch": torch, "device": "cpu", "training_threads": "3"}


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
    assert device_of({"device": asked}) == found


def test_a_changed_source_changes_the_mark(tmp_path, monkeypatch):
    for name in ("a.py", "provenance.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    before = code_mark()
    assert before == code_mark() and len(before) == 12
    (tmp_path / "a.py").write_text("x = 2\n")
    assert code_mark() != before


def test_experiments_of_different_sources_are_told():
    assert differing_code({}) == differing_code({"a": "1", "b": "1"}) == ""
    assert differing_code({"b": "2", "c": "1", "a": "1"}) == (
        "\nRefined by different sources of wsgcn, which differences may be due to:\n1: a, c\n2: b\n"
    )
