"""Parts of Snakemake 9.27 that are slow where jobs have many files, replaced by ones with the same result.

They change neither what is planned nor what is recorded. The tests compare them with what they replace.
"""

import os
import re

MAX_KEPT = 100_000
"""Checksums in memory, 20 MB; a job's inputs are needed together, soon after it has ended."""


def compare_names() -> None:
    """Have Snakemake in this process find a file without wildcards among outputs by its name.

    It compiles a regular expression for each output instead, which for COCO's labels are 580,000.
    """
    from snakemake.io import _IOFile  # known only where Snakemake runs

    search = _IOFile.match
    if getattr(search, "compares", False):
        return
    without_wildcards = re.compile("").match("")  # what a pattern without any gives

    def match(file, target):
        if "{" in file.file:
            return search(file, target)
        return without_wildcards if file == target else None

    match.compares = True  # type: ignore[attr-defined]
    _IOFile.match = match


def keep_checksums() -> None:
    """Have Snakemake in this process compute the checksum of a file once, until its size or time changes.

    It records the checksums of all inputs of a job with each of its outputs, and computes them anew for each: a job
    that writes 32 files from 96 reads 3,072, and the main process reads them for all jobs, also those on a cluster.
    """
    from snakemake.io import _IOFile

    compute = _IOFile.checksum
    if getattr(compute, "keeps", False):
        return
    kept: dict[tuple, str | None] = {}

    async def checksum(file, *arguments, **options) -> str | None:
        try:
            status = os.stat(file)
        except OSError:  # a remote file, or none
            return await compute(file, *arguments, **options)
        key = (str(file), status.st_size, status.st_mtime_ns, arguments, *options.items())
        if key not in kept:
            if len(kept) >= MAX_KEPT:
                kept.clear()
            kept[key] = await compute(file, *arguments, **options)
        return kept[key]

    checksum.keeps = True  # type: ignore[attr-defined]
    _IOFile.checksum = checksum
