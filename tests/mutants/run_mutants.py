"""Runs the tests against mutants: the library with one small change of its maths each, which a test must notice.

`make mutants` runs all of mutants.yaml, `make mutants ONLY="affinity/irnet cam/"` those of some files. Each is made in
a temporary copy of the project, and its tests are run until one fails. Exits with status 1 where a mutant survives for
which no reason is given, where its original is not found exactly once, or where tests fail without any mutant.
"""

import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import connection, get_context
from pathlib import Path

from mutant_table import TABLE, Mutant, read_mutants

ROOT = Path(__file__).parents[2]
LIBRARY = Path("workflow_scripts/wsgcn")
COPIED = {"config.yaml", "pyproject.toml", "rules", "tests", "workflow_scripts"}
PRELOADED = ("pandas", "scipy.optimize", "sklearn.metrics", "numba", "timm", "torch", "pytest")
"""What takes seconds to import: once, since every run of tests is a fork."""
MAX_SECONDS = float(os.environ.get("MAX_SECONDS", 600))  # a mutant that never ends is killed, too


def run_mutants(mutants: Sequence[Mutant], root: Path, jobs: int) -> Iterator[tuple[Mutant, str, float]]:
    """Each mutant with its verdict (`killed`, `survived`, or what is wrong with it) and seconds, as they end."""
    waiting, running = list(mutants), {}
    with tempfile.TemporaryDirectory() as folder:
        free = [Path(folder) / str(k) for k in range(jobs)]
        for copy in free:
            shutil.copytree(root, copy, ignore=lambda at, own: {*own} - COPIED if at == str(root) else {"__pycache__"})
        while waiting or running:
            while waiting and free:
                copy, mutant = free.pop(), waiting.pop(0)
                if mutant.file:
                    path, stamp = copy / LIBRARY / mutant.file, 10**9 + len(waiting)
                    path.write_text(mutant.apply(path.read_text()))
                    os.utime(path, (stamp, stamp))  # of its own, so that nothing compiled of another mutant is taken
                process = get_context("fork").Process(target=_run_tests, args=(copy, mutant))
                process.start()
                running[process.sentinel] = process, mutant, copy, time.monotonic()
            ended = connection.wait(list(running), 1)
            late = [key for key, own in running.items() if time.monotonic() - own[3] > MAX_SECONDS]
            for sentinel in ended or late:
                process, mutant, copy, started = running.pop(sentinel)
                if not ended:
                    process.kill()
                process.join()  # the sentinel may be ready before the exit status is
                code = process.exitcode if ended else "timeout"
                if mutant.file:
                    shutil.copy2(root / LIBRARY / mutant.file, copy / LIBRARY / mutant.file)
                free.append(copy)
                yield mutant, _verdict(mutant, code), time.monotonic() - started


def _run_tests(copy: Path, mutant: Mutant) -> None:
    """In a process of its own, which exits with pytest's status."""
    log = os.open(copy / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.dup2(log, 1), 2)
    os.chdir(copy)
    tests = [f"tests/{test}" for test in mutant.tests]
    os._exit(importlib.import_module("pytest").main(["-qx", "-p", "no:cacheprovider", *tests]))


def _verdict(mutant: Mutant, code: int | str) -> str:
    if not mutant.file:
        return "passed" if code == 0 else "failed"
    return {0: "survived", 1: "killed", "timeout": "killed"}.get(code, f"pytest's exit status is {code}")


def main(only: Sequence[str] = (), table: Path = TABLE, root: Path = ROOT, jobs: int = 2) -> int:
    """Print the verdicts and the score. Returns the exit status."""
    mutants = read_mutants(table, only)
    try:
        for mutant in mutants:
            mutant.apply((root / LIBRARY / mutant.file).read_text())
    except (ValueError, SyntaxError) as error:
        print(error)
        return 1
    each = dict.fromkeys(k for own in mutants for k in (*(Mutant((test,)) for test in own.tests), own))
    wrong, killed = [], 0
    for mutant, verdict, seconds in run_mutants(list(each), root, jobs):
        line = f"{verdict:8} {seconds:5.0f} s  {mutant.file or mutant.tests[0]}: {mutant.what}"
        print(line, f"({mutant.reason})" if mutant.reason else "", flush=True)
        killed += verdict == "killed"
        if verdict not in ("killed", "passed") and not (verdict == "survived" and mutant.reason):
            wrong.append(line)
    print(f"{len(mutants)} mutants, {killed} killed; wrong: {len(wrong)}", *wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name in PRELOADED:
        importlib.import_module(name)
    sys.exit(main(sys.argv[1:], jobs=os.cpu_count() or 1))
