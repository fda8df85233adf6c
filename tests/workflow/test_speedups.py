"""Faster parts of Snakemake, against what they replace.

Run alone: `.venv/bin/python -m pytest tests/workflow/test_speedups.py`.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from snakemake.io import IOFile, _IOFile

from wsgcn.workflow.speedups import compare_names, keep_checksums

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
NUM_INPUTS, NUM_OUTPUTS = 3, 4

SNAKEFILE = """
import hashlib, sys
sys.path.insert(0, {scripts!r})
from wsgcn.workflow.speedups import keep_checksums

digested, digest = [], hashlib.file_digest

def count(stream, algorithm):
    digested.append(stream.name)
    return digest(stream, algorithm)

hashlib.file_digest = count

rule all:
    input: expand("out/{{k}}", k=range({outputs}))

rule write:
    input: expand("in/{{k}}", k=range({inputs}))
    output: expand("out/{{k}}", k=range({outputs}))
    run:
        for path in output:
            open(path, "w").close()

onstart:
    {hook}

onsuccess:
    print("digested", *sorted(digested))
"""


NAMES = ("a/b.png", "a/b.png.png", "a/b+.png", "a/bXpng", "a/(b).png", "", "a/ü.png")
PATTERNS = (*NAMES[:5], "a/{x}.png", "{x}/{y}.png", "a/{x,[bc]}.png", "{x}/{x}", "a/ü.png")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_file_matches_as_its_pattern_does(pattern, monkeypatch):
    monkeypatch.setattr(_IOFile, "match", _IOFile.match)  # and back again
    file, before = IOFile(pattern), [IOFile(pattern).match(name) for name in NAMES]
    compare_names()
    compare_names()  # twice is once
    after = [file.match(name) for name in NAMES]
    assert [found and found.groupdict() for found in after] == [found and found.groupdict() for found in before]
    assert any(before) or pattern == "{x}/{x}"


def run(folder, hook):
    """The files that a run digests in recording its job, and what it records of each output."""
    (folder / "in").mkdir(parents=True)
    for k in range(NUM_INPUTS):
        (folder / f"in/{k}").write_text(f"input {k}")
    text = SNAKEFILE.format(scripts=str(SCRIPTS), inputs=NUM_INPUTS, outputs=NUM_OUTPUTS, hook=hook)
    (folder / "Snakefile").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all", "--", "out/0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("digested")]
    names = [urlsafe_b64encode(f"out/{k}".encode()).decode() for k in range(NUM_OUTPUTS)]
    return line.split()[1:], [json.loads((folder / ".snakemake/metadata" / name).read_text()) for name in names]


@pytest.mark.parametrize("hook, digests", [("pass", NUM_INPUTS * NUM_OUTPUTS), ("keep_checksums()", NUM_INPUTS)])
def test_inputs_are_digested_once_and_recorded_with_every_output(hook, digests, tmp_path):
    """Without the hook Snakemake still digests them for every output; where it no longer does, the hook can go."""
    digested, records = run(tmp_path, hook)
    expected = {f"in/{k}": f"sha256:{hashlib.sha256(f'input {k}'.encode()).hexdigest()}" for k in range(NUM_INPUTS)}
    assert [record["input_checksums"] for record in records] == [expected] * NUM_OUTPUTS
    assert len(digested) == digests


def test_a_file_that_changes_is_digested_again(tmp_path, monkeypatch):
    asked = []

    async def compute(file, *arguments, **options):
        asked.append((Path(file).name, arguments, options))
        return Path(file).read_text() if Path(file).exists() else None

    monkeypatch.setattr(_IOFile, "checksum", compute)
    keep_checksums()
    keep_checksums()  # twice is once

    def checksum(name, *arguments, **options):
        return asyncio.run(_IOFile.checksum(str(tmp_path / name), *arguments, **options))

    (tmp_path / "a").write_text("one")
    assert checksum("a", 9) == checksum("a", 9) == "one" and len(asked) == 1
    os.utime(tmp_path / "a", ns=(0, 0))
    assert checksum("a", 9) == "one" and len(asked) == 2
    (tmp_path / "a").write_text("other")
    assert checksum("a", 9) == "other" and len(asked) == 3
    assert checksum("a", 5) == checksum("a", 9, force=True) == "other" and len(asked) == 5
    assert checksum("gone", 9) is None and checksum("gone", 9) is None and len(asked) == 7
